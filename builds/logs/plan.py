"""What one batch of log lines becomes: blocks, marks, totals. Decides; stores nothing and asks no database.

Small blocks keep a slow log fresh, big ones keep it small: a batch adds a small block, and as soon as a whole BLOCK
(or MANY_SMALL of them) is there they are replaced by one. Bytes, offsets and line numbers never change by that.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from dataclasses import dataclass, field

from . import lines as text

MANY_SMALL = 32
LEVEL = 6  # measured on compiler, test and download output: ≥ 1:8, about 50 MB/s
MARK_EVERY_MS = 1000
SOFT_MARKS = 5_000  # from here on times are coarser and parallel lines are grouped per batch
HARD_MARKS = 50_000
COARSE_MS = 10_000
REMEMBERED_STEPS = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one append. `begins_line` is false for the later parts of a long one."""

    data: bytes
    stage: str
    step: int
    label: str
    at_ms: int
    begins_line: bool = True


@dataclass(frozen=True, slots=True)
class Totals:
    """The log as stored. `rows` counts chunk rows, `stored` their compressed bytes, `marks` the marks."""

    size: int = 0
    lines: int = 0
    rows: int = 0
    stored: int = 0
    first_error: int | None = None
    marks: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One chunk row; `first_line` is the number (from 1) of the line that holds the byte at `offset`."""

    offset: int
    size: int
    first_line: int
    lines: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """From `line` (from 1), whose first byte is at `offset`, on."""

    line: int
    offset: int
    at_ms: int
    stage: str
    step: int
    label: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One storing transaction: from `before` to `after`; rows from `replace_from` on (None: none) give way to `rows`."""

    before: Totals
    after: Totals
    rows: tuple[Row, ...]
    marks: tuple[Mark, ...]
    replace_from: int | None
    tail: bytes = field(repr=False)
    tail_offset: int
    tail_line: int
    tail_stored: tuple[int, ...]


