"""Walks the stages as Jenkins does: skipping after failures, `when`, `input`, agent, environment, contents, `post`.

An error of a stage is returned, not raised, so that its siblings can be skipped and told of; only Fatal is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from builds.jenkinsfile.model import MAX_CELLS, Matrix, Pipeline, Stage
from fangduoduo_release.common.sentence import S, Sentence

from . import options
from .agents import check_out_into, on_agent
from .context import Branch, sentence_of
from .control import Fatal, Interrupted, Result, StepFailed, result_of
from .environment import environment_block
from .lanes import Lane, side_by_side, stopped_by_sibling
from .post import run_post
from .stage_report import Kind, StageReport
from .steps.people import ask, parameter, split_names
from .when import holds

_BY_WHEN = S("Skipped because its “when” does not hold.")
_AFTER_FAILURE = S("Skipped because an earlier stage failed.")
_AFTER_STOP = S("Skipped because the build was stopped.")
_AFTER_UNSTABLE = S("Skipped because an earlier stage made the build unstable.")


@dataclass(frozen=True, slots=True)
class _Lane:
    """One of the things that run side by side: its label in the log, its stage, what it adds to the environment."""

    name: str
    stage: Stage
    kind: Kind = "stage"
    environment: Mapping[str, str] | None = None


class StageWalk:
    """The walk through one pipeline."""

    def __init__(self, pipeline: Pipeline, report: StageReport, branch: Branch) -> None:
        self._report = report
        self._skip_checkout = options.flag(branch, pipeline.options, "skipDefaultCheckout")
        self._subfolder = options.text(branch, pipeline.options, "checkoutToSubdirectory")
        self._stop_when_unstable = options.flag(branch, pipeline.options, "skipStagesAfterUnstable")
        self._always_fail_fast = options.flag(branch, pipeline.options, "parallelsAlwaysFailFast")

    @property
    def checks_out(self) -> bool:
        return not self._skip_checkout

    def check_out(self, branch: Branch) -> None:
        check_out_into(branch, self._subfolder)

    def sequence(self, branch: Branch, stages: Sequence[Stage], path: tuple[str, ...]) -> Exception | None:
        """The stages one after the other; the first error, after which the rest is skipped."""
        first: Exception | None = None
        for stage in stages:
            if first is not None:
                self.skip(branch, stage, path, _AFTER_STOP if isinstance(first, Interrupted) else _AFTER_FAILURE)
            elif self._stop_when_unstable and branch.build.result.value == Result.UNSTABLE:
                self.skip(branch, stage, path, _AFTER_UNSTABLE)
            else:
                first = self.stage(branch, _Lane(stage.name, stage), path)
        return first

    def skip(self, branch: Branch, stage: Stage, path: tuple[str, ...], reason: Sentence, kind: Kind = "stage") -> None:
        """Tell that a stage and all within it are left out."""
        path = (*path, stage.name)
        self._report.skip(path, _kind(stage, kind), reason)
        branch.log(f"Stage {stage.name}: {reason}")
        for inner in (*stage.stages, *stage.parallel):
            self.skip(branch, inner, path, reason)
        for lane in _cells(stage):
            self.skip(branch, lane.stage, path, reason, "cell")

    def stage(self, branch: Branch, lane: _Lane, path: tuple[str, ...]) -> Exception | None:
        """Run one stage to its end; its error."""
        stage, parent = lane.stage, branch.context.stage
        path = (*path, stage.name)
        if stage.when is not None and stage.when.before_options and not self._early(branch, stage):
            self.skip(branch, stage, path[:-1], _BY_WHEN, lane.kind)
            return None
        record = self._report.begin(path, _kind(stage, lane.kind))
        error: Exception | None = None
        ran = True
        layer = branch.with_environment({"STAGE_NAME": stage.name, **(lane.environment or {})})
        with branch.within(stage=record, environment=layer):
            branch.log(f"Stage: {stage.name}")
            options.note_ignored(branch, stage.options)
            try:
                ran = bool(options.wrapped(branch, stage.options, lambda: self._directives(branch, stage, path)))
            except Fatal as fatal:
                self._report.end_with(record, fatal)
                raise
            except Exception as failed:  # noqa: BLE001 - whatever fails in a stage fails that stage, with its post
                error = failed
                self._count(branch, failed)
                branch.log_error(failed)
            if not ran and error is None:
                self._report.end(record, "skipped", _BY_WHEN)
                branch.log(f"Stage {stage.name}: {_BY_WHEN}")
                self._skip_inside(branch, stage, path)
                return None
            self._report.end_with(record, error)
        if parent is not None and record.warning > Result.SUCCESS:
            parent.warn(record.warning, record.sentence)
        return error

    def _skip_inside(self, branch: Branch, stage: Stage, path: tuple[str, ...]) -> None:
        for inner in (*stage.stages, *stage.parallel):
            self.skip(branch, inner, path, _BY_WHEN)
        for lane in _cells(stage):
            self.skip(branch, lane.stage, path, _BY_WHEN, "cell")

    def _early(self, branch: Branch, stage: Stage) -> bool:
        # An expression that fails is judged again, inside of the stage, which then fails by it.
        try:
            return stage.when is None or holds(branch, stage.when)
        except Fatal:
            raise
        except Exception:  # noqa: BLE001 - see above
            return True

    def _directives(self, branch: Branch, stage: Stage, path: tuple[str, ...]) -> bool:
        """False when `when` left the stage out."""
        when = stage.when
        if when is not None and when.before_input and not holds(branch, when):
            return False
        return self._after_input(branch, stage, lambda: self._on_agent(branch, stage, path))

    def _on_agent(self, branch: Branch, stage: Stage, path: tuple[str, ...]) -> bool:
        when = stage.when
        if when is not None and when.before_agent and not holds(branch, when):
            return False
        checks_out = not self._skip_checkout and not options.flag(branch, stage.options, "skipDefaultCheckout")
        with on_agent(branch, stage.agent, (lambda: self.check_out(branch)) if checks_out else None):
            if when is not None and not when.before_agent and not when.before_input and not holds(branch, when):
                return False
            with environment_block(branch, stage.environment):
                for tool in stage.tools:
                    branch.log(f"{options.no_tools(tool.kind)}")
                error = run_post(branch, stage.post, self._contents(branch, stage, path), stage=True)
                if error is not None:
                    raise error
        return True

    def _after_input(self, branch: Branch, stage: Stage, body: Callable[[], bool]) -> bool:
        wanted = stage.input
        if wanted is None:
            return body()
        submitter_parameter = branch.text(wanted.option("submitterParameter"))
        parameters = []
        for declared in wanted.parameters:
            named = {n.name: branch.evaluate(n.value) for n in declared.named if isinstance(n.name, str)}
            parameters.append(parameter(declared.kind, named))
        values = ask(
            branch,
            branch.text(wanted.message),
            identity=branch.text(wanted.option("id")),
            ok=branch.text(wanted.option("ok"), "Proceed"),
            submitters=split_names(branch.text(wanted.option("submitter"))),
            submitter_parameter=submitter_parameter,
            parameters=parameters,
        )
        texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
        with branch.within(environment=branch.with_environment(texts)):
            return body()

    def _contents(self, branch: Branch, stage: Stage, path: tuple[str, ...]) -> Exception | None:
        try:
            if stage.parallel:
                lanes = [_Lane(inner.name, inner) for inner in stage.parallel]
                return self._side_by_side(branch, lanes, path, fail_fast=stage.fail_fast)
            if stage.matrix is not None:
                _check_size(stage.matrix)
                return self._side_by_side(branch, _cells(stage), path, fail_fast=stage.fail_fast)
            if stage.stages:
                return self.sequence(branch, stage.stages, path)
            branch.run_steps(stage.steps)
        except Fatal:
            raise
        except Exception as failed:  # noqa: BLE001 - the stage's post must see whatever ended its steps
            self._count(branch, failed)
            branch.log_error(failed)
            return failed
        return None

    def _side_by_side(
        self, branch: Branch, lanes: Sequence[_Lane], path: tuple[str, ...], *, fail_fast: bool
    ) -> Exception | None:
        def runner(lane: _Lane) -> Lane:
            return lambda fork: self.stage(fork, lane, path)

        named = [(lane.name, runner(lane)) for lane in lanes]
        return side_by_side(branch, named, fail_fast=fail_fast or self._always_fail_fast)

    def _count(self, branch: Branch, error: Exception) -> None:
        if not stopped_by_sibling(error):
            branch.build.result.worsen(result_of(error), branch.build.writer.masked_sentence(sentence_of(error)))


def _check_size(matrix: Matrix) -> None:
    count = prod(len(axis.values) for axis in matrix.axes)
    if count > MAX_CELLS:
        raise StepFailed(
            S(
                "This matrix has %(count)s cells; the embedded builder runs at most %(limit)s.",
                count=min(count, 10**9),
                limit=MAX_CELLS,
            )
        )


def _kind(stage: Stage, kind: Kind) -> Kind:
    if kind == "cell":
        return kind
    return "parallel" if stage.parallel else "matrix" if stage.matrix is not None else kind


def _cells(stage: Stage) -> list[_Lane]:
    matrix = stage.matrix
    if matrix is None or prod(len(a.values) for a in matrix.axes) > MAX_CELLS:
        return []
    lanes = []
    for values in matrix.cells():
        name = matrix.cell_name(values)
        lanes.append(_Lane(name, replace(matrix.cell, name=name), "cell", values))
    return lanes
