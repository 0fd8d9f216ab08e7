"""Filled databases on SQLite and on a private PostgreSQL, each with a process that visits its pages."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.portal import PRIVATE, ROOT, free_port, migrated_database
from tests.waiting import until

FILL_S = 900


class Site:
    """One filled database and its visitor."""

    def __init__(self, folder: Path, shape: str, database: str = "") -> None:
        folder.mkdir(mode=0o700, parents=True)
        outside = {name: value for name, value in os.environ.items() if name not in PRIVATE}
        self.env: Mapping[str, str] = {
            **outside,
            "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
            "FDD_ENV": "local",
            "FDD_VAR": str(folder),
            "LOG_LEVEL": "CRITICAL",
            "PYTHONPATH": str(ROOT),
            **({"DATABASE_URL": database} if database else {}),
        }
        if database:
            command = [sys.executable, "manage.py", "migrate", "-v0"]
            subprocess.run(command, cwd=ROOT, env=self.env, check=True, timeout=FILL_S)
        else:
            shutil.copyfile(migrated_database(self.env), folder / "db.sqlite3")
        self.visitor = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scale.visitor", shape],
            cwd=ROOT, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def filled(self) -> dict[str, Any]:
        """What was filled; waits for it."""
        return self._answer()

    def get(self, who: str, path: str) -> dict[str, Any]:
        assert self.visitor.stdin is not None
        self.visitor.stdin.write(json.dumps({"who": who, "path": path}) + "\n")
        self.visitor.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.visitor.stdout is not None
        line = self.visitor.stdout.readline()
        if not line:
            raise RuntimeError(f"the visitor ended with {self.visitor.wait(30)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.visitor.kill()
        self.visitor.wait(30)


@contextlib.contextmanager
def postgres(scratch: Path) -> Iterator[str]:
    """A private PostgreSQL with throw-away data; yields its address without a database's name."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    path = str(found[-1]) if found else shutil.which("postgres")
    if path is None:
        raise FileNotFoundError("this machine has no PostgreSQL")
    folder, port = Path(path).resolve().parent, free_port()
    data = scratch / "postgres"
    data.mkdir()
    become: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        become = ["runuser", "-u", "postgres", "--"]
        for above in (data, *data.parents[: len(data.parents) - 2]):
            above.chmod(0o755)
        shutil.chown(data, "postgres")
    init = [
        *become,
        folder / "initdb",
        "-D",
        data / "db",
        "-U",
        "fdd",
        "-A",
        "trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run([str(word) for word in init], cwd=data, stdout=subprocess.DEVNULL, check=True, timeout=300)
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
        "-c",
        "synchronous_commit=off",
        "-c",
        "full_page_writes=off",
    ]
    command = [*become, folder / "postgres", "-D", data / "db", "-p", str(port), "-k", data, *options]
    with (scratch / "postgres.log").open("wb") as output:
        server = subprocess.Popen([str(word) for word in command], cwd=data, stdout=output, stderr=output)
    try:
        ready = [folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        until(
            lambda: subprocess.run([str(word) for word in ready], check=False, timeout=30).returncode == 0,
            timeout=120,
            what="PostgreSQL",
        )
        yield f"postgres://fdd@127.0.0.1:{port}"
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)


def create_database(address: str, name: str) -> str:
    """The new database's address."""
    import psycopg  # noqa: PLC0415 - only where there is a server

    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{address}/{name}"
