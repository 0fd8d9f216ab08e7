"""Fork children that cannot outlive their parent, each leading its own process group.

Knows processes and signals; not what a child does.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import sys
from collections.abc import Callable

logger = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True)


class Stop:
    """A wish to stop: safe to say from a signal handler and from another process; no lock that a killed process could keep."""

    def __init__(self, on_wait: Callable[[], None] | None = None) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._on_wait = on_wait

    def set(self) -> None:
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        return bool(select.select([self._fd], [], [], 0)[0])

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; True when it is time to stop."""
        if self._on_wait is not None:
            self._on_wait()
        return bool(select.select([self._fd], [], [], timeout)[0])

    def on_signals(self, *signums: signal.Signals) -> None:
        for signum in signums:
            signal.signal(signum, lambda _signum, _frame: self.set())


def name_process(name: str) -> None:
    """The short name that `ps -o comm` and `top` show (15 bytes)."""
    _libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def die_with(parent: int) -> None:
    """The kernel kills this process when the thread that forked it ends; at once when that has happened already."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def bind_forks_to_parent() -> None:
    """From now on every fork of this process and of its forks dies with its parent and takes SIGTERM by default."""
    forker = [0]

    def note() -> None:
        forker[0] = os.getpid()

    def bind() -> None:
        die_with(forker[0])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    os.register_at_fork(before=note, after_in_child=bind)


def fork(name: str, main: Callable[[], object]) -> int:
    """Run `main` in a child that leads its own group and dies with us; returns its pid."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # the child does it too; whoever is first
            os.setpgid(pid, pid)
        return pid
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        die_with(parent)
        name_process(f"fdd-{name}")
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:  # nothing may unwind into the supervisor's own stack, which this process has a copy of
        logger.exception("%s ended with an error", name)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def kill_group(leader: int, signum: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signum)
