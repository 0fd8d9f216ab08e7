"""Build slots as locked files: the kernel frees a slot when its agent dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fangduoduo_release.common.processes import start_ticks


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


def sign(descriptor: int) -> None:
    """Say in the slot we hold who we are, so that whoever stops this host's builds finds us."""
    pid = os.getpid()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{pid} {start_ticks(pid)}".encode(), 0)


def holders(folder: Path) -> list[int]:
    """The living agents of this host, whoever started them."""
    found = []
    for path in folder.glob("slot-*"):
        words = path.read_text().split()
        if len(words) == 2 and words[1].isdigit() and start_ticks(int(words[0])) == int(words[1]):
            found.append(int(words[0]))
    return found
