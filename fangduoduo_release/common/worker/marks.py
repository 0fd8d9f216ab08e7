"""A page of memory shared by the worker's processes: who did what last, on the machine's monotonic clock.

One writer per mark or a single aligned store per write, so no locks: a lock can be left taken by a killed process,
which is the very fault these marks are read to notice.
"""

from __future__ import annotations

import mmap
import time
from enum import IntEnum


class Mark(IntEnum):
    """GUARD: the queue's guard went round; PULLED: a ring was taken from the broker; STARTED, FINISHED: by a worker."""

    GUARD = 0
    PULLED = 1
    STARTED = 2
    FINISHED = 3
    SWEPT = 4
    OLDEST_WAIT_S = 5
    QUEUE_RESTARTS = 6


class Marks:
    """Create before the fork; every child then reads and writes the same numbers (seconds, or counts)."""

    def __init__(self) -> None:
        self._values = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")

    def __getitem__(self, mark: Mark) -> float:
        return self._values[mark]

    def __setitem__(self, mark: Mark, value: float) -> None:
        self._values[mark] = value

    def touch(self, mark: Mark) -> None:
        self._values[mark] = time.monotonic()


marks = Marks()  # of this process until it is a worker's child, of the whole worker then
