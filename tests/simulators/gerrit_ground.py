"""What the tests of the simulated Gerrit stand on: somebody who asks over HTTP, somebody who listens over SSH."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import httpx

from tests.simulators.gerrit import Gerrit
from tests.simulators.gerrit_rig import USER, Rig


def data_of(answer: httpx.Response) -> Any:
    assert answer.headers["content-type"] == "application/json; charset=UTF-8", answer.text
    prefix, _, rest = answer.text.partition("\n")
    assert prefix == ")]}'"
    return json.loads(rest)


@dataclass
class Asker:
    """Asks by the addresses under `/a/`, as the portal's account."""

    rig: Rig
    client: httpx.Client

    @property
    def gerrit(self) -> Gerrit:
        return self.rig.gerrit

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return data_of(answer)

    def send(self, method: str, path: str, data: Any = None) -> httpx.Response:
        return self.client.request(method, path, json=data)

    def refusal(self, method: str, path: str, data: Any = None) -> tuple[int, str]:
        answer = self.client.request(method, path, json=data)
        assert answer.headers["content-type"].startswith("text/plain"), answer.text
        return answer.status_code, answer.text


@asynccontextmanager
async def connected(rig: Rig, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """As the portal's account, with its key, believing only the pinned host key."""
    settings: dict[str, Any] = {
        "username": USER,
        "client_keys": [asyncssh.import_private_key(rig.user_key)],
        "known_hosts": asyncssh.import_known_hosts(rig.known_hosts),
        "config": None,
        **options,
    }
    async with asyncssh.connect("127.0.0.1", rig.ssh_port, **settings) as connection:
        yield connection


@asynccontextmanager
async def listening(rig: Rig, *kinds: str, **options: Any) -> AsyncIterator[asyncssh.SSHClientProcess[str]]:
    """`gerrit stream-events`, being listened to."""
    before = len(rig.gerrit.stream.listeners)
    async with connected(rig, **options) as connection:
        command = " ".join(["gerrit stream-events", *(f"-s {kind}" for kind in kinds)])
        process = await connection.create_process(command, stdin=asyncssh.DEVNULL)
        rig.listening(before + 1)
        yield process


async def event(process: asyncssh.SSHClientProcess[str]) -> dict[str, Any]:
    line = await process.stdout.readline()
    assert line.endswith("\n"), repr(line)
    found: dict[str, Any] = json.loads(line)
    return found


def work_tree(rig: Rig, project: str, folder: Path) -> Path:
    """A clone, made with the account's password."""
    rig.git("clone", "-q", rig.git_url(project), str(folder))
    return folder


def commit(rig: Rig, tree: Path, files: dict[str, str], message: str) -> str:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    rig.git("add", "--all", folder=tree)
    rig.git("commit", "-q", "-m", message, folder=tree)
    return rig.git("rev-parse", "HEAD", folder=tree).stdout.strip()
