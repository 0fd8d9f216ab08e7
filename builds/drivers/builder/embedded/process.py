"""Runs one program for a build: own session, clean environment, limits, output as it comes, killed as a whole.

The caller gives argv, environment and where bytes go; a scope says when to stop. Knows nothing of steps, logs or Groovy.
"""

from __future__ import annotations

import errno
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..base import Limits
from .control import Consumed, Scope
from .orphans import kill_matching

GRACE_SECONDS = 3.0
_CHUNK = 64 * 1024
_PIPE_SIZE = 256 * 1024
# Sets the limits, then becomes the program. A limit above the one we have ourselves is left as it is.
_WRAPPER = """\
ulimit -c 0
[ "$1" = - ] || ulimit -n "$1" 2>/dev/null
[ "$2" = - ] || ulimit -f "$2" 2>/dev/null
[ "$3" = - ] || ulimit -d "$3" 2>/dev/null
[ "$4" = - ] || ulimit -u "$4" 2>/dev/null || ulimit -p "$4" 2>/dev/null
shift 4
exec "$@"
"""
Take = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `marks` name the processes of this step in their environment, for finding strays."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    limits: Limits
    marks: Mapping[str, str]


class Leftovers:
    """Reads and drops what background children write after their step is over, so that they do not die of SIGPIPE.

    One per build; `close` ends it (the children then are killed anyway)."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._new: list[int] = []
        self._closed = False
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    def adopt(self, descriptor: int) -> None:
        with self._lock:
            if self._closed:
                os.close(descriptor)
                return
            self._new.append(descriptor)
            if self._thread is None:
                self._thread = threading.Thread(target=self._drain, name="leftovers", daemon=True)
                self._thread.start()
            self._wake()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._wake()
        if self._thread is not None:
            self._thread.join(5)
        else:
            self._finish()

    def _wake(self) -> None:
        """With the lock held: whoever drains closes the pipe as soon as it is seen to be the end, and its number may be
        another file's right after."""
        with suppress(BlockingIOError):  # full: it wakes anyway
            os.write(self._wake_write, b"x")

    def _drain(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                elif _read(key.fd) == b"":
                    self._selector.unregister(key.fd)
                    os.close(key.fd)
            with self._lock:
                for descriptor in self._new:
                    self._selector.register(descriptor, selectors.EVENT_READ)
                self._new.clear()
                if self._closed:
                    break
        self._finish()

    def _finish(self) -> None:
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        os.close(self._wake_write)
        self._selector.close()


def run(
    program: Program,
    scope: Scope,
    consumed: Consumed,
    *,
    out: Take,
    error: Take | None = None,
    leftovers: Leftovers | None = None,
    grace: float = GRACE_SECONDS,
) -> int:
    """The exit code (128 + signal when killed). Standard error goes to `out` too unless `error` is given.

    Whatever ends this early (an interrupt, an error of `out`) ends the whole group first, then is raised.
    Raises OSError when the program cannot be started."""
    scope.check(consumed)
    _check_program(program)
    process = _start(program, merged=error is None)
    takes: dict[int, Take] = {}
    for stream, take in ((process.stdout, out), (process.stderr, error)):
        if stream is not None and take is not None:
            descriptor = os.dup(stream.fileno())
            stream.close()
            os.set_blocking(descriptor, False)
            takes[descriptor] = take
    try:
        _pump(process, takes, scope, consumed)
    except BaseException:
        _kill(process, program, grace)
        raise
    finally:
        process.wait()
        for descriptor in takes:
            if leftovers is not None:
                leftovers.adopt(descriptor)
            else:
                os.close(descriptor)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _check_program(program: Program) -> None:
    """FileNotFoundError for what cannot be started, which the wrapper would only say in the log."""
    path = program.environment.get("PATH", os.defpath)
    if shutil.which(program.argv[0], path=path) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program.argv[0])


