"""A real web process on a real database, with connections that deliveries may come for; and its database to look into."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.portal import PRIVATE, ROOT, free_port, migrated_database
from tests.waiting import until

from .letters import SECRET

LIMIT = 200_000
MAKE = """
import json, sys
from fangduoduo_release.common.models import Connection
for name, kind, secret in json.load(sys.stdin):
    secrets = {"webhook_secret": secret} if secret else {}
    Connection.objects.update_or_create(name=name, defaults={"kind": kind, "config": {}, "secrets": secrets})
"""
COMMANDS = {
    "daphne": ["-m", "projects.git_http.daphne_server", "-v", "0", "-b", "127.0.0.1", "-p"],
    "uvicorn": ["-m", "uvicorn", "--no-access-log", "--port"],
}


class Web:
    """One web process; `rows` reads its database. `patience_s`: for so long it waits for a database that is locked."""

    def __init__(self, kind: str, folder: Path, patience_s: float = 60) -> None:
        self.kind, self.folder, self.port = kind, folder, free_port()
        outside = {name: value for name, value in os.environ.items() if name not in PRIVATE}
        self.env = {
            **outside,
            "FDD_ENV": "local",
            "FDD_VAR": str(folder),
            "PORT": str(self.port),
            "LOG_LEVEL": "INFO",
            "FDD_HOOK_MAX_BYTES": str(LIMIT),
            "SQLITE_TIMEOUT_S": str(patience_s),
            "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.database = folder / "db.sqlite3"
        self.output = folder / "web.out"
        if not self.database.exists():
            self.database.write_bytes(migrated_database(self.env).read_bytes())
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)

    def start(self) -> Web:
        command = [sys.executable, *COMMANDS[self.kind], str(self.port), "fangduoduo_release.asgi:application"]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        until(self._answers, timeout=240, what="the web process")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-3000:]
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 60).close()
            return True
        return False

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def guests(self) -> int:
        """How many connections it has taken and not closed yet."""
        assert self.process is not None
        found = psutil.Process(self.process.pid).net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self.port for one in found)

    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def connections(self, *made: tuple[str, str, str]) -> None:
        """(name, kind, webhook secret): made, or changed."""
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", MAKE], cwd=ROOT, env=self.env, input=json.dumps(made), text=True,
            capture_output=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=60)) as connection:
            return list(connection.execute(sql, values))

    def deliveries(self) -> int:
        return int(self.rows("select count(*) from projects_hookdelivery")[0][0])

    def post(self, path: str, sent: tuple[dict[str, str], bytes]) -> httpx.Response:
        headers, body = sent
        wire = [(name.encode(), value.encode()) for name, value in headers.items()]
        return self.client.post(path, headers=wire, content=body)

    def raw(self, data: bytes, *more: bytes, wait_s: float = 0.0, patience: float = 120) -> bytes:
        """What a socket is answered to these bytes, the later ones sent after a pause each."""
        with socket.create_connection(("127.0.0.1", self.port), patience) as link:
            link.sendall(data)
            for piece in more:
                time.sleep(wait_s)
                link.sendall(piece)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := link.recv(65536):
                    answer += piece
                    if b"}" in answer:
                        break
            return answer


@pytest.fixture(scope="module", params=COMMANDS)
def web(request: pytest.FixtureRequest) -> Iterator[Web]:
    """With the connections `forge` (git), `bare` (git, no secret), `changing` (two secrets) and `review` (gerrit)."""
    with tempfile.TemporaryDirectory(prefix="fdd-hooks-") as folder:
        made = Web(request.param, Path(folder) / "var")
        made.connections(
            ("forge", "git", SECRET),
            ("bare", "git", ""),
            ("changing", "git", "the new one\nthe old one\na third"),
            ("review", "gerrit", SECRET),
            ("builds", "jenkins", SECRET),
        )
        try:
            yield made.start()
        finally:
            made.client.close()
            made.kill()
