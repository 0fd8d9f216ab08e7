"""A portal as its users have it: a git client, the API, the deployed services' addresses. Knows nothing from inside."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psutil

from tests import waiting
from tests.portal import Portal

HANG_S = 300.0  # nothing here is quick by promise: what does not come in that time never will
T = TypeVar("T")
FINAL = {"succeeded", "unstable", "failed", "cancelled"}
PROJECT = "sample"
SPEC = {
    "command": ["python3", "app.py"],
    "replicas": 2,
    "port": 8080,
    "env": {"GREETING": "Hello", "STOP_GRACE": "0.1"},
    "health_check": {"readiness": {"http": {"path": "/healthz"}, "period_s": 1, "failure_threshold": 3}},
    "drain_s": 1,
}
JENKINSFILE = """
pipeline {
    agent any
    stages {
        %s
    }
}
"""


def until(predicate: Callable[[], T | None], every: float = 0.02, what: str = "", timeout: float = HANG_S) -> T:
    return waiting.until(predicate, timeout, every, what)


def pipeline(*stages: str) -> str:
    """A Jenkinsfile whose stages have these steps."""
    made = (f"stage('S{n}') {{ steps {{ {steps} }} }}" for n, steps in enumerate(stages, start=1))
    return JENKINSFILE % "\n        ".join(made)


def service(says: str = "$BUILD_NUMBER", *, before: str = "") -> str:
    """A Jenkinsfile that makes a version of the sample's program that says this, quickly."""
    write = 'printf \'{"version": "%s", "commit": "x"}\' "' + says + '" > version.json'
    return pipeline(f"{before}\nsh '''{write}'''\narchiveArtifacts 'app.py,version.json'")


def waits_for(gate: Path) -> str:
    """A shell's words that end when somebody makes this file: what must be in the middle stays there until then."""
    return f"until test -e {gate}; do sleep 0.1; done"


