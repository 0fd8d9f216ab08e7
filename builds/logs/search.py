"""Looks for words in a log, on from a row in either direction: plain text, ASCII letters in either case."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Literal

from . import marks as marking
from .blocks import Head, block_at, head
from .reader import start_of

MAX_WORDS = 500  # bytes


def find(
    build_id: int, words: str, after: int, direction: Literal["next", "prev"] = "next", stages: Set[str] | None = None
) -> int | None:
    """The nearest row behind (or before) row `after` whose line holds `words`; None when there is none."""
    needle = words.encode("utf-8", "replace")[:MAX_WORDS].lower()
    if not needle or b"\n" in needle:
        return None
    now = head(build_id)
    table = marking.table(build_id)
    runs = table.runs(stages, now.lines)
    total = marking.rows_in(runs)
    row = max(after, 0) + 1 if direction == "next" else min(after, total + 1) - 1
    if not 1 <= row <= total:
        return None
    line = next(marking.pieces(runs, row, 1))[0]
    offset = start_of(now, table, line)
    if offset is None:
        return None
    hits = _forward(now, offset, needle) if direction == "next" else _backward(now, offset, needle)
    return next((found for hit in hits if (found := marking.row_of(runs, hit)) is not None), None)


def _forward(now: Head, offset: int, needle: bytes) -> Iterator[int]:
    """Numbers of lines with the needle, from the line that begins at `offset` on."""
    rest = b""  # end of a line that goes on in the next block
    while block := block_at(now, offset, keep=False):
        skipped = block.data[: offset - block.offset]
        data = rest + block.data[len(skipped) :].lower()
        yield from _hits(data, block.first_line + skipped.count(b"\n"), needle)
        rest = data[max(data.rfind(b"\n") + 1, len(data) - len(needle) + 1) :]
        offset = block.end


def _backward(now: Head, offset: int, needle: bytes) -> Iterator[int]:
    """Numbers of lines with the needle, from the line that begins at `offset` back."""
    end = _end_of_line(now, offset)
    rest = b""  # beginning of the next block, where a line goes on
    while block := block_at(now, end - 1, keep=False):
        own = block.data[: end - block.offset].lower()
        yield from reversed(_hits(own if own.endswith(b"\n") else own + rest, block.first_line, needle))
        rest = (own + rest)[: len(needle) - 1]
        end = block.offset


def _hits(data: bytes, line: int, needle: bytes) -> list[int]:
    """Numbers of the lines of `data` with the needle; `line` is the number of the first one."""
    found: list[int] = []
    position = 0
    while (hit := data.find(needle, position)) >= 0:
        line += data.count(b"\n", position, hit)
        found.append(line)
        newline = data.find(b"\n", hit)
        if newline < 0:
            break
        line, position = line + 1, newline + 1
    return found


def _end_of_line(now: Head, offset: int) -> int:
    """The offset after the newline of the line that holds `offset`."""
    while block := block_at(now, offset, keep=False):
        newline = block.data.find(b"\n", offset - block.offset)
        if newline >= 0:
            return block.offset + newline + 1
        offset = block.end
    return now.size
