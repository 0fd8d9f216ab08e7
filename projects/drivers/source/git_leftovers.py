"""What a git process that was killed leaves behind, and when it is safe to remove it.

Every push holds a shared lock on a file of its repository, through all the processes it starts and beyond a killed web
process; whoever gets the lock for itself knows that no push is under way. It must not know why a push was stopped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "fdd-pushes"
_STALE_LOCK = 600.0
"""Seconds after which a lock file of git's own has no living owner: our calls are shorter and gc locks only moments."""


@contextmanager
def push_under_way(repository: Path) -> Iterator[int]:
    """Hold the shared lock; the descriptor is to be passed on to the processes of the push. OSError."""
    descriptor = os.open(repository / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits only while a sweep removes what it found
        yield descriptor
    finally:
        os.close(descriptor)


def sweep(repository: Path) -> bool:
    """Remove half-received packs and orphaned locks, unless a push is under way. True when it was safe to look."""
    try:
        descriptor = os.open(repository / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return False
    found = []
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for quarantine in (repository / "objects").glob("tmp_objdir-*"):
            gone = quarantine.with_name(f"tmp_objdir-gone-{uuid.uuid4().hex}")
            quarantine.rename(gone)
            found.append(gone)
        drop_locks(repository, _STALE_LOCK)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    for gone in found:  # after the lock, as a large pack takes a while to go and a push would wait for it
        shutil.rmtree(gone, ignore_errors=True)
    return True


def drop_locks(repository: Path, older_than: float) -> None:
    """Remove git's own locks of which nobody lives any more: those older than any of our calls may take, in seconds."""
    for lock in _git_locks(repository):
        with suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime > older_than:
                lock.unlink()


def _git_locks(repository: Path) -> Iterator[Path]:
    for name in ("HEAD.lock", "packed-refs.lock", "packed-refs.new", "config.lock", "shallow.lock"):
        if (repository / name).is_file():
            yield repository / name
    yield from (repository / "refs").rglob("*.lock")