class Clone:
    """A work tree of a project, cloned over HTTP with the person's token."""

    def __init__(self, url: str, folder: Path) -> None:
        self.path = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._run("clone", "-q", url, str(folder), cwd=folder.parent)

    def git(self, *arguments: str) -> str:
        return self._run(*arguments, cwd=self.path)

    def _run(self, *arguments: str, cwd: Path) -> str:
        environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **{f"GIT_{who}_{what}": "ann@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=HANG_S
        )
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, files: dict[str, str | bytes], message: str = "Change something") -> str:
        """Write the files and commit them; the commit's sha."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, ref: str = "main", *options: str) -> None:
        self.git("push", "-q", *options, "origin", f"HEAD:refs/heads/{ref}")


class Site:
    """One portal, seen by one person."""

    def __init__(self, portal: Portal, who: str = "dev") -> None:
        self.portal = portal
        self.who = who
        self.api = portal.api(who)
        self.clones = 0

    def close(self) -> None:
        self.api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- asking, patiently: processes of the portal die in these tests -------------------------------------------
    def get(self, path: str, timeout: float = HANG_S, **options: Any) -> Any:
        """The answer's JSON; asks again while the portal is away."""
        answer = self._patiently(lambda: self.api.get(path, **options), timeout)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: dict[str, Any] | None = None, timeout: float = HANG_S, **options: Any) -> Any:
        answer = self._patiently(lambda: self.api.post(path, json=body or {}, **options), timeout)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    @staticmethod
    def _patiently(ask: Any, timeout: float) -> httpx.Response:
        found: list[httpx.Response] = []

        def answered() -> bool:
            try:
                found[:] = [ask()]
            except httpx.TransportError:
                return False
            return found[0].status_code not in {502, 503, 504}

        until(answered, timeout=timeout, every=0.1, what="an answer")
        return found[0]

    # --- builds ---------------------------------------------------------------------------------------------------
    def clone(self) -> Clone:
        token = self.portal.credentials()["tokens"][self.who]
        self.clones += 1
        url = f"http://{self.who}:{token}@127.0.0.1:{self.portal.port}/git/{PROJECT}.git"
        return Clone(url, self.portal.var.parent / "clones" / f"{self.who}{self.clones}")

    def build_of(self, sha: str, timeout: float = HANG_S) -> int:
        """The id of the build that a push of this commit started."""
        found = until(
            lambda: self.get(f"/api/projects/{PROJECT}/builds/", params={"commit": sha})["results"],
            timeout=timeout, every=0.1, what=f"a build of {sha[:8]}",
        )  # fmt: skip
        return int(found[0]["id"])

    def start_build(self, ref: str = "main", **body: Any) -> int:
        return int(self.post(f"/api/projects/{PROJECT}/builds/", {"ref": ref, **body})["id"])

    def pushed(self, clone: Clone, files: dict[str, str | bytes], ref: str = "main") -> int:
        """Commit, push, and the id of the build that follows."""
        sha = clone.commit(files)
        clone.push(ref, "--force")
        return self.build_of(sha)

    def build(self, pk: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/builds/{pk}/")
        return found

    def ended(self, pk: int, timeout: float = HANG_S) -> dict[str, Any]:
        """The build when it has ended."""
        return self._at(lambda: self.build(pk), FINAL, timeout)

    def running(self, pk: int, timeout: float = HANG_S) -> dict[str, Any]:
        return self._at(lambda: self.build(pk), FINAL | {"running"}, timeout)

    def log(self, pk: int) -> bytes:
        """The whole stored log."""
        data = b""
        while True:
            path = f"/api/builds/{pk}/log/?offset={len(data)}"
            answer = self._patiently(lambda path=path: self.api.get(path), HANG_S)
            assert answer.status_code == 200, answer.text
            data += answer.content
            if answer.headers["X-Log-Complete"] == "true" or not answer.content:
                return data

    def version_of(self, ref: str, timeout: float = HANG_S) -> int:
        """The number of the newest version built from this branch."""
        path, asked = f"/api/projects/{PROJECT}/versions/", {"ref": f"refs/heads/{ref}"}
        found = until(lambda: self.get(path, params=asked)["results"], timeout=timeout, what=f"a version of {ref}")
        return max(int(row["number"]) for row in found)

    # --- deployments ----------------------------------------------------------------------------------------------
    def spec(self, **changes: Any) -> None:
        answer = self.api.patch(f"/api/projects/{PROJECT}/", json={"spec": {**SPEC, **changes}})
        assert answer.status_code == 200, answer.text

    def ask_deploy(
        self, machine: str = "test-a", *, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        path = f"/api/projects/{PROJECT}/deployments/"
        return self.api.post(path, json={"machine": machine, **body}, headers=headers or {})

    def deploy(self, machine: str = "test-a", **body: Any) -> int:
        return int(self.post(f"/api/projects/{PROJECT}/deployments/", {"machine": machine, **body})["id"])

    def deployment(self, pk: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/deployments/{pk}/")
        return found

    def deployed(self, pk: int, timeout: float = HANG_S) -> dict[str, Any]:
        """The deployment when it has ended."""
        return self._at(lambda: self.deployment(pk), FINAL, timeout)

    def phase(self, pk: int, *phases: str, timeout: float = HANG_S) -> str:
        """Wait until the deployment is in one of the phases (or ended); the phase ("" when ended)."""
        found = until(
            lambda: (d := self.deployment(pk)) and (d["phase"] in phases or d["state"] in FINAL) and [d["phase"]],
            timeout=timeout, what=f"phase {phases}",
        )  # fmt: skip
        return str(found[0])

    def service(self, machine: str = "test-a") -> dict[str, Any]:
        rows = self.get(f"/api/projects/{PROJECT}/services/")
        rows = rows["results"] if isinstance(rows, dict) else rows
        found: dict[str, Any] = next(row for row in rows if row["machine"] == machine)
        return found

    def says(self, machine: str = "test-a", timeout: float = HANG_S) -> str:
        """The version that answers on the service's stable address."""
        url = self.service(machine)["url"]
        answer = self._patiently(lambda: httpx.get(f"{url.rstrip('/')}/version", timeout=HANG_S), timeout)
        return str(answer.json()["version"])

    def seen(self, machine: str = "test-a") -> list[dict[str, Any]]:
        """The instances as the portal sees them."""
        rows = self.get(f"/api/services/{self.service(machine)['id']}/instances/")
        found: list[dict[str, Any]] = rows["results"] if isinstance(rows, dict) else rows
        return found

    def looked_after(self, machine: str = "test-a") -> None:
        """Wait until the portal has looked at the service twice: the first look may have begun before we came."""
        for _ in range(2):
            began = time.monotonic()
            until(lambda began=began: self._looked_since(machine, began), every=0.2, what="a look at the service")

    def _looked_since(self, machine: str, began: float) -> bool:
        asked = time.monotonic()
        age_ms = self.service(machine)["observed"]["age_ms"]
        return age_ms is not None and age_ms / 1000 < asked - began

    def instances(self, machine: str = "test-a") -> list[psutil.Process]:
        """The service's own processes (not their shims), by what stands in their environment."""
        key = self.service(machine)["key"]
        found = []
        for process in self.portal.processes() + marked(f"FDD_SERVICE_KEY={key}"):
            mine = environment(process.pid)
            if f"FDD_SERVICE_KEY={key}" in mine and any(e.startswith("PORT=") for e in mine) and process not in found:
                found.append(process)
        return found

    @staticmethod
    def _at(look: Any, states: set[str], timeout: float) -> dict[str, Any]:
        last: list[dict[str, Any]] = []

        def there() -> bool:
            last[:] = [look()]
            return last[0]["state"] in states

        try:
            until(there, timeout=timeout, every=0.05)
        except AssertionError:
            raise AssertionError(f"after {timeout:g} s it is still {last}") from None
        return last[0]


def environment(pid: int) -> set[str]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0"))
    except OSError:
        return set()


def marked(entry: str) -> list[psutil.Process]:
    """Living processes with this in their environment."""
    found = []
    for pid in psutil.pids():
        if entry in environment(pid):
            try:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
    return found


class Steady:
    """A client that asks one address all the time, one new connection a request; counts what failed."""

    def __init__(self, url: str, every_s: float = 0.03) -> None:
        self.url = f"{url.rstrip('/')}/version"
        self.every_s = every_s
        self.asked = 0
        self.failures: list[str] = []
        self.versions: list[str] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._end.is_set():
            self.asked += 1
            try:
                answer = httpx.get(self.url, timeout=60)
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code} {answer.text[:80]}")
                elif not self.versions or self.versions[-1] != answer.json()["version"]:
                    self.versions.append(answer.json()["version"])
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
            time.sleep(self.every_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def asked_more(self, often: int) -> None:
        """Wait until so many more requests have ended."""
        ended = self.asked + often
        until(lambda: self.asked > ended, what=f"{often} more requests")

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=HANG_S)


@contextmanager
def exclusive(database: Path) -> Iterator[None]:
    """Hold SQLite's database so that nobody else may write."""
    import sqlite3

    connection = sqlite3.connect(database, timeout=HANG_S, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()
