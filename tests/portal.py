"""A real portal for a test: its own data folder, a free port, all three processes, started and killed for real.

    with Portal(tmp_path / "var") as portal:            # started; ready when it answers
        portal.get("/healthz"); portal.kill("worker")    # kill -9 of a role's process; the supervisor starts it again

Nothing of the portal is imported here: tests and benchmarks look at it from outside, as a person does.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import httpx
import psutil

from .waiting import until

ROOT = Path(__file__).resolve().parent.parent
START_S = 600.0  # these three bound a hang: how quick it is, benchmarks measure
STOP_S = 120.0
ANSWER_S = 120.0
INSTANCES = 80  # ports for instances of deployed services, old and new
CACHE = Path(tempfile.gettempdir()) / f"fdd-portal-{os.getuid()}-{hashlib.sha256(bytes(ROOT)).hexdigest()[:8]}"
PRIVATE = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "AUDIT_KEYS", "PUBLIC_URL")
UNWANTED = (
    "PYTHONDONTWRITEBYTECODE",  # each of a portal's processes would compile all of it anew
    "FDD_FETCH_WAIT_S",  # what tests may wait themselves
)
PORTS = Path(tempfile.gettempdir()) / f"fdd-ports-{os.getuid()}"
FIRST_PORT, LAST_PORT = 23_000, 32_000
RANGE = 16 + 1 + INSTANCES  # of one portal
_single_ports: deque[int] = deque()
_held_ranges: list[IO[str]] = []


def free_port() -> int:
    """A port that nobody listens on. The kernel and other processes give it to nobody, and we not for many calls: also
    who stops listening may begin again there."""
    while True:
        for _ in range(len(_single_ports)):
            _single_ports.rotate()
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind(("127.0.0.1", _single_ports[0]))
                return _single_ports[0]
        first = free_range()
        _single_ports.extend(range(first, first + RANGE))


def free_range(count: int = RANGE) -> int:
    """The first of `count` free ports in a row, outside the kernel's own range; kept from others until we end."""
    assert count <= RANGE, "all ranges begin at the same places, so that no two overlap"
    PORTS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for first in range(FIRST_PORT, LAST_PORT - RANGE, RANGE):
        lock = (PORTS / f"{first}-{RANGE}").open("a")
        with contextlib.ExitStack() as held:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
        _held_ranges.append(lock)
        return first
    raise RuntimeError(f"no {count} free ports in a row")


