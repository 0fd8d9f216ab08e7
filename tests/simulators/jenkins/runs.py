"""One build of a job: what it was started with, how it stands, what it left; and the JSON of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builds.drivers.builder.base import InputRequest, TestReport

from .beans import DEEP, NESTED, Bean
from .clock import Clock
from .flow import Flow
from .log import Log
from .values import Value, parameters_action

if TYPE_CHECKING:
    from .items import Job

_NOTHING = Bean("", {})
_LIBRARIES = Bean("org.jenkinsci.plugins.workflow.libs.LibrariesAction", {})
_RESTART = Bean("org.jenkinsci.plugins.pipeline.modeldefinition.actions.RestartDeclarativePipelineAction", {})
_DISPLAY = Bean("org.jenkinsci.plugins.displayurlapi.actions.RunDisplayAction", {})
_GRAPH = Bean("org.jenkinsci.plugins.workflow.job.views.FlowGraphAction", {})
_INPUT = Bean("org.jenkinsci.plugins.workflow.support.steps.input.InputAction", {})
_STOPPED = Bean("jenkins.model.InterruptedBuildAction", {})
_EXECUTOR = Bean("hudson.model.OneOffExecutor", {})


@dataclass
class Question:
    """An input step that waits. `id` is Jenkins', `request.id` the engine's."""

    id: str
    request: InputRequest


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What the Git plugin remembers of one checkout."""

    url: str
    commit: str
    ref: str


