"""How many sockets of a kind one person has open in this process: each costs memory here and a stream elsewhere.

Belongs to the loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fangduoduo_release.common.errors import TooMany
from fangduoduo_release.common.sentence import S


class Places:
    """Counts by person."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(self._open.values())

    @contextmanager
    def one(self, person: str, most: int) -> Iterator[None]:
        """A place for as long as it is used. Raises TooMany; `most` 0: no limit."""
        if most and self._open[person] >= most:
            raise TooMany(S("You have %(most)s of these open already; close one.", most=most), retry_after=5)
        self._open[person] += 1
        try:
            yield
        finally:
            self._open[person] -= 1
            if self._open[person] <= 0:
                del self._open[person]