class Portal:
    """One portal under `var`. `env` adds settings (DATABASE_URL, FDD_BUILD_SLOTS…); `demo` loads the sample."""

    def __init__(self, var: Path, *, env: Mapping[str, str] | None = None, demo: bool = True, ports: int = 16) -> None:
        self.var = var
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.demo = demo
        self.output = var.parent / f"{var.name}.out"
        self.process: subprocess.Popen[bytes] | None = None
        first = free_range(ports + 1 + INSTANCES)
        beyond = first + ports
        outside = {name: value for name, value in os.environ.items() if name not in (*PRIVATE, *UNWANTED)}
        self.env = {
            **outside,
            "FDD_ENV": "local",
            "FDD_VAR": str(var),
            "PORT": str(self.port),
            "FDD_PORT_FIRST": str(first),
            "FDD_PORT_LAST": str(beyond - 1),
            "FDD_TRAEFIK_API_PORT": str(beyond),
            "FDD_INSTANCE_PORT_FIRST": str(beyond + 1),
            "FDD_INSTANCE_PORT_LAST": str(beyond + INSTANCES),
            "NO_COLOR": "1",
            "LOG_LEVEL": "INFO",
            **(env or {}),
        }

    # --- start and stop -------------------------------------------------------------------------------------------
    def start(self, *, wait: bool = True) -> Self:
        self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._save_minutes()
        command = [sys.executable, "manage.py", "serve", *([] if self.demo else ["--no-demo"])]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout: float = START_S) -> None:
        def ready() -> bool:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the portal ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            return bool(self.state().get("ready"))

        try:
            until(ready, timeout=timeout, every=0.05, what="the portal to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-4000:]}") from None

    def stop(self) -> int:
        """As Ctrl-C does; the exit code. Kills what does not stop in time and then complains."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"the portal did not stop within {STOP_S:g} s:\n{self.log()[-4000:]}") from None
        finally:
            _end(self.processes())

    def crash(self) -> None:
        """kill -9 of everything at once, as when the machine loses power, except deployed services."""
        pids = [pid for role in self.roles() for pid in self.tree(role)]
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_gone(pids)  # they hold their ports and files until then

    def sweep(self) -> None:
        """Last resort at the end of a test: kill every process that still belongs to this data folder, and what it
        deployed, and its proxy: they outlive a portal that is killed."""
        while found := [*self.processes(), *self.processes("FDD_RUNTIME"), *self.processes("FDD_TRAFFIC")]:
            _end(found)  # a shim may have started another one meanwhile

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:  # nobody else would stop it: it is not entered
            self.sweep()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.sweep()

    # --- processes ------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """What the supervisor says: pid, port, url, ready, roles {role: pid}. Empty while nothing runs."""
        try:
            found: dict[str, Any] = json.loads((self.var / "run" / "portal.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if self.process is None or found["pid"] == self.process.pid else {}

    def roles(self) -> dict[str, int]:
        return dict(self.state().get("roles", {}))

    def pid(self, role: str) -> int:
        """The process that plays `role` now: web, worker or watch."""
        return until(lambda: self.roles().get(role, 0), timeout=START_S, what=f"a {role} process")

    def tree(self, role: str) -> list[int]:
        """The role's process and its descendants."""
        try:
            root = psutil.Process(self.pid(role))
            return [root.pid, *(child.pid for child in root.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def processes(self, mark: str = "FDD_VAR") -> list[psutil.Process]:
        """Every living process started for this data folder or, by another mark in its environment, for what is below."""
        whole, below = f"{mark}={self.var}".encode(), f"{mark}={self.var}/".encode()
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
                ours = any(entry == whole or entry.startswith(below) for entry in environment)
                if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kill(self, role: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal the role's main process only; returns its pid. The supervisor starts another one."""
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    def wait_for_new(self, role: str, old: int, timeout: float = START_S) -> int:
        """Wait until another process plays `role`; returns its pid."""
        until(lambda: self.roles().get(role, old) != old, timeout=timeout, what=f"a new {role}")
        return self.pid(role)

    # --- looking at it --------------------------------------------------------------------------------------------
    def log(self) -> str:
        """Everything the portal printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def credentials(self) -> dict[str, dict[str, str]]:
        """{"users": {name: password}, "tokens": {name: token}} of the sample's people."""
        found: dict[str, dict[str, str]] = json.loads((self.var / "demo-credentials.json").read_text())
        return found

    def api(self, who: str = "dev") -> httpx.Client:
        """A client of the API with that person's token. Close it, or use it in a `with`."""
        headers = {"Authorization": f"Bearer {self.credentials()['tokens'][who]}", "Accept": "application/json"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=ANSWER_S)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=ANSWER_S, **options)

    def manage(self, *arguments: str, timeout: float = START_S) -> str:
        """Output of `manage.py <arguments>` on this portal's data; AssertionError with it when it fails."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    # --- saving minutes -------------------------------------------------------------------------------------------
    def _save_minutes(self) -> None:
        """Give a new data folder an already migrated database and share collected static files between portals."""
        static = self.var / "staticfiles"
        if not static.is_symlink() and not static.exists():
            (CACHE / "staticfiles").mkdir(mode=0o700, parents=True, exist_ok=True)
            static.symlink_to(CACHE / "staticfiles")
        database = self.var / "db.sqlite3"
        if "DATABASE_URL" not in self.env and not database.exists():
            shutil.copyfile(migrated_database(self.env), database)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_gone([process.pid for process in processes])  # they may write into the folder until then


def migrated_database(env: Mapping[str, str]) -> Path:
    """An SQLite file with the schema of this checkout and nothing in it; made once per schema."""
    template = CACHE / f"{_schema()}.sqlite3"
    with _only_one(CACHE / "lock"):
        if not template.exists():
            with tempfile.TemporaryDirectory(prefix="fdd-portal-") as scratch:
                scratch_env = {name: value for name, value in env.items() if name not in PRIVATE} | {"FDD_VAR": scratch}
                for code in (["manage.py", "migrate", "-v0"], ["-c", CHECKPOINT, f"{scratch}/db.sqlite3"]):
                    subprocess.run([sys.executable, *code], cwd=ROOT, env=scratch_env, check=True, timeout=300)
                fresh = template.with_suffix(".new")
                shutil.copyfile(Path(scratch) / "db.sqlite3", fresh)
                fresh.replace(template)
    return template


CHECKPOINT = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(TRUNCATE)')"


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _schema() -> str:
    """Changes with any migration and with the locked packages (they bring migrations of their own)."""
    digest = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    for path in sorted(ROOT.glob("*/migrations/*.py")) + sorted(ROOT.glob("fangduoduo_release/*/migrations/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def pss_mb(pids: list[int]) -> float:
    """Proportional memory of the processes in MB: shared pages count once in all."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def cpu_seconds(pids: list[int]) -> float:
    """Processor time used by the processes so far, without their dead children."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def wait_gone(pids: list[int], timeout: float = 60.0) -> None:
    """Wait until none of the processes lives (a zombie does not)."""

    def living() -> list[int]:
        found = []
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    found.append(pid)
        return found

    until(lambda: not living(), timeout=timeout, what=f"processes {pids} to be gone")
