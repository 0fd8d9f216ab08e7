"""The simulator's clock: real time, which a test may push forward instead of waiting."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch. Whoever waits by it listens for pushes."""

    def __init__(self) -> None:
        self._pushed = 0.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        return time.time() + self._pushed

    def millis(self) -> int:
        return int(self.now() * 1000)

    def push(self, seconds: float) -> None:
        self._pushed += seconds
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)
