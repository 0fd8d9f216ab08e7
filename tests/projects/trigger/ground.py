"""A webhook that checks signatures and keeps lines, and triggers as real processes beside it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from tests.simulators.gerrit_rig import USER, Rig
from tests.simulators.receiver import Post, Receiver, Reply

ROOT = Path(__file__).resolve().parents[3]
SECRET = "a-webhook-secret"
STARTING_S = 150  # of a trigger that does what is waited for, on a machine with much else to do
NEVER = "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "AUDIT_KEYS", "JWT_KEYS", "DATABASE_URL", "REDIS_URL"


class Hook:
    """The portal's side: 202 for what is signed rightly, else 401. `status` and `judge` make it misbehave."""

    def __init__(self) -> None:
        self.status = 202
        self.taken: list[Post] = []
        self.refused: list[Post] = []
        self.receiver = Receiver(self._judge)

    def _judge(self, post: Post) -> Reply:
        if not genuine(post):
            self.refused.append(post)
            return Reply(401)
        if self.status != 202:
            self.refused.append(post)
            return Reply(self.status)
        self.taken.append(post)
        return Reply(202)

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that was taken, in order, checks of a set-up left out."""
        posts = [post for post in self.taken if post.headers.get("X-FDD-Event") != "ping"]
        return [json.loads(line) for post in posts for line in post.body.splitlines()]

    def moves(self, project: str = "team/app") -> list[str]:
        """Where the branches of a project went, each once, in order; of repeated lines the first counts."""
        updates = [event["refUpdate"] for event in self.events if event["type"] == "ref-updated"]
        wanted = [update["newRev"] for update in updates
                  if update["project"] == project and update["refName"].startswith("refs/heads/")]  # fmt: skip
        return list(dict.fromkeys(wanted))


def genuine(post: Post) -> bool:
    headers = {name.lower(): value for name, value in post.headers.items()}
    timestamp = headers.get("x-fdd-timestamp", "")
    made = hmac.new(SECRET.encode(), timestamp.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    fresh = timestamp.isdecimal() and abs(time.time() - int(timestamp)) < 300
    return fresh and headers.get("x-fdd-signature") == f"sha256={made}" and bool(headers.get("x-fdd-delivery"))


class Triggers:
    """`manage.py teamcode_trigger` as a production elsewhere starts it: with nothing of the portal's in its environment."""

    def __init__(self, rig: Rig, url: str, folder: Path) -> None:
        self.rig = rig
        self.url = url
        self.folder = folder
        self.spool = folder / "spool"
        self.output = folder / "trigger.log"
        self._all: list[subprocess.Popen[bytes]] = []
        for name, text in (("secret", f"{SECRET}\n"), ("key", rig.user_key), ("known_hosts", f"{rig.known_hosts}\n")):
            (folder / name).write_text(text)

    def command(self, *more: str) -> list[str]:
        return [
            sys.executable, "manage.py", "teamcode_trigger",
            "--webhook", f"{self.url}/hooks/gerrit/main/", "--secret-file", str(self.folder / "secret"),
            "--ssh", f"{USER}@127.0.0.1:{self.rig.ssh_port}", "--key", str(self.folder / "key"),
            "--known-hosts", str(self.folder / "known_hosts"), "--spool", str(self.spool), "--name", "outpost", *more,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """A production without secrets, whose data folder cannot be made."""
        kept = {name: value for name, value in os.environ.items() if name not in NEVER and not name.startswith("FDD_")}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        return {**kept, "FDD_ENV": "production", "FDD_VAR": "/proc/no-such-folder", "LOG_LEVEL": "INFO"}

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                self.command(*more), cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._all.append(process)
        return process

    def once(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command("--once", *more), cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=240
        )

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(60)

    @property
    def log(self) -> str:
        return self.output.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            if process.poll() is None:
                process.kill()
            process.wait(60)
