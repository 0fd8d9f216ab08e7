"""A simulated Gerrit with an account for a portal: its password, its SSH key, and the connection made of them."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import asyncssh

from tests.portal import free_port
from tests.simulators.gerrit import Account, Gerrit
from tests.simulators.gerrit.events import ref_updated
from tests.simulators.gerrit.repository import environment
from tests.simulators.gerrit.stream import encode
from tests.simulators.registry import certificate
from tests.waiting import until

USER, PASSWORD = "portal", "the-http-password"


class Rig:
    """`with Rig(folder) as rig:`; `rig.gerrit` is the server, everything else what a test needs besides."""

    def __init__(
        self, folder: Path | None = None, *, prefix: str = "", label: str = "Verified", tls: bool = False
    ) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="gerrit-rig-")
        self.ca = ""
        files = None
        if tls:
            ca = certificate()
            signed = certificate("the simulated Gerrit", signer=ca)
            self.ca = ca.certificate.decode()
            files = (Path(self._made.name, "cert.pem"), Path(self._made.name, "key.pem"))
            files[0].write_bytes(signed.certificate)
            files[1].write_bytes(signed.key)
        self.gerrit = Gerrit(folder=folder, prefix=prefix, tls=files)
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = key.export_private_key().decode()
        self.public_key = key.export_public_key().decode()
        self.label = label
        self.password = PASSWORD
        self.account: Account = self.gerrit.accounts.add(USER, PASSWORD, name="Release Portal", key=self.public_key)
        self.group = "Release Team"
        self.gerrit.accounts.add_group(self.group)

    def __enter__(self) -> Self:
        self.gerrit.start(ssh_port=free_port())  # which stays its own while it listens to nobody
        return self

    def __exit__(self, *_: object) -> None:
        self.gerrit.stop()
        self._made.cleanup()

    @property
    def url(self) -> str:
        return self.gerrit.url

    @property
    def ssh_port(self) -> int:
        return self.gerrit.ssh_port

    @property
    def known_hosts(self) -> str:
        return self.gerrit.known_hosts

    def connection_facts(self, *, ssh: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
        """The config and the secrets of a portal's connection; without `ssh` it cannot listen."""
        config: dict[str, Any] = {
            "url": self.url, "username": USER, "ssh_host": "127.0.0.1" if ssh else "", "ssh_port": self.ssh_port,
            "ssh_user": "", "known_hosts": self.known_hosts if ssh else "", "parent": "All-Projects", "group": self.group,
            "label": self.label, "ca": self.ca,
        }  # fmt: skip
        return config, {
            "password": self.password,
            "ssh_key": self.user_key if ssh else "",
            "webhook_secret": "a-webhook-secret",
        }

    # -- people with git ------------------------------------------------------------------------------------------------

    def git_url(self, project: str) -> str:
        """With the password in it, for tests that push as people do."""
        return f"{self.url.replace('://', f'://{USER}:{PASSWORD}@')}a/{project}"

    def git(self, *words: str, folder: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
               for key, value in (("NAME", "Developer"), ("EMAIL", "developer@example.com"))}  # fmt: skip
        return subprocess.run(
            ["git", *words], cwd=folder, env=environment(**who), check=check, capture_output=True, text=True, timeout=60
        )

    # -- events ---------------------------------------------------------------------------------------------------------

    def listening(self, count: int = 1) -> None:
        """Wait until somebody listens to events."""
        until(lambda: len(self.gerrit.stream.listeners) >= count, what=f"{count} listeners to events")

    def emit(self, line: bytes | dict[str, Any]) -> None:
        """Write a line to whoever listens, with no git behind it."""
        self.gerrit.stream.line(line if isinstance(line, bytes) else encode(line))

    def flood(
        self,
        rate: float = 200,
        seconds: float = 60,
        projects: Sequence[str] = ("team/app",),
        ref: str = "refs/heads/master",
    ) -> int:
        """So many events a second that a branch moved, with no git behind them; how many were written."""
        begun, sent, total = time.monotonic(), 0, int(rate * seconds)
        pause = threading.Event()
        while sent < total:
            due = min(total, int((time.monotonic() - begun) * rate) + 1)
            now = int(self.gerrit.clock.now())
            for number in range(sent, due):
                move = (ref, f"{number:040x}", f"{number + 1:040x}")
                event = ref_updated(projects[number % len(projects)], move, self.account)
                self.emit({**event, "eventCreatedOn": now})
            sent = due
            pause.wait(0.005)
        return sent
