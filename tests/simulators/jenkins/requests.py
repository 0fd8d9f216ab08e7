"""What a Jenkins was asked: every request, to be counted by tests and benchmarks."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `line` is the method and the path with its query, nothing quoted; `at` is monotonic."""

    line: str
    at: float


class Requests:
    """All that came, in order. A pattern is searched in lines such as `GET /job/shop/3/api/json?tree=result`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Asked] = []

    def note(self, line: str) -> None:
        with self._lock:
            self._all.append(Asked(line, time.monotonic()))

    def matching(self, pattern: str = "") -> list[Asked]:
        found = re.compile(pattern)
        with self._lock:
            return [asked for asked in self._all if found.search(asked.line)]

    def lines(self, pattern: str = "") -> list[str]:
        return [asked.line for asked in self.matching(pattern)]

    def count(self, pattern: str = "") -> int:
        return len(self.matching(pattern))

    def clear(self) -> None:
        with self._lock:
            self._all.clear()
