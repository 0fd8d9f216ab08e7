"""What Jenkins writes becomes our log's pieces: which stage a line belongs to, when it was written, no secrets, no tricks.

Stages are told by `[Pipeline] { (Name)` and `[Pipeline] // stage`; lines of parallel branches carry no mark of their own
and go to the branch that opened last. Times come from the `timestamps` option where a pipeline has it and are taken off.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from builds.drivers.builder.embedded.mask import Masker
from builds.drivers.builder.embedded.sanitise import Sanitiser
from builds.logs.plan import Piece

_STAMP = re.compile(rb"\A\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z\] ?")
_OPENS = re.compile(rb"\A\[Pipeline\] \{ \((?:Branch: )?(.+)\)\s*\Z")
_CLOSES = re.compile(rb"\A\[Pipeline\] // stage\s*\Z")


class Shaper:
    """Feed whole lines in order; get pieces in order. `idents`: the stage rows' idents by name."""

    def __init__(self, secrets: Iterable[str], idents: Mapping[str, str], stage: str = "") -> None:
        self._masker = Masker(secrets)
        self._sanitiser = Sanitiser()
        self._idents = idents
        self._open: list[str] = [stage] if stage else []
        self._second = b""
        self._second_ms = 0

    def shape(self, data: bytes) -> list[Piece]:
        """`data` ends in a newline. Neighbouring lines of one stage and second are one piece."""
        masked = self._masker.feed(data) + self._masker.finish()
        now = int(time.time() * 1000)
        pieces: list[Piece] = []
        lines: list[bytes] = []
        key: tuple[str, int] | None = None
        for line in masked.splitlines(keepends=True):
            text, at_ms = self._stamped(line, now)
            owner = (self._follow(text), at_ms)
            if key is not None and (owner[0] != key[0] or abs(owner[1] - key[1]) >= 1000):
                pieces += self._piece(lines, key)
                lines = []
                key = None
            key = key or owner
            lines.append(text)
        return pieces + (self._piece(lines, key) if key else [])

    def _piece(self, lines: list[bytes], key: tuple[str, int]) -> list[Piece]:
        clean = self._sanitiser.feed(b"".join(lines))
        return [Piece(clean, key[0], 0, "", key[1])] if clean else []

    def _stage(self) -> str:
        return next((name for name in reversed(self._open) if name), "")

    def _follow(self, line: bytes) -> str:
        """The stage a line belongs to; one that opens or closes a stage belongs to that stage."""
        stage = self._stage()
        if line.startswith(b"[Pipeline]"):
            if opened := _OPENS.match(line):
                self._open.append(self._idents.get(opened[1].decode("utf-8", "replace"), ""))
                stage = self._stage()
            elif _CLOSES.match(line) and self._open:
                self._open.pop()
        return stage

    def _stamped(self, line: bytes, now: int) -> tuple[bytes, int]:
        """The line without its time, and its time in Unix milliseconds."""
        found = _STAMP.match(line)
        if found is None:
            return line, now
        if found[1] != self._second:
            at = datetime.strptime(found[1].decode(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
            self._second, self._second_ms = found[1], int(at.timestamp() * 1000)
        return line[found.end() :], self._second_ms + int(found[2])
