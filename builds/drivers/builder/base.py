"""The border between the portal and whatever builds: plain frozen data in both directions, and two Protocols.

`Sink` is what an executor on this host reports to while it runs; `remote.py` is the border to builders that live elsewhere. Nothing here knows Django, a model or a queue.
Times are UTC `datetime`s; durations are seconds; sizes are bytes unless the name says MiB.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from fangduoduo_release.common.sentence import S, Sentence

BuildState = Literal["queued", "running", "succeeded", "unstable", "failed", "cancelled"]
FinalState = Literal["succeeded", "unstable", "failed", "cancelled"]
StageState = Literal["running", "paused", "succeeded", "unstable", "failed", "cancelled", "skipped"]
CredentialKind = Literal["text", "username_password", "file", "ssh_key"]


class LogFull(Exception):
    """The sink takes no more of this log (its limit is reached): the build fails with that sentence."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build may use. Zero means “no limit of ours”."""

    wall_seconds: int = 3600
    memory_mib: int = 0
    open_files: int = 4096
    processes: int = 0
    file_size_mib: int = 0
    log_mib: int = 200
    artifact_count: int = 10_000
    artifact_mib: int = 2048
    stash_mib: int = 2048


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret a pipeline may name. `values` by kind: text {secret}; username_password {username, password};
    file {name, content (str, or base64 text under content_base64)}; ssh_key {username, private_key, passphrase?}."""

    kind: CredentialKind
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One commit since the previous build, for `when { changelog/changeset }` and `currentBuild.changeSets`."""

    sha: str
    author: str
    message: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """Everything a build needs. `repository` is a local bare repository's path or a URL (http, https, ssh, git).

    The build lives in `workspace_root/<key>`, made fresh and removed when it ends (unless `keep_workspace`)."""

    key: str
    project: str
    number: int
    pipeline: str
    repository: str
    ref: str
    commit: str
    workspace_root: Path
    artifacts_dir: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    is_tag: bool = False
    previous_commit: str = ""
    previous_result: FinalState | None = None
    previous_number: int = 0
    trigger: str = "push"  # push, user, schedule, upstream, retry
    triggered_by: str = ""
    credentials: Mapping[str, Credential] = field(default_factory=dict, repr=False)
    repository_credential: str = ""  # the id in `credentials` that opens `repository`; "" when it needs none
    secrets: tuple[str, ...] = field(default=(), repr=False)  # more values to mask, bound to no credential
    limits: Limits = field(default_factory=Limits)
    build_url: str = ""
    portal_url: str = ""
    node_name: str = "built-in"
    executor_number: int = 0
    keep_workspace: bool = False


@dataclass(frozen=True, slots=True)
class StageUpdate:
    """The newest whole truth about one stage (idempotent by `id`; parents come first).

    `path` is the chain of names from the top as in the pipeline's stage tree; `id` is the same as one string of at
    most 80 characters."""

    id: str
    parent: str | None
    name: str
    state: StageState
    path: tuple[str, ...] = ()
    kind: Literal["stage", "parallel", "matrix", "cell", "post", "checkout"] = "stage"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sentence: Sentence | None = None


@dataclass(frozen=True, slots=True)
class InputParameter:
    """A value the build asks a person for. `kind` is the Jenkins word: string, text, booleanParam, choice, password."""

    name: str
    kind: str
    default: str | bool = ""
    choices: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class InputRequest:
    """The build waits for a person. `submitters` empty: anyone who may build. Answer by `Execution.answer_input`."""

    id: str
    stage: str | None
    message: str
    ok: str = "Proceed"
    submitters: tuple[str, ...] = ()
    parameters: tuple[InputParameter, ...] = ()
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TestCase:
    """One JUnit case. `text` is the message and trace of a failure, at most 16 KiB."""

    suite: str
    name: str
    state: Literal["passed", "failed", "skipped"]
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class TestReport:
    """What one `junit` step found; several steps of a build add up. Cases beyond 20,000 are counted but not listed."""

    stage: str | None
    passed: int
    failed: int
    skipped: int
    seconds: float
    cases: tuple[TestCase, ...]


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """A file in `artifacts_dir`; `path` is relative, with `/`, without `..`."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the build ended. `evidence` is a few last lines (masked) for the fold under the sentence."""

    state: FinalState
    sentence: Sentence | None = None
    evidence: str = ""


class Sink(Protocol):
    """Where an executor reports. Called from several threads, one call at a time. May block (that is backpressure);
    an OSError (ENOSPC above all) or LogFull ends the build as failed with that reason; any other exception (the run is
    somebody else's now) stops everything at once and is raised again by `run`."""

    def log(self, data: bytes, *, stage: str | None, step: int | None) -> None:
        """Whole lines of valid UTF-8 ending in a newline, masked and sanitised, in order."""

    def stage(self, update: StageUpdate) -> None: ...

    def input_requested(self, request: InputRequest) -> None:
        """Show the question. Returns at once; the executor waits until `Execution.answer_input` is called."""

    def input_closed(self, request_id: str, outcome: Literal["approved", "rejected", "stopped"], who: str) -> None: ...

    def tests(self, report: TestReport) -> None: ...

    def artifact(self, artifact: ArtifactFile) -> None: ...

    def result_changed(self, state: FinalState) -> None:
        """The result got worse while the build still runs (Jenkins' currentBuild.result)."""

    def described(self, *, display_name: str, description: str) -> None:
        """The pipeline set currentBuild.displayName or .description."""


class StopSignal:
    """How the outside stops a build; thread-safe. `cancel` is a person's wish: steps are killed, `post` still runs
    (a second cancel stops that too). `drop` is a lost lease: everything is killed at once and nothing more is run."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler of the main thread may call in here while that thread is in here.
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self.cancelled = 0
        self.dropped = False
        self.sentence: Sentence = S("The build was cancelled.")

    def cancel(self, sentence: Sentence | None = None) -> None:
        self._tell(sentence, dropped=False)

    def drop(self, sentence: Sentence | None = None) -> None:
        self._tell(sentence, dropped=True)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener()` on every change, and once now when already stopped."""
        with self._lock:
            self._listeners.append(listener)
            stopped = self.dropped or self.cancelled > 0
        if stopped:
            listener()

    def _tell(self, sentence: Sentence | None, *, dropped: bool) -> None:
        with self._lock:
            self.dropped = self.dropped or dropped
            self.cancelled += 1
            if sentence is not None:
                self.sentence = sentence
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


class RunningBuild(Protocol):
    """What the agent holds while a build runs on this host."""

    def run(self) -> Outcome:
        """Raises only what the sink raised beside OSError and LogFull."""

    def cancel(self, sentence: Sentence | None = None) -> None: ...

    def answer_input(self, request_id: str, approve: bool, values: Mapping[str, Any], who: str) -> bool:
        """False when nobody waits for that request any more. Raises Invalid for values that do not fit."""
