"""The portal's side of a shim: start one, see whether it lives, read its status, end it. Any process may hold it.

A shim lives as long as its flock on `shim.lock` is held; the lock is taken here, before the shim is even started, and
handed over with the open file, so that there is no moment in which a starting shim looks dead. Must not know what the
supervised process is for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

from . import procfs

SHIM = Path(__file__).with_name("shim.py")
START_S = 8.0


@dataclass(frozen=True, slots=True)
class ShimStatus:
    """What a shim told last. Positions are (log file number, offset in bytes)."""

    shim: int = 0
    shim_ticks: int = 0
    state: str = "starting"
    pid: int = 0
    ticks: int = 0
    ready: bool = False
    ever_ready: bool = False
    started_at: float = 0.0
    restarts: int = 0
    exit_code: int | None = None
    exit_signal: int | None = None
    reason: str = ""
    detail: str = ""
    run: tuple[int, int] = (0, 0)
    previous_run: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What a shim is told once, at its start (see `shim`). `checks` maps startup, readiness, liveness to plain dicts."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    memory: int = 0
    grace_s: float = 5.0
    backoff_s: tuple[float, float] = (0.5, 30.0)
    log_bytes: int = 10 * 1024 * 1024
    log_files: int = 3
    host: str = "127.0.0.1"
    port: int = 0
    checks: Mapping[str, Mapping[str, Any] | None] | None = None

    def as_json(self) -> bytes:
        return json.dumps(
            {
                "argv": self.argv, "env": dict(self.env), "cwd": str(self.cwd), "memory": self.memory,
                "grace_s": self.grace_s, "backoff_s": self.backoff_s, "host": self.host, "port": self.port,
                "log": {"bytes": self.log_bytes, "files": self.log_files}, "checks": dict(self.checks or {}),
            }
        ).encode()  # fmt: skip


class Handle:
    """A shim's directory. `marks` are environment variables by which the shim and all it starts are found again."""

    def __init__(self, directory: Path, marks: Mapping[str, str]) -> None:
        self.directory = directory
        self.marks = dict(marks)

    def begin(self, orders: Orders) -> subprocess.Popen[bytes] | None:
        """Start a shim unless one lives. Does not wait for it: give the answer to `finish`."""
        lock = os.open(self.directory / "shim.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not self._take(lock):
                return None
            (self.directory / "status.json").unlink(missing_ok=True)
            with (self.directory / "shim.err").open("ab") as errors:
                starter = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(SHIM), str(self.directory), str(lock)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd="/",
                    env=self.marks | {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"},
                    pass_fds=(lock,),
                    start_new_session=True,
                )
        finally:
            os.close(lock)
        assert starter.stdin is not None
        with contextlib.suppress(BrokenPipeError), starter.stdin as pipe:
            pipe.write(orders.as_json())
        return starter

    def _take(self, lock: int) -> bool:
        """Take the lock for a new shim; somebody who just looks (`alive`) is outwaited. False when a shim has it."""
        for _ in range(50):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            else:
                return True
        return False

    def finish(self, starter: subprocess.Popen[bytes] | None) -> None:
        """Wait until the shim took over. Raises Unavailable when it did not."""
        if starter is None:
            return
        try:
            code = starter.wait(START_S)
        except subprocess.TimeoutExpired:
            starter.kill()
            code = starter.wait()
        if code != 0:
            errors = _tail(self.directory / "shim.err")
            raise Unavailable(S("A process supervisor could not be started."), evidence=errors, code="start_failed")

    def alive(self) -> bool:
        """Whether a shim holds this directory (also in the moment before it told anything)."""
        try:
            lock = os.open(self.directory / "shim.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            status = self.status()
            return status is None or procfs.same_process(status.shim, status.shim_ticks)
        finally:
            os.close(lock)
        return False

    def status(self) -> ShimStatus | None:
        """What the shim told last; None before its first word."""
        try:
            told = json.loads((self.directory / "status.json").read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        names = {field.name for field in fields(ShimStatus)}
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in told.items() if name in names
        }
        return ShimStatus(**values)

    def terminate(self) -> bool:
        """Ask the shim to end its process and itself. False when there is no shim to ask."""
        status = self.status()
        return status is not None and send(status.shim, status.shim_ticks, signal.SIGTERM)

    def kill(self) -> list[int]:
        """Kill the shim and whatever carries its marks, at once. Answers the pids."""
        status = self.status()
        if status is not None:
            send(status.shim, status.shim_ticks, signal.SIGKILL)
        return self.kill_leftovers()

    def kill_leftovers(self) -> list[int]:
        """Kill every process that carries all of the marks; for after a shim's death."""
        (name, value), *others = self.marks.items()
        killed = []
        for pid in procfs.marked(name.encode(), os.fsencode(value)):
            ticks = procfs.start_ticks(pid)
            found = procfs.environment(pid)
            if all(found.get(key) == wanted for key, wanted in others) and send(pid, ticks, signal.SIGKILL):
                killed.append(pid)
        return killed


def send(pid: int, ticks: int, number: int) -> bool:
    """Signal exactly the process that started at `ticks`, never one that got its pid later."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        return False
    try:
        if not procfs.same_process(pid, ticks):
            return False
        signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)
    return True


def wait_gone(handles: list[Handle], wait_s: float) -> bool:
    """Wait until none of the shims lives. False when time is over first."""
    deadline = time.monotonic() + wait_s
    while any(handle.alive() for handle in handles):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def _tail(path: Path, size: int = 4000) -> str:
    try:
        return path.read_bytes()[-size:].decode("utf-8", "replace")
    except OSError:
        return ""
