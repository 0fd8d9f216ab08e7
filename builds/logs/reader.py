"""Reads a log, the same while it grows and after: bytes from an offset, rows of lines, steps, a search.

Costs a few blocks, never the whole log (a search reads on until it finds). Knows no request and no permission.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from . import marks as marking
from .blocks import Block, Head, block_at, block_before_line, head
from .lines import TEXT_LIMIT, text_of

MAX_ROWS = 2000
MAX_STEPS = 5000
PAGE_BYTES = 4 * 1024 * 1024  # of text in one answer

__all__ = ["Head", "Page", "Part", "Steps", "head", "lines", "marks", "pieces", "read"]


@dataclass(frozen=True, slots=True)
class Part:
    """Raw bytes from the asked offset. `complete` means that nothing will ever follow `next_offset`."""

    data: bytes = field(repr=False)
    next_offset: int
    total: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Page:
    """`rows` are [number, at_ms | None, stage, step, text, cut_bytes?]; `first` the row of the first of them."""

    first: int
    total_rows: int
    head: Head
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Steps:
    """`first_error` is a row of the view; `steps` are {step, stage, label, first_line (a row), line_count}."""

    first_error: int | None
    steps: list[dict[str, Any]]


def read(build_id: int, offset: int, limit: int) -> Part:
    """At most `limit` bytes from `offset`. An offset past the end gives nothing."""
    now = head(build_id)
    data = b"".join(pieces(now, offset, limit))
    reached = min(max(offset, 0), now.size) + len(data)
    return Part(data, reached, now.size, now.complete and reached >= now.size)


def pieces(now: Head, offset: int, limit: int | None = None) -> Iterator[bytes]:
    """The bytes from `offset` to the end as `now` knows it, block by block; does not disturb the cache."""
    end = now.size if limit is None else min(now.size, max(offset, 0) + limit)
    offset = max(offset, 0)
    while offset < end:
        block = block_at(now, offset, keep=False)
        if block is None:
            return
        yield block.data[offset - block.offset : end - block.offset]
        offset = block.end


def lines(build_id: int, first: int, count: int, stages: Set[str] | None = None) -> Page:
    """Rows from `first` on (from 1; below zero counts from the end: -500 is the last 500) of the view of `stages`."""
    now = head(build_id)
    table = marking.table(build_id)
    runs = table.runs(stages, now.lines)
    total = marking.rows_in(runs)
    first = max(1, total + 1 + first) if first < 0 else max(1, first)
    rows: list[list[Any]] = []
    room = PAGE_BYTES
    for line, number in marking.pieces(runs, first, min(count, MAX_ROWS)):
        for row in _rows(now, table, line, number):
            rows.append(row)
            room -= len(row[4])
            if room < 0:
                return Page(first, total, now, rows)
    return Page(first, total, now, rows)


def marks(build_id: int, stages: Set[str] | None = None) -> Steps:
    """Where the steps of a view begin, for folding, and its first error."""
    now = head(build_id)
    table = marking.table(build_id)
    error = marking.row_of(table.runs(stages, now.lines), now.first_error) if now.first_error else None
    steps = [
        {"step": owner.step, "stage": owner.stage, "label": owner.label, "first_line": row, "line_count": count}
        for owner, row, count in table.steps(stages, now.lines, MAX_STEPS)
    ]
    return Steps(error, steps)


def start_of(now: Head, table: marking.MarkTable, line: int) -> int | None:
    """The offset of a line's first byte; None past the end."""
    if not 1 <= line <= now.lines:
        return None
    at = table.at_line(line)
    if at >= 0 and table.lines[at] == line:
        return table.offsets[at]
    block = block_before_line(now, line)
    while block is not None:
        number, position = block.first_line, 0
        while number < line:
            position = block.data.find(b"\n", position) + 1
            if not position:
                break
            number += 1
        if number == line and position < len(block.data):
            return block.offset + position
        if number == line:
            return block.end
        block = block_at(now, block.end)
    return None


def _rows(now: Head, table: marking.MarkTable, line: int, count: int) -> Iterator[list[Any]]:
    offset = start_of(now, table, line)
    if offset is None:
        return
    at = table.at_line(line)
    for number, (text, size) in enumerate(_scan(now, offset, count), start=line):
        while at + 1 < len(table) and table.lines[at + 1] <= number:
            at += 1
        owner = table.owner(at) if at >= 0 else marking.NOBODY
        row = [number, table.times[at] if at >= 0 else None, owner.stage, owner.step, text_of(text)]
        if size > len(text):
            row.append(size - len(text))
        yield row


def _scan(now: Head, offset: int, count: int) -> Iterator[tuple[bytes, int]]:
    """`count` lines from `offset`: the first TEXT_LIMIT bytes of each and its whole size, without the newline."""
    begun, size = b"", 0
    block: Block | None = block_at(now, offset)
    while block is not None and count > 0:
        position = offset - block.offset
        while count > 0:
            newline = block.data.find(b"\n", position)
            end = newline if newline >= 0 else len(block.data)
            begun += block.data[position : min(end, position + TEXT_LIMIT - len(begun))]
            size += end - position
            if newline < 0:
                break
            yield begun, size
            begun, size, position = b"", 0, newline + 1
            count -= 1
        offset = block.end
        block = block_at(now, offset)
