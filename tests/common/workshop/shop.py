"""A workshop: a data folder, a database (SQLite or PostgreSQL) and real processes of the portal with the test app.

shop = Shop.open(folder, "sqlite"); shop.call(function, 1, 2); worker = shop.worker(); shop.close()
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.portal import migrated_database
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]


def _environment(var: Path, database: str, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FDD_", "DATABASE_URL", "REDIS_URL", "COV_"))}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "tests.common.workshop.settings",
        "FDD_ENV": "local",
        "FDD_VAR": str(var),
        "FDD_LEASE_S": "3",
        "FDD_PROCESS": "worker",
        "FDD_HOST_ID": "shop",
        "DATABASE_URL": database,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **more,
    }


def _server_url() -> str:
    return os.environ["FDD_TEST_DATABASE_URL"]


def _on_server(statement: str) -> None:
    with psycopg.connect(_server_url(), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def _url_of(name: str) -> str:
    return f"{_server_url().rpartition('/')[0]}/{name}"


def _run_folder() -> Path:
    """What all workers of one test run share (tests/environment.py); in a data folder that was given, our own."""
    var = Path(os.environ["FDD_VAR"])
    return next((one for one in (var, var.parent) if one.name.startswith("fdd-test-")), var / f"run-{os.getpid()}")


def _template_on_server() -> str:
    return f"fdd_template_{hashlib.sha256(bytes(_run_folder())).hexdigest()[:10]}"


def _template(backend: str) -> str:
    """A migrated, empty database that workshops are copied from, a file or a name on the server; made once per test run."""
    folder = _run_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "workshop.sqlite3"
    name = str(file) if backend == "sqlite" else _template_on_server()
    done = folder / f"workshop.{backend}.done"
    with (folder / f"workshop.{backend}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return name
        if backend == "sqlite":
            url = f"sqlite:///{name}"
            shutil.copyfile(migrated_database(os.environ), file)
        else:
            url = _url_of(name)
            _on_server(f"DROP DATABASE IF EXISTS {name}")
            _on_server(f"CREATE DATABASE {name}")
        command = [sys.executable, "manage.py", "migrate", "--run-syncdb", "--skip-checks", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=_environment(folder / f"var-{backend}", url), check=True, timeout=600)
        done.touch()
    return name


def drop_template() -> None:
    """At the end of a test run, by the process that began it: what is left on the server."""
    if os.environ.get("FDD_TEST_DATABASE_URL") and (_run_folder() / "workshop.postgresql.done").exists():
        _on_server(f"DROP DATABASE IF EXISTS {_template_on_server()} WITH (FORCE)")


class Shop:
    """Close it: every process it started is then gone."""

    def __init__(self, var: Path, backend: str, database: str) -> None:
        self.var = var
        self.backend = backend
        self.database = database
        self.more: dict[str, str] = {}  # environment of everything that is started from now on
        self._server: subprocess.Popen[str] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def open(cls, folder: Path, backend: str) -> Shop:
        template = _template(backend)
        var = folder / "var"
        var.mkdir(mode=0o700)
        if backend == "sqlite":
            shutil.copy(template, var / "db.sqlite3")
            return cls(var, backend, f"sqlite:///{var / 'db.sqlite3'}")
        name = f"fdd_{uuid.uuid4().hex[:10]}"
        _on_server(f"CREATE DATABASE {name} TEMPLATE {template}")
        return cls(var, backend, _url_of(name))

    def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(60)
        if self._server is not None:
            self._server.stdin.close()  # type: ignore[union-attr]
            self._server.wait(60)
        self.wait_gone()
        if self.backend == "postgresql":
            _on_server(f"DROP DATABASE IF EXISTS {self.database.rpartition('/')[2]} WITH (FORCE)")

    # -- code inside ------------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a test module's function inside, in a fresh process; returns its value as JSON gives it back."""
        return self.together(function, [list(arguments)])[0]

    def together(self, function: Callable[..., Any], calls: list[list[Any]]) -> list[Any]:
        """The same, as many processes at once as there are lists of arguments."""
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.common.workshop.server"],
                cwd=ROOT,
                env=_environment(self.var, self.database, **self.more),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self._server.stdout.readline() == "ready\n"  # type: ignore[union-attr]
        order = {"call": f"{function.__module__}:{function.__name__}", "args": calls}
        self._server.stdin.write(json.dumps(order) + "\n")  # type: ignore[union-attr]
        self._server.stdin.flush()  # type: ignore[union-attr]
        answers = json.loads(self._server.stdout.readline())  # type: ignore[union-attr]
        for answer in answers:
            assert "error" not in answer, answer["error"]
        return [answer["value"] for answer in answers]

    # -- processes --------------------------------------------------------------------------------------------------

    def start(self, *command: str, **more: str) -> subprocess.Popen[bytes]:
        log = (self.var / f"{command[0]}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=_environment(self.var, self.database, **{"FDD_PROCESS": command[0], **self.more, **more}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        return process

    def worker(self, **more: str) -> subprocess.Popen[bytes]:
        return self.start("worker", **more)

    def log(self, process: subprocess.Popen[bytes]) -> str:
        number = self.processes.index(process)
        return next(self.var.glob(f"*-{number}.log")).read_text()

    def everyone(self) -> list[psutil.Process]:
        """Every living process that carries this workshop's data folder in its environment, but for the server."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("FDD_VAR") == str(self.var) and process.status() != psutil.STATUS_ZOMBIE
                if ours and (self._server is None or process.pid != self._server.pid):
                    found.append(process)
        return found

    def wait_gone(self) -> None:
        """What was killed is still to be seen for a moment."""
        until(lambda: not self.everyone(), what="all processes of the workshop gone")

    def named(self, name: str) -> list[psutil.Process]:
        """Living processes by their short name: fdd-worker, fdd-queue, fdd-sweeper, fdd-<companion>, fdd-watch."""
        found = []
        for process in self.everyone():
            with contextlib.suppress(psutil.Error, OSError):
                if Path(f"/proc/{process.pid}/comm").read_text().strip() == name:
                    found.append(process)
        return found

    def queue_leader(self) -> psutil.Process | None:
        for process in self.named("fdd-queue"):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(process.pid) == process.pid:
                    return process
        return None

    def lines(self, name: str) -> list[list[str]]:
        path = self.var / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


def cut_off(shop: Shop) -> None:
    """End all connections to a workshop's database on the server and admit no new ones."""
    name = shop.database.rpartition("/")[2]
    _on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def let_in(shop: Shop) -> None:
    _on_server(f"ALTER DATABASE {shop.database.rpartition('/')[2]} ALLOW_CONNECTIONS true")
