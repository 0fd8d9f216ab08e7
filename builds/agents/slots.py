"""Build slots as locked files: the kernel frees a slot when its agent dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take(folder: Path, count: int) -> tuple[int, int] | None:
    """Lock a free slot; returns (slot number, open descriptor that holds the lock), or None when all are busy."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(count):
        descriptor = os.open(folder / f"slot-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return number, descriptor
    return None
