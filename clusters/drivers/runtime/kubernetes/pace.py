"""How patient an informer is. Pure.

Nobody shall be hurried by many who come back at once, so every pause has chance in it.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds; `page` in objects."""

    page: int = 500
    watch: tuple[float, float] = (300.0, 600.0)  # how long one watch is asked to last
    silence: float = 90.0  # bookmarks come every minute: a stream that says nothing for so long is dead
    first_pause: float = 0.8
    longest_pause: float = 30.0
    longest_after_cut: float = 2.0  # a stream that worked and was cut says nothing of the server's health
    healthy: float = 120.0  # after so long the next trouble is a new one
    forbidden: float = 60.0
    compare: float = 600.0  # between two comparisons of everything
    settle: float = 75.0  # how long a comparison waits for the watch to come as far as the list
    between_lists: float = 30.0  # when what came was damaged, at least so long between two lists


class Patience:
    """The pauses of one informer."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._cuts = 0
        self._since: float | None = None  # the stream is open

    @property
    def is_open(self) -> bool:
        """The stream was opened, and its end was not heard of yet."""
        return self._since is not None

    def opened(self) -> None:
        self._since = time.monotonic()

    def after_cut(self) -> float:
        """The pause after a stream that had been open ended."""
        if self._closed():
            return self._jitter(0, self._pace.first_pause)
        self._cuts += 1
        return self._jitter(self._cuts, self._pace.longest_after_cut)

    def after_failure(self, retry_s: float = 0.0) -> float:
        """The pause after the server did not answer or refused; `retry_s`: when it wants to be asked again."""
        self._closed()
        self._failures += 1
        pause = self._jitter(self._failures, self._pace.longest_pause)
        return max(pause, retry_s * random.uniform(1.0, 1.2))  # noqa: S311

    def after_no(self) -> float:
        """The pause after something that somebody has to mend first."""
        self._closed()
        return self._pace.forbidden * random.uniform(1.0, 1.2)  # noqa: S311

    def _closed(self) -> bool:
        """Whether the stream had been open for long enough that all is forgotten."""
        since, self._since = self._since, None
        if since is None or time.monotonic() - since < self._pace.healthy:
            return False
        self._failures = self._cuts = 0
        return True

    def _jitter(self, times: int, longest: float) -> float:
        return random.uniform(0.0, min(longest, self._pace.first_pause * 2 ** min(times, 16)))  # noqa: S311
