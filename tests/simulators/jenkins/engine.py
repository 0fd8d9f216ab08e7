"""The embedded engine, run as Jenkins would: `params` as the job declares them, steps named in the log, a node that may
have to be waited for, and no checkout that a script in the job would not make."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from builds.drivers.builder.base import BuildSpec, Outcome
from builds.drivers.builder.embedded import Execution
from builds.drivers.builder.embedded.context import Branch, RunStep, StepCall
from builds.drivers.builder.embedded.control import StepFailed
from builds.drivers.builder.embedded.steps.people import STEPS as PEOPLE
from builds.jenkinsfile import parse
from builds.jenkinsfile.model import Parameter, Pipeline
from fangduoduo_release.common.sentence import S

from .config import Declared, Said
from .flow import StepNode
from .sink import RunSink
from .validator import startup_failure

if TYPE_CHECKING:
    from .pipeline import PipelineRun

_DISPLAY = {"sh": "Shell Script", "echo": "Print Message", "junit": "Archive JUnit-formatted test results",
            "archiveArtifacts": "Archive the artifacts", "checkout": "Check out from version control"}  # fmt: skip
_QUIET_STEPS = {*PEOPLE, "string"} - {"input"}
_NO_CHECKOUT = parse(
    "pipeline { agent any\n options { skipDefaultCheckout() }\n stages { stage('x') { steps { echo '' } } } }"
)


class Engine(Execution):
    """The embedded engine, with what is different about Jenkins."""

    def __init__(self, owner: PipelineRun, spec: BuildSpec, *, in_job: bool) -> None:
        self._owner = owner
        self._in_job = in_job
        self._node = threading.local()
        self.sink = RunSink(owner.run, lambda: getattr(self._node, "id", ""))
        super().__init__(spec, self.sink, owner.signal)

    def run(self) -> Outcome:
        try:
            return super().run()
        finally:
            self._owner.jenkins.nodes.leave(self._owner.run)

    def _parsed(self, branch: Branch) -> Pipeline:
        run, text = self._owner.run, self._spec.pipeline
        found = parse(text)
        pipeline = found.pipeline
        if pipeline is None:
            run.log.line(startup_failure(text, found.errors), annotated=False)
            raise StepFailed(S("startup failed"))
        run.flow.begun = True
        run.flow.next_id()
        run.log.line("[Pipeline] Start of Pipeline")
        # What the job declares counts from the first line on, beside what the pipeline itself declares.
        branch.build.parameters.update(self._owner.parameters)
        branch.steps = _NamedSteps(branch.steps, self)
        self._rewrite_job(branch, pipeline)
        if pipeline.agent.kind != "none":
            self._take_node(branch, pipeline)
        # Jenkins masks credentials in logs, but no password parameters.
        parameters = tuple(replace(p, name="string") if p.kind == "password" else p for p in pipeline.parameters)
        no_checkout = _NO_CHECKOUT.pipeline.options if self._in_job and _NO_CHECKOUT.pipeline else ()
        return replace(pipeline, parameters=parameters, options=(*pipeline.options, *no_checkout))

    def _rewrite_job(self, branch: Branch, pipeline: Pipeline) -> None:
        declared = [_declared(branch, parameter) for parameter in pipeline.parameters]
        options = [option.name for option in pipeline.options]
        timers = [branch.text(t.args[0]) for t in pipeline.triggers if t.name == "cron" and t.args]
        said = Said(
            parameters=tuple(d for d in declared if d is not None),
            options=tuple(name for name in options if name != "disableConcurrentBuilds"),
            timers=tuple(timers),
            serial="disableConcurrentBuilds" in options,
        )
        job = self._owner.run.job
        with self._owner.jenkins.lock:
            job.config = job.config.after_declarative_run(said)

    def _take_node(self, branch: Branch, pipeline: Pipeline) -> None:
        run, nodes = self._owner.run, self._owner.jenkins.nodes
        run.log.line("[Pipeline] node")
        run.flow.skip_ids(1)
        label = branch.text(pipeline.agent.value) if pipeline.agent.kind == "label" else ""
        queue = self._owner.jenkins.queue
        place = queue.hold_place(run, nodes.why_not(label))
        said = False
        while not nodes.enter(run, label):
            if not said:
                said, why = True, nodes.why_not(label)
                run.log.line(f"Still waiting to schedule task\n{why}", annotated=False)
            try:
                branch.context.scope.wait(branch.consumed, threading.Event(), 0.05)
            except BaseException:
                queue.give_up_place(place)
                raise
        queue.give_up_place(place)
        run.flow.skip_ids(1)
        run.log.line(f"Running on Jenkins in {self._owner.jenkins.home}/workspace/{run.job.full_name}", annotated=False)
        run.log.line("[Pipeline] {")

    def call(self, branch: Branch, step: StepCall, run_step: RunStep) -> Any:
        """One step, named in the log and noted under its stage."""
        run = self._owner.run
        run.log.line(f"[Pipeline] {step.name}")
        described = next((str(a) for a in (*step.args, *step.named.values()) if isinstance(a, str)), "")
        node = StepNode(
            run.flow.next_id(), _DISPLAY.get(step.name, step.name), described, run.clock.millis(), run.log.size
        )
        stage = self.sink.node_for(branch.context.stage.id if branch.context.stage else None)
        if stage is not None:
            stage.steps.append(node)
        self._node.id = node.id
        blocks = [f"(Branch: {name})" for name in step.named if name != "failFast"] if step.name == "parallel" else [""]
        blocks = blocks if step.body is not None or step.name == "parallel" else []
        for block in blocks:
            run.log.line(f"[Pipeline] {{ {block}".rstrip())
        try:
            value = run_step(branch, step)
            node.status = "SUCCESS"
            return value
        except BaseException:
            node.status = "FAILED"
            raise
        finally:
            node.ended, node.log_to = run.clock.millis(), run.log.size
            for _ in blocks:
                run.log.line("[Pipeline] }")
            if blocks:
                run.log.line(f"[Pipeline] // {step.name}")


class _NamedSteps(Mapping[str, RunStep]):
    """The engine's steps, each announced before it runs."""

    def __init__(self, steps: Mapping[str, RunStep], engine: Engine) -> None:
        self._steps = steps
        self._engine = engine

    def __getitem__(self, name: str) -> RunStep:
        run_step = self._steps[name]
        if name in _QUIET_STEPS:
            return run_step
        announce: Callable[[Branch, StepCall], Any] = lambda branch, call: self._engine.call(branch, call, run_step)  # noqa: E731
        return announce

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def _declared(branch: Branch, parameter: Parameter) -> Declared | None:
    named = {n.name: branch.evaluate(n.value) for n in parameter.named if isinstance(n.name, str)}
    kind = {"booleanParam": "boolean"}.get(parameter.kind, parameter.kind)
    if kind not in ("string", "text", "boolean", "choice", "password") or not named.get("name"):
        return None
    raw = named.get("choices") or ()
    choices = tuple(raw.split("\n") if isinstance(raw, str) else [str(c) for c in raw])
    default = named.get("defaultValue", "")
    text = str(default).lower() if isinstance(default, bool) else str(default or "")
    return Declared(kind, str(named["name"]), choices[0] if choices else text, choices, named.get("description"))
