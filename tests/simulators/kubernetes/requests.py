"""What was asked of the API server, and how often."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque


class Requests:
    """`counts`: by verb and resource, as `list pods`, `watch events`, `patch deployments`. Any thread may look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=50_000)
        self._counts: Counter[str] = Counter()
        self.total = 0

    def note(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            self.total += 1

    def count(self, verb: str, resource: str) -> None:
        with self._lock:
            self._counts[f"{verb} {resource}"] += 1

    @property
    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def lines(self, pattern: str = "") -> list[str]:
        with self._lock:
            return [line for line in self._lines if re.search(pattern, line)]

    def forget(self) -> None:
        with self._lock:
            self._lines.clear()
            self._counts.clear()
            self.total = 0
