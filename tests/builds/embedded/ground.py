"""What the tests of the embedded builder stand on: a sink that remembers, a repository, and running one text."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builds.drivers.builder.base import (
    ArtifactFile,
    BuildSpec,
    InputRequest,
    Outcome,
    StageUpdate,
    StopSignal,
    TestReport,
)
from builds.drivers.builder.embedded import Execution
from tests.waiting import until

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A Dev",
    "GIT_AUTHOR_EMAIL": "dev@example.org",
    "GIT_COMMITTER_NAME": "A Dev",
    "GIT_COMMITTER_EMAIL": "dev@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=GIT_ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class Repository:
    """A bare repository with a work tree beside it; `commit` pushes and gives the sha."""

    bare: Path
    work: Path

    @classmethod
    def make(cls, folder: Path) -> Repository:
        bare, work = folder / "repo.git", folder / "work"
        git(folder, "init", "-q", "--bare", "-b", "main", str(bare))
        git(folder, "clone", "-q", str(bare), str(work))
        git(work, "checkout", "-q", "-b", "main")
        return cls(bare, work)

    def commit(self, files: dict[str, str], message: str = "Change", branch: str = "main") -> str:
        for path, text in files.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        git(self.work, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.work, "rev-parse", "HEAD")


@dataclass
class Recorder:
    """A sink that keeps everything. `fail_after`: bytes of log after which it raises what it is given."""

    data: bytearray = field(default_factory=bytearray)
    marks: list[tuple[bytes, str | None, int | None]] = field(default_factory=list)
    updates: list[StageUpdate] = field(default_factory=list)
    inputs: list[InputRequest] = field(default_factory=list)
    closed: list[tuple[str, str, str]] = field(default_factory=list)
    reports: list[TestReport] = field(default_factory=list)
    artifacts: list[ArtifactFile] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)
    fail_after: int = -1
    failure: Exception | None = None
    keep: bool = True
    written: int = 0
    longest: int = 0

    def __post_init__(self) -> None:
        self._busy = threading.Lock()

    def log(self, data: bytes, *, stage: str | None, step: int | None) -> None:
        assert self._busy.acquire(blocking=False), "two calls of the sink at once"
        try:
            assert data.endswith(b"\n")
            self.written += len(data)
            self.longest = max(self.longest, len(data))
            if self.failure is not None and 0 <= self.fail_after < self.written:
                raise self.failure
            if self.keep:
                self.data += data
                self.marks.append((data, stage, step))
        finally:
            self._busy.release()

    def stage(self, update: StageUpdate) -> None:
        self.updates.append(update)

    def input_requested(self, request: InputRequest) -> None:
        self.inputs.append(request)

    def input_closed(self, request_id: str, outcome: str, who: str) -> None:
        self.closed.append((request_id, outcome, who))

    def tests(self, report: TestReport) -> None:
        self.reports.append(report)

    def artifact(self, artifact: ArtifactFile) -> None:
        self.artifacts.append(artifact)

    def result_changed(self, state: str) -> None:
        self.results.append(state)

    def described(self, *, display_name: str, description: str) -> None:
        self.names.append((display_name, description))

    @property
    def text(self) -> str:
        return self.data.decode("utf-8")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def states(self) -> dict[str, str]:
        """The last state of every stage, by its id without the stages Jenkins adds."""
        return {u.id: u.state for u in self.updates if not u.name.startswith("Declarative:")}


class Hands:
    """The clock of scopes: it stands still until a test moves its hands."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def monotonic(self) -> float:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += seconds


@dataclass
class Ran:
    """A build that has ended."""

    outcome: Outcome
    sink: Recorder
    root: Path

    @property
    def state(self) -> str:
        return self.outcome.state

    @property
    def sentence(self) -> str:
        return str(self.outcome.sentence or "")

    @property
    def text(self) -> str:
        return self.sink.text

    @property
    def states(self) -> dict[str, str]:
        return self.sink.states()

    def said(self) -> list[str]:
        """The lines that begin with `>`, without that: what the pipelines of the tests say of themselves."""
        return [
            line.partition(">")[2]
            for line in self.sink.lines
            if line.lstrip("[abcdefghijklmnopqrstuvwxyz] ")[:1] == ">"
        ]


@dataclass
class Running:
    """A build in a thread of its own."""

    execution: Execution
    sink: Recorder
    stop: StopSignal
    root: Path
    key: str
    thread: threading.Thread = field(init=False)
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.outcome = self.execution.run()

    def wait_for(self, text: str, timeout: float = 180.0) -> None:
        until(lambda: text in self.sink.text, timeout, what=f"{text!r} in the log")

    def wait_for_input(self, count: int = 1) -> InputRequest:
        until(lambda: len(self.sink.inputs) >= count, what="a question")
        return self.sink.inputs[count - 1]

    def end(self, timeout: float = 180.0) -> Ran:
        self.thread.join(timeout)
        assert self.outcome is not None, f"the build did not end; log:\n{self.sink.text}"
        return Ran(self.outcome, self.sink, self.root)


class Ground:
    """Runs pipeline texts in a folder of their own."""

    def __init__(self, folder: Path, repository: Repository, commit: str) -> None:
        self.folder = folder
        self.repository = repository
        self.commit = commit
        self._count = 0

    def spec(self, text: str, **changes: Any) -> BuildSpec:
        self._count += 1
        root = self.folder / f"build{self._count}"
        values: dict[str, Any] = {
            "key": str(uuid.uuid4()),
            "project": "shop",
            "number": 7,
            "pipeline": on_lines(text),
            "repository": str(self.repository.bare),
            "ref": "main",
            "commit": self.commit,
            "workspace_root": root / "work",
            "artifacts_dir": root / "artifacts",
            "keep_workspace": True,
        }
        return BuildSpec(**{**values, **changes})

    def start(self, text: str, sink: Recorder | None = None, **changes: Any) -> Running:
        spec = self.spec(text, **changes)
        sink, stop = sink or Recorder(), StopSignal()
        return Running(Execution(spec, sink, stop), sink, stop, spec.workspace_root / spec.key, spec.key)

    def run(self, text: str, sink: Recorder | None = None, **changes: Any) -> Ran:
        spec = self.spec(text, **changes)
        sink = sink or Recorder()
        return Ran(Execution(spec, sink).run(), sink, spec.workspace_root / spec.key)

    def steps(self, steps: str, sink: Recorder | None = None, **changes: Any) -> Ran:
        """One stage `S` with these steps, without a checkout."""
        return self.run(pipeline(f"stage('S') {{ steps {{ {steps} }} }}"), sink, **changes)


def on_lines(text: str) -> str:
    """Groovy wants each statement on its own line; the tests write them on one."""
    return re.sub(r"(\}|agent any|agent none) (?=[a-zA-Z}])", r"\1\n", text)


def pipeline(stages: str, top: str = "", options: str = "") -> str:
    """A pipeline on this host without checkout."""
    return f"pipeline {{ agent any\n options {{ skipDefaultCheckout()\n {options} }}\n {top}\n stages {{ {stages} }} }}"
