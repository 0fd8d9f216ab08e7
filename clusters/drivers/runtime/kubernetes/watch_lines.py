"""From chunks of a watch's answer to whole lines. A line too long is passed over, a cut one is none. Pure."""

from __future__ import annotations

LONGEST = 4 << 20  # an object of etcd has 1.5 MiB at most


class Lines:
    """`passed_over` counts lines that were too long."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False
        self.passed_over = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are whole now, without their end, empty ones left out."""
        first, *more = chunk.split(b"\n")
        if not more:
            self._keep(first)
            return []
        lines = [self._ended(first), *(line if len(line) <= self._longest else self._too_long() for line in more[:-1])]
        self._keep(more[-1])
        return [line for line in lines if line]

    def _keep(self, part: bytes) -> None:
        if self._skipping:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._longest:
            self._skipping = True
            self._parts, self._size = [], 0

    def _ended(self, part: bytes) -> bytes:
        self._keep(part)
        line = self._too_long() if self._skipping else b"".join(self._parts)
        self._parts, self._size, self._skipping = [], 0, False
        return line

    def _too_long(self) -> bytes:
        self.passed_over += 1
        return b""
