"""Lines of `…/log?timestamps=true` as bytes arrive, and which of them were had before. Pure.

Kubernetes keeps nanoseconds, and a log is taken up again by whole seconds: what was had of that second comes again and is
left out by time and text.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

PIECE = 16 * 1024
REMEMBERED = 2048
SECOND = 1_000_000_000
_STAMP = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z"
)  # RFC3339Nano, which drops zeros at the end
_LONGEST_STAMP = 40


@dataclass(frozen=True, slots=True)
class Stamped:
    """`ns` since 1970; 0 for a line that the kubelet wrote itself and gave no time. `partial`: the line goes on."""

    ns: int
    data: bytes
    partial: bool = False

    @property
    def at(self) -> datetime:
        return moment(self.ns)


def moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC).replace(microsecond=ns % SECOND // 1000)


def zulu(at: datetime) -> str:
    """The whole second of it: servers take no finer word."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nanoseconds(stamp: bytes) -> int | None:
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    try:
        second = datetime.fromisoformat(found[1].decode() + found[3].decode().replace("Z", "+00:00"))
    except ValueError:
        return None
    return int(second.timestamp()) * SECOND + int((found[2] or b"0").ljust(9, b"0"))


class Splitter:
    """Whole lines, and pieces of ≤ 16 KiB of longer ones; never holds more than one piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._ns: int | None = None  # of the line that goes on
        self._second: tuple[bytes, int] = (b"", 0)  # lines of one second are many

    def feed(self, data: bytes) -> Iterator[Stamped]:
        parts = (self._rest + data).split(b"\n")
        self._rest = parts.pop()
        for part in parts:
            yield from self._whole(part)
        if len(self._rest) > PIECE + _LONGEST_STAMP:
            yield from self._begun()

    def end(self) -> Iterator[Stamped]:
        """What stands there without its newline, when the server has ended the log itself."""
        rest, self._rest = self._rest, b""
        if rest or self._ns is not None:
            yield from self._whole(rest)

    def _whole(self, line: bytes) -> Iterator[Stamped]:
        ns, text = (self._ns, line) if self._ns is not None else self._head(line)
        self._ns = None
        while len(text) > PIECE:
            yield Stamped(ns, text[:PIECE], partial=True)
            text = text[PIECE:]
        yield Stamped(ns, text)

    def _begun(self) -> Iterator[Stamped]:
        if self._ns is None:
            self._ns, self._rest = self._head(self._rest)
        while len(self._rest) > PIECE:
            yield Stamped(self._ns, self._rest[:PIECE], partial=True)
            self._rest = self._rest[PIECE:]

    def _head(self, line: bytes) -> tuple[int, bytes]:
        stamp, space, _ = line[: _LONGEST_STAMP + 1].partition(b" ")
        if stamp[:19] == self._second[0] and stamp[19:20] == b"." and stamp[-1:] == b"Z" and stamp[20:-1].isdigit():
            ns: int | None = self._second[1] + int(stamp[20:-1].ljust(9, b"0")[:9])
        else:
            ns = nanoseconds(stamp)
            if ns is not None and stamp.endswith(b"Z"):
                self._second = (stamp[:19], ns - ns % SECOND)
        if ns is None:
            return 0, line
        return ns, line[len(stamp) + len(space) :]


class Had:
    """The last lines that were handed on, so that none is handed on twice and none is left out."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=REMEMBERED)
        self._lines: deque[int] = deque(maxlen=REMEMBERED)
        self._seen: Counter[int] | None = None
        self._until = 0

    @property
    def since(self) -> str:
        """From when to take the log up again; "" before any line. A little earlier: two streams of one program may be
        written out of order."""
        return zulu(moment(self._times[-1] - SECOND // 10)) if self._times else ""

    def again(self) -> None:
        """What comes next may repeat what was had."""
        if self._times:
            self._seen, self._until = Counter(self._lines), max(self._times) + SECOND

    def is_new(self, line: Stamped) -> bool:
        """Says so once for each line; those from before everything that is remembered are not new."""
        if not line.ns:
            return self._seen is None
        key = hash((line.ns, line.data))
        if self._seen is not None:
            if line.ns > self._until:
                self._seen = None
            elif line.ns < self._times[0]:
                return False
            elif self._seen[key] > 0:
                self._seen[key] -= 1
                return False
        self._times.append(line.ns)
        self._lines.append(key)
        return True
