"""Runs one build from its spec to its outcome: parse, parameters, agent, stages, post, and the tidying at the end.

The only door for the agent process: `run`, and from other threads `cancel` and `answer_input`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from builds.jenkinsfile import parse
from builds.jenkinsfile.model import Pipeline
from fangduoduo_release.common.sentence import S, Sentence

from ..base import BuildSpec, Change, Outcome, Sink, StopSignal
from . import options
from .agents import on_agent
from .context import Branch, Context, sentence_of
from .control import Consumed, Fatal, Interrupt, Result, StepFailed, result_of
from .environment import environment_block
from .logwriter import Label, disk_sentence
from .orphans import become_subreaper, kill_build
from .parameters import typed_values
from .post import condition_holds, run_post
from .results import RESULTS, STATES
from .runtime import Build
from .stage_report import StageReport
from .stage_run import StageWalk
from .steps import ALL_STEPS
from .steps.scm import git_of
from .workspace import remove_tree

_END_GRACE = 2.0
CHECKOUT = "Declarative: Checkout SCM"
POST = "Declarative: Post Actions"


class Execution:
    """One build. `own_process`: this process serves this build alone, so whatever descends from it is the build's."""

    def __init__(
        self, spec: BuildSpec, sink: Sink, stop: StopSignal | None = None, *, own_process: bool = False
    ) -> None:
        self._spec = spec
        self._sink = sink
        self._stop = stop or StopSignal()
        self._own_process = own_process
        self._build: Build | None = None

    def cancel(self, sentence: Sentence | None = None) -> None:
        """A person's wish: kills what runs, then `post` runs; a second call stops that too."""
        self._stop.cancel(sentence)

    def answer_input(self, request_id: str, approve: bool, values: Mapping[str, Any], who: str) -> bool:
        """False when nobody waits for that request any more. Raises Invalid for values that do not fit."""
        return self._build is not None and self._build.inputs.answer(request_id, approve, values, who)

    def run(self) -> Outcome:
        """The outcome says what a pipeline, a full log or the disk did; raises only what else the sink raised."""
        if self._own_process:
            become_subreaper()
        try:
            build = self._build = Build(self._spec, self._sink)
        except OSError as refused:
            return Outcome("failed", disk_sentence(refused) or sentence_of(refused))
        self._stop.listen(self._stopped)
        error: BaseException | None = None
        try:
            error = self._run(build)
        except Exception as failed:  # noqa: BLE001 - the agent must always be given an outcome
            error = failed
        finally:
            self._tidy(build)
        outcome = self._outcome(build, error)
        if build.writer.broken is not None:
            raise build.writer.broken
        return outcome

    def _stopped(self) -> None:
        build = self._build
        if build is None:
            return
        if self._stop.dropped:
            build.scope.kill(Fatal(self._stop.sentence, Result.ABORTED))
        else:
            build.scope.interrupt(Interrupt(self._stop.sentence, Result.ABORTED))

    def _run(self, build: Build) -> BaseException | None:
        """The error that ended the build, if any."""
        branch = Branch(build, Context(build.scope), ALL_STEPS, Consumed())
        build.make_environment()
        pipeline = self._parsed(branch)
        build.pipeline = pipeline
        build.changes_source = lambda: self._changes(branch)
        if pipeline.before:
            branch.interpreter.define(pipeline.before)
        build.parameters.update(typed_values(branch, pipeline.parameters, self._spec.parameters))
        build.make_environment()
        report = build.report = StageReport(build.writer)
        walk = StageWalk(pipeline, report, branch)
        options.note_ignored(branch, pipeline.options)
        error = _Root(branch, pipeline, walk, report).run()
        if error is None and pipeline.after:
            branch.interpreter.define(pipeline.after)
        return error

    def _parsed(self, branch: Branch) -> Pipeline:
        result = parse(self._spec.pipeline)
        for problem in result.errors:
            branch.log(f"ERROR: line {problem.line}, column {problem.column}: {problem.message}")
        if result.pipeline is None:
            first = result.errors[0]
            raise StepFailed(
                S(
                    "The pipeline is not valid: line %(line)d, column %(column)d: %(message)s",
                    line=first.line,
                    column=first.column,
                    message=str(first.message),
                )
            )
        for problem in result.warnings:
            branch.log(f"WARNING: line {problem.line}, column {problem.column}: {problem.message}")
        return result.pipeline

    def _changes(self, branch: Branch) -> tuple[Change, ...]:
        spec = self._spec
        if not spec.previous_commit:
            return ()
        workspace = branch.build.workspaces.root / "ws"
        for folder in (spec.repository if spec.repository.startswith("/") else "", str(workspace)):
            if folder and os.path.isdir(folder):  # noqa: PTH112 - a text, maybe empty
                found = git_of(branch).changes(type(workspace)(folder), spec.previous_commit, spec.commit)
                if found:
                    return found
        return ()

    def _tidy(self, build: Build) -> None:
        """Nothing of the build runs on, and no secret file stays."""
        kill_build(self._spec.key, grace=_END_GRACE, descendants_of=os.getpid() if self._own_process else None)
        build.leftovers.close()
        if self._spec.keep_workspace:
            shutil.rmtree(build.workspaces.private, ignore_errors=True)
        else:
            with suppress(OSError):
                remove_tree(build.workspaces.root)

    def _outcome(self, build: Build, error: BaseException | None) -> Outcome:
        result = build.result.current
        sentence = build.writer.masked_sentence(build.result.sentence)
        if error is not None:
            said = build.writer.masked_sentence(sentence_of(error))
            worse = result_of(error)
            if isinstance(error, Fatal):
                result, sentence = error.result, said
            elif worse >= result or sentence is None:
                result, sentence = max(result, worse), said if worse >= result else sentence
        if error is not None and not isinstance(error, Fatal) and build.first_met(error):
            self._say(build, f"ERROR: {sentence_of(error)}")
        self._say(build, f"Finished: {result.name}")
        evidence = build.writer.evidence() if result not in (Result.SUCCESS, Result.ABORTED) else ""
        return Outcome(STATES[result], sentence, evidence)

    def _say(self, build: Build, text: str) -> None:
        try:
            build.writer.line(text, Label())
        except Fatal:
            return


