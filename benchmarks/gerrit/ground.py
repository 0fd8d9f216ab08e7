"""What the measurements stand on: a portal connected to the simulated Gerrit, a bare listener, and people with git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.remote.served import Told
from tests.portal import ROOT, Portal
from tests.waiting import until

from .rows import Rows

SETTINGS = {"DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"}
PEOPLE = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
          for key, value in (("NAME", "Bench"), ("EMAIL", "bench@example.com"))}  # fmt: skip


class Gerrit(Told):
    """`with Gerrit() as gerrit:`."""

    def __init__(self) -> None:
        super().__init__("benchmarks.gerrit.server")
        self.facts: dict[str, Any] = self.do("hello")

    def projects(self, count: int) -> list[str]:
        """The first so many; those that are not there are made."""
        names = [f"team/app-{number}" for number in range(count)]
        self.do("projects", names=names)
        return names


def connect(portal: Portal, gerrit: Gerrit, projects: list[str], connections: int = 1) -> Rows:
    """From now on the portal listens to the Gerrit, and knows where every branch is."""
    facts = {key: gerrit.facts[key] for key in ("config", "secrets")}
    wanted = json.dumps({**facts, "connections": connections, "projects": projects})
    command = [sys.executable, "-m", "benchmarks.gerrit.fill"]
    subprocess.run(command, cwd=ROOT, env={**portal.env, **SETTINGS}, input=wanted, text=True, check=True, timeout=300)
    rows = Rows(portal.var)
    until(lambda: rows.listeners() == connections, timeout=120, every=0.1, what="the listening")
    return rows


class Ear:
    """The bare listener beside the portal's: when it had each line, by the commit."""

    def __init__(self, gerrit: Gerrit, scratch: Path) -> None:
        self._output = scratch / "ear"
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.gerrit.ear"], cwd=ROOT, stdin=subprocess.PIPE, stdout=output
            )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(gerrit.facts).encode() + b"\n")
        self._process.stdin.close()

    def heard(self) -> dict[str, float]:
        pairs = [line.split() for line in self._output.read_text().splitlines()]
        return {sha: float(at) for at, sha in pairs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Person:
    """Somebody with a clone of a project, who pushes with git over HTTP."""

    def __init__(self, gerrit: Gerrit, project: str, scratch: Path) -> None:
        self._clone = scratch / project.replace("/", "-")
        self._git("clone", "-q", f"{gerrit.facts['git']}{project}", str(self._clone), at=scratch)

    def push(self, branch: str) -> tuple[str, float, float]:
        """A commit to a branch; (the commit, when `git push` was begun, when it was back)."""
        self._git(
            "commit", "-q", "--allow-empty", "-m", f"{self._clone.name} to {branch}"
        )  # no two projects get the same commit
        began = time.time()
        self._git("push", "-q", "origin", f"+HEAD:refs/heads/{branch}")
        return self._git("rev-parse", "HEAD").strip(), began, time.time()

    def _git(self, *words: str, at: Path | None = None) -> str:
        env = {**os.environ, **PEOPLE, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", *words], cwd=at or self._clone, env=env, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout
