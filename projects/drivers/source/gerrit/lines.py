"""From the bytes of a stream to whole lines; what cannot be a line is said so, and never costs memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Oversize:
    """A line longer than LONGEST was skipped to its end; it had so many bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Half:
    """The stream ended in the middle of a line, after so many bytes of it."""

    size: int


Heard = bytes | Oversize | Half


class Lines:
    """Cuts what is fed into lines, each given out once, without its line end; empty ones are left out."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._begun = bytearray()
        self._skipped = 0  # bytes of a line that is too long and has not ended yet

    def feed(self, chunk: bytes) -> Iterator[Heard]:
        """The lines that end in `chunk`."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            yield from self._end(piece)
        self._add(rest)

    def close(self) -> Iterator[Heard]:
        """What is left when nothing more comes."""
        if self._skipped or self._begun.strip():
            yield Half(self._skipped or len(self._begun))
        self._begun, self._skipped = bytearray(), 0

    def _end(self, piece: bytes) -> Iterator[Heard]:
        self._add(piece)
        if self._skipped:
            yield Oversize(self._skipped)
        elif line := bytes(self._begun).strip():
            yield line
        self._begun, self._skipped = bytearray(), 0

    def _add(self, piece: bytes) -> None:
        if self._skipped or len(self._begun) + len(piece) > self._longest:
            self._skipped = (self._skipped or len(self._begun)) + len(piece)
            self._begun = bytearray()
        else:
            self._begun += piece
