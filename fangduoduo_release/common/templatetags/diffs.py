"""Read a unified diff into lines a template can show. Knows no HTML; never fails on text that is not a diff."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$")
LINES_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`kind`: file, hunk, add, del, same. `old` and `new` are line numbers, None where there is none."""

    kind: str
    text: str
    old: int | None = None
    new: int | None = None

    @property
    def sign(self) -> str:
        return {"add": "+", "del": "−"}.get(self.kind, "")


def diff_lines(text: str) -> Iterator[DiffLine]:
    """The lines of a unified diff. A hunk ends where its header says: `--- a` is never taken for a removal."""
    old = new = old_end = new_end = 0
    source = ""
    for line in text.splitlines():
        hunk = HUNK.match(line)
        if hunk:
            old, new = int(hunk[1]), int(hunk[3])
            old_end, new_end = old + int(hunk[2] or 1), new + int(hunk[4] or 1)
            yield DiffLine("hunk", hunk[5].strip() or "…")
        elif old < old_end or new < new_end:
            kind = {"+": "add", "-": "del", "\\": ""}.get(line[:1], "same")
            if kind:
                is_old, is_new = kind != "add", kind != "del"
                yield DiffLine(kind, line[1:], old if is_old else None, new if is_new else None)
                old, new = old + is_old, new + is_new
        elif line.startswith("--- "):
            source = line[4:]
        elif line.startswith("+++ "):
            name = line[4:] if line[4:] != "/dev/null" else source
            yield DiffLine("file", re.sub(r"^[ab]/", "", name).split("\t")[0])
