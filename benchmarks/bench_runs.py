"""Durable run steps per second against bare django-q2 tasks per second, on the same broker and database.

Both sides append one byte per piece of work to a file; all work is queued before the workers start, and the clock runs
from the first byte to the last, so that neither start-up nor queueing counts. Every durable step is five statements
more than a task: claim, intent, outcome, progress, release.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.portal import ROOT, free_port
from tests.waiting import until

from .durable import STEPS
from .measure import Number

WORK = 1000  # steps, and tasks
LIMIT_S = 180.0


def measure(scratch: Path) -> Iterator[Number]:
    yield compare("SQLite", scratch / "sqlite", {})
    if shutil.which("redis-server") is None:
        return
    with redis(scratch) as address:
        yield compare("SQLite + Redis", scratch / "redis", {"REDIS_URL": address})
        if os.environ.get("FDD_TEST_DATABASE_URL"):
            servers = {"REDIS_URL": address, "DATABASE_URL": os.environ["FDD_TEST_DATABASE_URL"]}
            yield compare("PostgreSQL + Redis", scratch / "postgres", servers)


def compare(name: str, folder: Path, servers: dict[str, str]) -> Number:
    raw = rate(folder / "raw", "raw", WORK, WORK, {**servers, "FDD_BENCH_RAW": "1"}, "qcluster")
    durable = rate(folder / "runs", "runs", WORK // STEPS, WORK, servers, "worker")
    return Number(
        f"durable steps, {name}",
        durable,
        "per s",
        baseline=raw,
        baseline_name="django-q2 tasks",
        limit=0.5,
        at_least=True,
    )


def rate(folder: Path, kind: str, count: int, total: int, servers: dict[str, str], command: str) -> float:
    """Pieces of work per second between the first and the last."""
    folder.mkdir(parents=True)
    tally = folder / "tally"
    tally.touch()
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    env = {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "benchmarks.durable.settings",
        "FDD_ENV": "local",
        "FDD_VAR": str(folder),
        "FDD_PROCESS": "worker",
        "FDD_BENCH_TALLY": str(tally),
        "LOG_LEVEL": "ERROR",
        **servers,
    }
    run = [sys.executable, "manage.py", "migrate", "--run-syncdb", "-v0"]
    subprocess.run(run, cwd=ROOT, env=env, check=True, timeout=300)
    fill = [sys.executable, "-m", "benchmarks.durable.fill", kind, str(count)]
    subprocess.run(fill, cwd=ROOT, env=env, check=True, timeout=300)
    worker = subprocess.Popen(
        [sys.executable, "manage.py", command], cwd=ROOT, env=env, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: tally.stat().st_size, timeout=60, every=0.002, what="the first piece of work")
        first, began = tally.stat().st_size, time.monotonic()
        until(lambda: tally.stat().st_size >= total, timeout=LIMIT_S, every=0.005, what=f"{total} pieces of work")
        return (total - first) / (time.monotonic() - began)
    finally:
        worker.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)


@contextlib.contextmanager
def redis(scratch: Path) -> Iterator[str]:
    """A private Redis that forgets everything; yields its address."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(scratch)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    try:
        until(answers, what="Redis to answer")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)
