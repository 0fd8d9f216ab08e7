"""Which lines belong to which stage and step, and when they were written: a log's marks in memory, kept up to date.

Marks are only ever appended, so a table asks the database just for what came since. Knows lines and rows, no bytes.
A *row* counts lines of a view from 1: of the whole log, or of some of its stages.
"""

from __future__ import annotations

import bisect
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Set
from dataclasses import dataclass

from builds.models import LogMark

TABLES = 32  # logs whose marks this process remembers; one of 50,000 marks takes about 2 MB


@dataclass(frozen=True, slots=True)
class Owner:
    """A stage ("" for none) and one of its steps."""

    stage: str
    step: int
    label: str


NOBODY = Owner("", 0, "")


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive lines that are consecutive rows of a view too."""

    row: int
    line: int
    count: int


class MarkTable:
    """The marks of one log, in order of lines."""

    def __init__(self, build_id: int) -> None:
        self.build_id = build_id
        self.lines = array("q")
        self.offsets = array("q")
        self.times = array("q")
        self._owner_of = array("L")
        self.owners: list[Owner] = []
        self._known: dict[Owner, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.offsets)

    def refresh(self) -> MarkTable:
        """Read the marks that came since."""
        with self._lock:
            last = self.lines[-1] if self.lines else 0
            rows = LogMark.objects.filter(build_id=self.build_id, line__gt=last).order_by("line")
            columns = rows.values_list("line", "offset", "at_ms", "stage", "step", "label")
            for line, offset, at_ms, stage, step, label in columns:
                self._owner_of.append(self._number_of(Owner(stage, step, label)))
                self.times.append(at_ms)
                self.lines.append(line)
                self.offsets.append(offset)
        return self

    def owner(self, index: int) -> Owner:
        return self.owners[self._owner_of[index]]

    def at_line(self, line: int) -> int:
        """Index of the mark that line `line` belongs to; -1 before the first."""
        return bisect.bisect_right(self.lines, line, hi=len(self)) - 1

    def at_offset(self, offset: int) -> int:
        """Index of the mark that the byte at `offset` belongs to; -1 before the first."""
        return bisect.bisect_right(self.offsets, offset) - 1

    def runs(self, stages: Set[str] | None, total: int) -> list[Run]:
        """The view of `stages` (None: everything) of a log of `total` lines, as runs of rows."""
        if stages is None:
            return [Run(1, 1, total)] if total else []
        found: list[Run] = []
        row = 1
        for index, begin, end in self._spans(total):
            if self.owner(index).stage not in stages:
                continue
            if found and found[-1].line + found[-1].count == begin:
                before = found[-1]
                found[-1] = Run(before.row, before.line, before.count + end - begin)
            else:
                found.append(Run(row, begin, end - begin))
            row += end - begin
        return found

    def steps(self, stages: Set[str] | None, total: int, limit: int) -> list[tuple[Owner, int, int]]:
        """(owner, first row, count) per run of consecutive rows of one step, at most `limit`."""
        found: list[tuple[Owner, int, int]] = []
        row = 1
        for index, begin, end in self._spans(total):
            owner = self.owner(index)
            if stages is not None and owner.stage not in stages:
                continue
            if found and (found[-1][0].stage, found[-1][0].step) == (owner.stage, owner.step):
                found[-1] = (found[-1][0], found[-1][1], found[-1][2] + end - begin)
            elif len(found) == limit:
                break
            else:
                found.append((owner, row, end - begin))
            row += end - begin
        return found

    def _spans(self, total: int) -> Iterator[tuple[int, int, int]]:
        """(index, first line, line after the last) of every mark, within the first `total` lines."""
        count = len(self)
        for index in range(count):
            begin = self.lines[index]
            end = self.lines[index + 1] if index + 1 < count else total + 1
            if begin > total:
                return
            yield index, begin, min(end, total + 1)

    def _number_of(self, owner: Owner) -> int:
        number = self._known.setdefault(owner, len(self.owners))
        if number == len(self.owners):
            self.owners.append(owner)
        return number


_tables: OrderedDict[int, MarkTable] = OrderedDict()
_lock = threading.Lock()


def table(build_id: int) -> MarkTable:
    """The up-to-date marks of a build's log."""
    with _lock:
        found = _tables.setdefault(build_id, MarkTable(build_id))
        _tables.move_to_end(build_id)
        while len(_tables) > TABLES:
            _tables.popitem(last=False)
    return found.refresh()


def row_of(runs: list[Run], line: int) -> int | None:
    """The row of a line in a view; None when the view does not hold it."""
    at = bisect.bisect_right(runs, line, key=lambda run: run.line) - 1
    if at < 0 or line >= runs[at].line + runs[at].count:
        return None
    return runs[at].row + line - runs[at].line


def rows_in(runs: list[Run]) -> int:
    return runs[-1].row + runs[-1].count - 1 if runs else 0


def pieces(runs: list[Run], first: int, count: int) -> Iterator[tuple[int, int]]:
    """(first line, number of lines) for the rows from `first` on, at most `count` of them."""
    at = max(0, bisect.bisect_right(runs, first, key=lambda run: run.row) - 1)
    for run in runs[at:]:
        skip = max(0, first - run.row)
        take = min(run.count - skip, count)
        if take > 0:
            yield run.line + skip, take
            count -= take
        if count <= 0:
            return