class _Root:
    """The pipeline's own level: agent, environment and options around the stages and the last `post`."""

    def __init__(self, branch: Branch, pipeline: Pipeline, walk: StageWalk, report: StageReport) -> None:
        self._branch = branch
        self._pipeline = pipeline
        self._walk = walk
        self._report = report
        self._post_done = False

    def run(self) -> Exception | None:
        branch, pipeline = self._branch, self._pipeline
        error: Exception | None = None
        try:
            with on_agent(branch, pipeline.agent, self._check_out if self._walk.checks_out else None):
                options.wrapped(branch, pipeline.options, self._inside)
        except Fatal:
            raise
        except Exception as failed:  # noqa: BLE001 - whatever ends the stages, the pipeline's post still runs
            error = failed
            branch.build.result.worsen(result_of(failed), branch.build.writer.masked_sentence(sentence_of(failed)))
        if not self._post_done:
            error = self._post(error)
        return error

    def _inside(self) -> None:
        branch, pipeline = self._branch, self._pipeline
        self._post_done = False
        with environment_block(branch, pipeline.environment):
            for tool in pipeline.tools:
                branch.log(f"{options.no_tools(tool.kind)}")
            error = self._post(self._walk.sequence(branch, pipeline.stages, ()))
        if error is not None:
            raise error

    def _check_out(self) -> None:
        """As a stage of its own, so that a failing checkout is seen for what it is."""
        branch = self._branch
        record = self._report.begin((CHECKOUT,), "checkout")
        try:
            with branch.within(stage=record):
                self._walk.check_out(branch)
        except Exception as failed:
            self._report.end_with(record, failed)
            raise
        self._report.end_with(record, None)

    def _post(self, error: Exception | None) -> Exception | None:
        branch, post = self._branch, self._pipeline.post
        self._post_done = True
        spec, run = branch.build.spec, branch.build.result.value
        previous = RESULTS[spec.previous_result] if spec.previous_result else None
        if not any(condition_holds(c.name, run=run, error=None, previous=previous, stage=False) for c in post):
            return error
        record = self._report.begin((POST,), "post")
        try:
            with branch.within(stage=record):
                failed = run_post(branch, post, None, stage=False)
        except Fatal as fatal:
            self._report.end_with(record, fatal)
            raise
        self._report.end_with(record, failed)
        return error or failed
