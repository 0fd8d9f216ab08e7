"""Real repositories, real git clients, and real servers in processes of their own that tests may kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from projects.drivers.source.base import Repository
from projects.drivers.source.git import GitConfig, GitSource
from tests.projects.git.serve import PEOPLE
from tests.waiting import until

ROOT = Path(__file__).parents[3]
SERVERS = ("uvicorn", "daphne")

CLIENT_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def git(*args: str, cwd: Path, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """A client's git, as a developer would call it; asserts its success unless `ok` is false."""
    done = subprocess.run(
        ["git", *args], cwd=cwd, env={**CLIENT_ENV, **env}, capture_output=True, text=True, timeout=240, check=False
    )
    assert not ok or done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
    return done


def commit(work: Path, name: str, text: str, message: str = "") -> str:
    """Write one file, commit it, and answer the new sha."""
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    git("add", "--all", cwd=work)
    git("commit", "--quiet", "-m", message or f"Change {name}", cwd=work)
    return git("rev-parse", "HEAD", cwd=work).stdout.strip()


def new_source(root: Path, **changes: object) -> GitSource:
    config = {
        "root": root / "repositories",
        "mirrors": root / "mirrors",
        "starters": ROOT / "examples" / "starters",
        "clone_base": "http://portal/git",
        "fetch_wait": 240.0,  # however slow the machine is
        **changes,
    }
    return GitSource(GitConfig(**config))  # type: ignore[arg-type]


@dataclass
class Server:
    """A server process and the folder it works in."""

    kind: str
    root: Path
    source: GitSource
    process: subprocess.Popen[str]
    port: int

    def url(self, slug: str, who: str = "dev", password: str = "") -> str:
        login = f"{who}:{quote(password or PEOPLE[who])}@" if who else ""
        return f"http://{login}127.0.0.1:{self.port}/git/{slug}.git"

    def create(self, slug: str, starter: str = "blank") -> Path:
        """A new embedded repository; its path."""
        repository = Repository(slug)
        self.source.create_repository(repository, starter=starter)
        return self.source.path(repository)

    def clone(self, slug: str, into: Path, *options: str) -> Path:
        git("clone", "--quiet", *options, self.url(slug), str(into), cwd=into.parent)
        return into

    def pushes(self, slug: str) -> list[dict[str, Any]]:
        """What `on_push` was told about one repository, in order."""
        log = self.root / "pushes.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [push for push in map(json.loads, lines) if push["slug"] == slug]

    def notes(self) -> list[Path]:
        return list((self.root / "spool" / "pushes").glob("*.json"))

    def backends(self) -> list[int]:
        """Git processes that the server has started and that still live, found by what they serve."""
        found = []
        for proc in Path("/proc").iterdir():
            if proc.name.isdigit():
                with contextlib.suppress(OSError):
                    alive = (proc / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                    if (
                        alive
                        and f"GIT_PROJECT_ROOT={self.source.config.root}".encode() in (proc / "environ").read_bytes()
                    ):
                        found.append(int(proc.name))
        return found

    def places(self) -> int:
        """How many requests are at work: each has a group of processes of its own."""
        groups = set()
        for pid in self.backends():
            with contextlib.suppress(ProcessLookupError):
                groups.add(os.getpgid(pid))
        return len(groups)

    def memory(self, field: str = "VmHWM") -> int:
        """Bytes of the server process: its peak so far (VmHWM) or now (VmRSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) * 1024

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def start_server(kind: str, root: Path) -> Server:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "server.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.projects.git.serve", kind, str(root)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout
    line = process.stdout.readline()
    assert line.strip().isdigit(), (root / "server.log").read_text()
    return Server(kind, root, new_source(root), process, int(line))


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Somebody else's git server."""
    made = start_server("uvicorn", tmp_path_factory.mktemp("remote"))
    yield made
    made.stop()


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of each kind for all tests that do it no harm; they take repositories of their own."""
    made = start_server(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    made.stop()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers for this test alone (it may kill them); `again` restarts on the same folder."""
    made: list[Server] = []

    def start(kind: str, root: Path | None = None) -> Server:
        made.append(start_server(kind, root or tmp_path / "server"))
        return made[-1]

    yield start
    for one in made:
        one.stop()
    until(lambda: not any(one.backends() for one in made), what="no backend is left")


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return new_source(tmp_path)