def _start(program: Program, *, merged: bool) -> subprocess.Popen[bytes]:
    # No preexec_fn: code between fork and exec of a process with threads may hang for ever.
    return subprocess.Popen(
        [*_dies_with_us(), "/bin/sh", "-c", _WRAPPER, "sh", *_limits(program.limits), *program.argv],
        cwd=program.cwd,
        env=dict(program.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        pipesize=_PIPE_SIZE,
        umask=0o022,
    )


@lru_cache(maxsize=1)
def _dies_with_us() -> tuple[str, ...]:
    """The prefix that has the kernel kill the program when our thread dies; empty where `setpriv` cannot do that."""
    tool = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")
    if tool is None:
        return ()
    prefix = (tool, "--pdeathsig", "KILL")
    try:
        done = subprocess.run([*prefix, "/bin/true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if done.returncode == 0 else ()


def _limits(limits: Limits) -> tuple[str, str, str, str]:
    """Arguments of the wrapper: open files, file size in blocks of 512 bytes, data in KiB, processes; "-" for none.

    Data, not address space: runtimes such as Java and Node.js reserve far more addresses than they use."""
    values = (limits.open_files, limits.file_size_mib * 2048, limits.memory_mib * 1024, limits.processes)
    files, size, data, processes = (str(value) if value > 0 else "-" for value in values)
    return files, size, data, processes


def _pump(process: subprocess.Popen[bytes], takes: dict[int, Take], scope: Scope, consumed: Consumed) -> None:
    """Move output until the program itself has ended and its pipes are empty (children may still hold them open)."""
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    ended = os.pidfd_open(process.pid)
    selector = selectors.DefaultSelector()
    try:
        for descriptor in (*takes, wake_read, ended):
            selector.register(descriptor, selectors.EVENT_READ)

        def wake() -> None:
            with suppress(BlockingIOError):
                os.write(wake_write, b"x")

        with scope.woken_by(wake):
            running = True
            while running:
                scope.check(consumed)
                for key, _ in selector.select(scope.remaining()):
                    if key.fd == wake_read:
                        os.read(wake_read, 4096)
                    elif key.fd == ended:
                        running = False
                    elif not _move(key.fd, takes):
                        selector.unregister(key.fd)
        _drain(takes)
    finally:
        selector.close()
        for descriptor in (wake_read, wake_write, ended):
            os.close(descriptor)


def _drain(takes: dict[int, Take]) -> None:
    """What is in the pipes now; a child that writes for ever does not hold us."""
    for descriptor in list(takes):
        left = 4 * _PIPE_SIZE
        while left > 0:
            data = _read(descriptor)
            if not data:
                if data is not None:
                    _forget(descriptor, takes)
                break
            left -= len(data)
            takes[descriptor](data)


def _move(descriptor: int, takes: dict[int, Take]) -> bool:
    data = _read(descriptor)
    if data:
        takes[descriptor](data)
        return True
    if data is None:
        return True
    _forget(descriptor, takes)
    return False


def _forget(descriptor: int, takes: dict[int, Take]) -> None:
    del takes[descriptor]
    os.close(descriptor)


def _read(descriptor: int) -> bytes | None:
    """Bytes, b"" at the end, None when there is nothing now."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None


def _kill(process: subprocess.Popen[bytes], program: Program, grace: float) -> None:
    """SIGTERM to the group, SIGKILL after the grace, then whoever carries this step's marks outside of the group."""
    group = process.pid
    end = time.monotonic() + grace
    if grace > 0 and _signal_group(group, signal.SIGTERM):
        # Not reaped until the group is gone, so its number cannot be taken by somebody else.
        while time.monotonic() < end and _group_lives(group):
            time.sleep(0.01)
    _signal_group(group, signal.SIGKILL)
    kill_matching(program.marks, grace=max(0.0, end - time.monotonic()))


def _signal_group(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _group_lives(group: int) -> bool:
    """True while the group has a member that is no zombie."""
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
                if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
                    return True
    return False