class Planner:
    """Follows the log's state from batch to batch. `plan` changes nothing; `accept` makes the plan the state."""

    def __init__(self, build_id: int, totals: Totals) -> None:
        self.build_id = build_id
        self._totals = totals
        self._tail = b""
        self._tail_offset = totals.size
        self._tail_line = totals.lines + 1
        self._tail_stored: tuple[int, ...] = ()
        self._last_mark: Mark | None = None
        self._errors: OrderedDict[tuple[str, int], int | None] = OrderedDict()
        self._last_lines: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._blamed = False

    @property
    def size(self) -> int:
        return self._totals.size

    @property
    def first_error(self) -> int | None:
        return self._totals.first_error

    def plan(self, batch: list[Piece]) -> Plan:
        if self._totals.marks >= SOFT_MARKS:
            batch = grouped(batch)
        new = b"".join(piece.data for piece in batch)
        marks, error = self._walk(batch)
        rows, replace_from, tail = self._blocks(new)
        replaced = self._tail_stored if replace_from is not None else ()
        small = rows[-1:] if tail else []
        stored_tail = tuple(len(row.data) for row in small)
        before = self._totals
        after = Totals(
            size=before.size + len(new),
            lines=before.lines + new.count(b"\n"),
            rows=before.rows + len(rows) - len(replaced),
            stored=before.stored + sum(len(row.data) for row in rows) - sum(replaced),
            first_error=before.first_error if before.first_error is not None else error,
            marks=before.marks + len(marks),
        )
        return Plan(
            before=before,
            after=after,
            rows=tuple(rows),
            marks=tuple(marks),
            replace_from=replace_from,
            tail=tail,
            tail_offset=after.size - len(tail),
            tail_line=after.lines + 1 - tail.count(b"\n"),
            tail_stored=stored_tail if replace_from is not None else self._tail_stored + stored_tail,
        )

    def accept(self, plan: Plan) -> None:
        self._totals = plan.after
        self._tail, self._tail_offset, self._tail_line = plan.tail, plan.tail_offset, plan.tail_line
        self._tail_stored = plan.tail_stored
        if plan.marks:
            self._last_mark = plan.marks[-1]

    def blame(self, stage: str, step: int | None) -> None:
        """The first failing step decides where the first error is: its own first suspicious line, else its last.

        `step` None means the last step that wrote in this stage."""
        if step is None:
            step = next((known for name, known in reversed(self._last_lines) if name == stage), 0)
        line = self._errors.get((stage, step)) or self._last_lines.get((stage, step))
        if line is None or self._blamed:
            return
        self._blamed = True
        now = self._totals
        self._totals = Totals(now.size, now.lines, now.rows, now.stored, line, now.marks)

    def _blocks(self, new: bytes) -> tuple[list[Row], int | None, bytes]:
        """Rows for the new bytes; where existing small rows give way; what stays small."""
        whole = self._tail + new
        if len(whole) < text.BLOCK and len(self._tail_stored) < MANY_SMALL:
            row = pack(new, self._totals.size, self._totals.lines + 1)
            return [row], None, whole
        rows: list[Row] = []
        offset, line, start = self._tail_offset, self._tail_line, 0
        while len(whole) - start >= text.BLOCK:
            end = text.cut(whole, start)
            rows.append(pack(whole[start:end], offset, line))
            offset, line, start = offset + end - start, line + rows[-1].lines, end
        tail = whole[start:]
        if tail:
            rows.append(pack(tail, offset, line))
        return rows, (self._tail_offset if self._tail_stored else None), tail

    def _walk(self, batch: list[Piece]) -> tuple[list[Mark], int | None]:
        """Marks of the batch and its first suspicious line; remembers first errors and last lines per step."""
        marks: list[Mark] = []
        last = self._last_mark
        line, offset = self._totals.lines + 1, self._totals.size
        found: int | None = None
        count = self._totals.marks
        for piece in batch:
            if piece.begins_line and wants_mark(last, piece, count + len(marks)):
                last = Mark(line, offset, piece.at_ms, piece.stage, piece.step, piece.label)
                marks.append(last)
            error = self._suspect(piece, line)
            found = error if found is None else found
            line += piece.data.count(b"\n")
            offset += len(piece.data)
            remember(self._last_lines, (piece.stage, piece.step), line - 1)
        return marks, found

    def _suspect(self, piece: Piece, line: int) -> int | None:
        """The piece's first suspicious line while its step has none yet (only then it is looked at)."""
        key = (piece.stage, piece.step)
        if self._errors.get(key) is not None:
            return None
        index = text.first_error(piece.data)
        if index is None:
            return None
        remember(self._errors, key, line + index)
        return line + index


def pack(data: bytes, offset: int, line: int) -> Row:
    return Row(offset, len(data), line, data.count(b"\n"), gzip.compress(data, LEVEL, mtime=0))


def wants_mark(last: Mark | None, piece: Piece, count: int) -> bool:
    if last is None:
        return True
    passed = abs(piece.at_ms - last.at_ms)
    if count >= HARD_MARKS:
        return passed >= COARSE_MS
    if (piece.stage, piece.step) != (last.stage, last.step):
        return True
    return passed >= (MARK_EVERY_MS if count < SOFT_MARKS else COARSE_MS)


def grouped(batch: list[Piece]) -> list[Piece]:
    """Lines of parallel branches brought together within one batch (100 ms), in order within each branch."""
    groups: dict[tuple[str, int], list[Piece]] = {}
    for piece in batch:
        groups.setdefault((piece.stage, piece.step), []).append(piece)
    return [piece for group in groups.values() for piece in group]


def remember(
    memory: OrderedDict[tuple[str, int], int] | OrderedDict[tuple[str, int], int | None],
    key: tuple[str, int],
    line: int,
) -> None:
    memory[key] = line
    memory.move_to_end(key)
    while len(memory) > REMEMBERED_STEPS:
        memory.popitem(last=False)
