"""Runs a pipeline as Jenkins would, with the embedded engine: `params` as the job declares them, steps named in the log,
a node that may have to be waited for, and no checkout that a script in the job would not make."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from builds.drivers.builder.base import BuildSpec, Credential, Outcome, StopSignal
from builds.drivers.builder.embedded import Execution
from builds.drivers.builder.embedded.context import Branch, RunStep, StepCall
from builds.drivers.builder.embedded.control import StepFailed
from builds.drivers.builder.embedded.steps.people import STEPS as PEOPLE
from builds.jenkinsfile import parse
from builds.jenkinsfile.model import Parameter, Pipeline
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.sentence import S

from .config import Declared, FromGit, Said, Script
from .flow import StepNode
from .runs import CheckedOut, Question, Run
from .scm import Fetched, NotFetched, fetch
from .sink import RunSink
from .validator import startup_failure

if TYPE_CHECKING:
    from .server import Jenkins

RESULTS = {"succeeded": "SUCCESS", "unstable": "UNSTABLE", "failed": "FAILURE", "cancelled": "ABORTED"}
_STATES: dict[str | None, Any] = {result: state for state, result in RESULTS.items()}
_DISPLAY = {"sh": "Shell Script", "echo": "Print Message", "junit": "Archive JUnit-formatted test results",
            "archiveArtifacts": "Archive the artifacts", "checkout": "Check out from version control"}  # fmt: skip
_QUIET_STEPS = {*PEOPLE, "string"} - {"input"}
_REJECTED = re.compile(r"\b(?:jenkins\.model\.)?Jenkins\.(?:get\(\)|getInstance\(\)|instance\b)")
_NO_CHECKOUT = parse(
    "pipeline { agent any\n options { skipDefaultCheckout() }\n stages { stage('x') { steps { echo '' } } } }"
)


class PipelineRun:
    """One run of a pipeline job, in a thread of its own."""

    def __init__(self, jenkins: Jenkins, run: Run) -> None:
        self.jenkins = jenkins
        self.run = run
        self.signal = StopSignal()
        self.killed = ""  # what the log says when it did not end by itself
        self.parameters = {v.name: v.value for v in run.values}
        run.halt = self.halt
        run.answer = self.answer
        self._engine: _Engine | None = None

    def start(self) -> None:
        threading.Thread(target=self._live, name=f"jenkins {self.run.path}", daemon=True).start()

    def halt(self, hard: bool) -> None:
        self.run.change(stopped=True)
        (self.signal.drop if hard else self.signal.cancel)(S("Aborted"))

    def kill(self, words: str) -> None:
        """It ends with the server it ran in."""
        self.killed = words
        self.signal.drop()

    def answer(self, question: Question, proceed: bool, values: dict[str, Any], who: str) -> bool:
        """False when nobody waits for it. Raises BadAnswer for values that do not fit."""
        try:
            return self._engine is not None and self._engine.answer_input(question.request.id, proceed, values, who)
        except AppError as error:
            raise BadAnswer(str(error.sentence)) from error

    def _live(self) -> None:
        run = self.run
        for user in run.users:
            run.log.line(f"Started by user {user}")
        try:
            result = self._result()
        except NotFetched as error:
            run.log.line(f"ERROR: {error}", annotated=False)
            result = "FAILURE"
        except Exception as error:  # noqa: BLE001 - a build ends, whatever the simulator itself met
            run.log.line(f"ERROR: {type(error).__name__}: {error}", annotated=False)
            result = "FAILURE"
        if self.killed:
            run.log.line(self.killed, annotated=False)
            result = "FAILURE"
        run.end(result)
        self.jenkins.queue.wake()

    def _result(self) -> str:
        run, definition = self.run, self.run.job.config.definition
        fetched = Fetched("", "", "", "")
        if isinstance(definition, FromGit):
            texts = {v.name: v.text for v in run.values}
            fetched = fetch(definition, texts, self.jenkins.credentials, run.folder / "script", run.log)
            run.change(checkouts=[CheckedOut(fetched.url, fetched.commit, fetched.ref)])
            text = fetched.text
        elif isinstance(definition, Script):
            text = definition.text
            if definition.sandbox and _REJECTED.search(text):
                return self._reject()
        else:
            run.log.line("ERROR: No flow definition, cannot run", annotated=False)
            return "FAILURE"
        self._engine = _Engine(self, self._spec(text, fetched), in_job=isinstance(definition, Script))
        outcome = self._engine.run()
        if run.flow.begun:
            run.log.line("[Pipeline] End of Pipeline")
            if outcome.state == "failed" and outcome.sentence is not None:
                run.log.line(f"ERROR: {outcome.sentence}", annotated=False)
        return RESULTS[outcome.state]

    def _reject(self) -> str:
        said = "Scripts not permitted to use staticMethod jenkins.model.Jenkins get"
        log = self.run.log
        self.run.flow.begun = True
        log.line("[Pipeline] Start of Pipeline")
        log.line(f"{said}. Administrators can decide whether to approve or reject this signature.", annotated=False)
        log.line("[Pipeline] End of Pipeline")
        log.line(
            f"org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException: {said}\n"
            "\tat org.jenkinsci.plugins.scriptsecurity.sandbox.whitelists.StaticWhitelist"
            ".rejectStaticMethod(StaticWhitelist.java:258)\n"
            "\tat WorkflowScript.run(WorkflowScript:1)",
            annotated=False,
        )
        return "FAILURE"

    def _spec(self, text: str, fetched: Fetched) -> BuildSpec:
        run, jenkins = self.run, self.jenkins
        before = next((r for r in run.job.newest_first() if r.number < run.number and not r.building), None)
        logins = {
            name: Credential("username_password", {"username": user, "password": password})
            for name, (user, password) in jenkins.credentials.items()
        }
        return BuildSpec(
            key=str(uuid.uuid4()),
            project=run.job.name,
            number=run.number,
            pipeline=text,
            repository=fetched.url,
            ref=fetched.ref,
            commit=fetched.commit,
            workspace_root=jenkins.home / "workspace",
            artifacts_dir=run.artifacts_folder,
            parameters=self.parameters,
            environment={value.name: value.text for value in run.values},
            previous_result=_STATES.get(before.result) if before else None,
            previous_number=before.number if before else 0,
            trigger="user",
            triggered_by=run.users[0],
            credentials=logins,
            repository_credential=fetched.credentials_id if fetched.credentials_id in logins else "",
            build_url=run.url,
            portal_url=run.root,
        )


class BadAnswer(Exception):
    """The values given to an input step do not fit."""


class _Engine(Execution):
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

    def __init__(self, steps: Mapping[str, RunStep], engine: _Engine) -> None:
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