@dataclass
class Run:
    """Changed by the thread that runs it, read by all; every change goes through `change`."""

    job: Job
    number: int
    queue_id: int
    values: tuple[Value, ...]
    users: tuple[str, ...]
    root: str
    clock: Clock
    folder: Path
    started: int = 0
    ended: int | None = None
    result: str | None = None
    stopped: bool = False
    asked: bool = False
    display_name: str = ""
    description: str | None = None
    log: Log = field(default_factory=Log)
    flow: Flow = field(default_factory=Flow)
    questions: list[Question] = field(default_factory=list)
    reports: list[tuple[TestReport, str]] = field(default_factory=list)  # with the node id of the junit step
    artifacts: list[str] = field(default_factory=list)
    checkouts: list[CheckedOut] = field(default_factory=list)
    halt: Callable[[bool], None] | None = None  # stop it (True: at once, without `post`)
    answer: Callable[[Question, bool, dict[str, Any], str], bool] | None = None
    executors: Bean = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock.millis()
        self.display_name = f"#{self.number}"
        self.done = threading.Event()
        self._bean: Bean | None = None
        self._lock = threading.RLock()
        self.executors = Bean("", {
            "currentExecutable": (NESTED, self._executable), "idle": (NESTED, False), "likelyStuck": (NESTED, False),
            "number": (NESTED, -1), "progress": (NESTED, -1),
        })  # fmt: skip

    @property
    def building(self) -> bool:
        return self.ended is None

    @property
    def path(self) -> str:
        return f"{self.job.path}{self.number}/"

    @property
    def url(self) -> str:
        return f"{self.root}{self.path}"

    @property
    def duration_ms(self) -> int:
        return 0 if self.ended is None else self.ended - self.started

    @property
    def artifacts_folder(self) -> Path:
        return self.folder / "archive"

    def change(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.forget()

    def forget(self) -> None:
        """What was rendered of it is stale."""
        with self._lock:
            self._bean = None

    def end(self, result: str) -> None:
        """Its last line, and nothing after it."""
        if not self.building:
            return
        self.log.line(f"Finished: {result}", annotated=False)
        self.change(result=result, ended=self.clock.millis(), questions=[])
        self.done.set()

    # -- what is told of it -----------------------------------------------------------------------------------------

    def bean(self) -> Bean:
        # Under the lock, so that what is made while it changes is forgotten with the change.
        with self._lock:
            if self._bean is None:
                self._bean = Bean(self.cls, self._properties(), lasting=True)
            return self._bean

    @property
    def cls(self) -> str:
        return "hudson.model.FreeStyleBuild" if self.job.freestyle else "org.jenkinsci.plugins.workflow.job.WorkflowRun"

    def _executable(self) -> Bean:
        return self.bean()

    def _properties(self) -> dict[str, tuple[int, Any]]:
        freestyle = self.job.freestyle
        shown: dict[str, tuple[int, Any]] = {
            "actions": (1, self._actions),
            "artifacts": (1, lambda: [_artifact(path) for path in self.artifacts]),
            "building": (1, self.building),
            "description": (1, self.description),
            "displayName": (1, self.display_name),
            "duration": (1, self.duration_ms),
            "estimatedDuration": (1, lambda: self.job.estimated_ms),
            "executor": (1, (_NOTHING if freestyle else _EXECUTOR) if self.building else None),
            "fullDisplayName": (1, lambda: f"{self.job.display_name} {self.display_name}"),
            "id": (1, str(self.number)),
            "keepLog": (1, False),
            "number": (DEEP, self.number),
            "queueId": (1, self.queue_id),
            "result": (1, self.result),
            "timestamp": (1, self.started),
            "url": (DEEP, self.url),
            "culprits": (1, []),
            "inProgress": (1, self.building),
        }
        if freestyle:
            changes = Bean("hudson.scm.EmptyChangeLogSet", {"items": (NESTED, []), "kind": (NESTED, None)})
            return shown | {"builtOn": (1, ""), "changeSet": (1, changes)}
        return shown | {
            "changeSets": (1, []),
            "nextBuild": (1, lambda: self._neighbour(1)),
            "previousBuild": (1, lambda: self._neighbour(-1)),
        }

    def _neighbour(self, step: int) -> Bean | None:
        numbers = sorted(self.job.runs)
        at = numbers.index(self.number) + step if self.number in self.job.runs else -1
        if not 0 <= at < len(numbers):
            return None
        other = self.job.runs[numbers[at]]
        return Bean("", {"number": (NESTED, other.number), "url": (NESTED, other.url)})

    def _actions(self) -> list[Bean]:
        actions = [parameters_action(self.values)] if self.values else []
        actions.append(cause_action(self.users))
        if self.job.freestyle:
            return [*actions, _NOTHING, _DISPLAY]
        actions += [*map(self._build_data, self.checkouts), _LIBRARIES, _NOTHING]
        if self.stopped:
            actions.append(_STOPPED)
        if self.asked:
            actions.append(_INPUT)
        if self.reports:
            actions.append(self._tests_action())
        return [*actions, _NOTHING, _DISPLAY, _RESTART, _NOTHING, _GRAPH, _NOTHING]

    def _tests_action(self) -> Bean:
        reports = [report for report, _ in self.reports]
        return Bean("hudson.tasks.junit.TestResultAction", {
            "failCount": (NESTED, sum(r.failed for r in reports)),
            "skipCount": (NESTED, sum(r.skipped for r in reports)),
            "totalCount": (NESTED, sum(r.passed + r.failed + r.skipped for r in reports)),
            "urlName": (NESTED, "testReport"),
        })  # fmt: skip

    def _build_data(self, checked_out: CheckedOut) -> Bean:
        shown = DEEP + 3  # however deep it lies
        branch = Bean("", {"SHA1": (shown, checked_out.commit), "name": (shown, checked_out.ref)})
        revision = Bean("", {"SHA1": (shown, checked_out.commit), "branch": (shown, [branch])})
        build = Bean("hudson.plugins.git.util.Build", {
            "buildNumber": (shown, self.number), "buildResult": (shown, None), "marked": (shown, revision),
            "revision": (shown, revision),
        })  # fmt: skip
        return Bean("hudson.plugins.git.util.BuildData", {
            "buildsByBranchName": (NESTED, {checked_out.ref: build}), "lastBuiltRevision": (NESTED, revision),
            "remoteUrls": (NESTED, [checked_out.url]), "scmName": (NESTED, ""),
        })  # fmt: skip


def cause_action(users: tuple[str, ...]) -> Bean:
    def cause(user: str) -> Bean:
        return Bean("hudson.model.Cause$UserIdCause", {
            "shortDescription": (DEEP, f"Started by user {user}"), "userId": (DEEP, user), "userName": (DEEP, user),
        })  # fmt: skip

    return Bean("hudson.model.CauseAction", {"causes": (NESTED, lambda: [cause(user) for user in users])})


def _artifact(path: str) -> Bean:
    name = path.rpartition("/")[2]
    shown = {"displayPath": name, "fileName": name, "relativePath": path}
    return Bean("", {key: (DEEP, value) for key, value in shown.items()})
