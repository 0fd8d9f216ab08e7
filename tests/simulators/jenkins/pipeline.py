"""One run of a pipeline from its first line to its last: reads the text, has it run, stops it, passes answers on."""

from __future__ import annotations

import re
import threading
import uuid
from typing import TYPE_CHECKING, Any

from builds.drivers.builder.base import BuildSpec, Credential, StopSignal
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.sentence import S

from .config import FromGit, Script
from .engine import Engine
from .runs import CheckedOut, Question, Run
from .scm import Fetched, NotFetched, fetch

if TYPE_CHECKING:
    from .server import Jenkins

RESULTS = {"succeeded": "SUCCESS", "unstable": "UNSTABLE", "failed": "FAILURE", "cancelled": "ABORTED"}
_STATES: dict[str | None, Any] = {result: state for state, result in RESULTS.items()}
_REJECTED = re.compile(r"\b(?:jenkins\.model\.)?Jenkins\.(?:get\(\)|getInstance\(\)|instance\b)")


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
        self._engine: Engine | None = None

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
        self._engine = Engine(self, self._spec(text, fetched), in_job=isinstance(definition, Script))
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
