"""What the benchmarks do to a portal from outside: clone, push, start, wait. As a person or a script would."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.portal import Portal
from tests.waiting import until

GIT_S = 60


class Project:
    """The sample project of a portal and a clone of its repository."""

    def __init__(self, portal: Portal, scratch: Path, slug: str = "sample") -> None:
        self.portal, self.slug = portal, slug
        self.api: httpx.Client = portal.api("dev")
        self.clone = scratch / "clone"
        token = portal.credentials()["tokens"]["dev"]
        host = portal.url.removeprefix("http://")
        self.git("clone", "-q", f"http://dev:{token}@{host}/git/{slug}.git", str(self.clone), at=scratch)
        self.git("config", "user.name", "Bench")
        self.git("config", "user.email", "bench@example.com")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.clone, env=env, capture_output=True, text=True, timeout=GIT_S
        )
        if done.returncode:
            raise RuntimeError(f"git {arguments[0]}: {done.stderr}")
        return done.stdout + done.stderr

    def push(self, files: dict[str, str], message: str) -> str:
        """Commit and push the files; returns the commit."""
        for name, text in files.items():
            (self.clone / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q")
        return self.git("rev-parse", "HEAD").strip()

    def build_of(self, sha: str, timeout: float = 60) -> dict[str, Any]:
        """The finished build of a commit."""

        def found() -> dict[str, Any] | None:
            rows = self.get(f"/api/builds/?project={self.slug}")["results"]
            return next((row for row in rows if row["commit"]["sha"] == sha), None)

        return self.finished("builds", until(found, timeout=timeout, every=0.1, what="a build")["id"], timeout)

    def finished(self, kind: str, pk: int, timeout: float = 120) -> dict[str, Any]:
        """The build or deployment when it has ended."""

        def ended() -> dict[str, Any] | None:
            row = self.get(f"/api/{kind}/{pk}/")
            return row if row["finished_at"] else None

        return until(ended, timeout=timeout, every=0.05, what=f"{kind} {pk} to end")

    def get(self, path: str) -> Any:
        answer = self.api.get(path)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.api.post(path, json=body)
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def change(self, action: str, **body: Any) -> dict[str, Any]:
        """Confirm a change on the test machine and wait for its end; RuntimeError when it did not succeed."""
        row = self.post(f"/api/projects/{self.slug}/deployments/", {"machine": "test-a", "action": action, **body})
        ended = self.finished("deployments", row["id"])
        if ended["state"] != "succeeded":
            raise RuntimeError(f"{action}: {ended['state']}: {ended['error']}")
        return ended


def seconds(earlier: str, later: str) -> float:
    """Between two times as the API writes them."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
