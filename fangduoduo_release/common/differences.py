"""Two texts as a unified diff, the way every page and the API show one."""

from __future__ import annotations

import difflib

MOST_LINES = 4_000  # of the part that differs: looking for likeness costs the square of it


def unified(old: str, new: str, old_name: str, new_name: str) -> str:
    """Empty when they are the same."""
    if old == new:
        return ""
    before, after = _lines(old), _lines(new)
    lines = difflib.unified_diff(before, after, old_name, new_name)
    if _middle(before, after) > MOST_LINES:
        lines = iter([f"--- {old_name}\n", f"+++ {new_name}\n", *_replaced(before, after)])
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _middle(before: list[str], after: list[str]) -> int:
    """How many lines are left when the same ones at both ends are taken off."""
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    return max(len(before), len(after)) - head - tail


def _alike(before: list[str], after: list[str]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )


def _replaced(before: list[str], after: list[str]) -> list[str]:
    """Everything between the same ends, as taken away and put in."""
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    where = f"@@ -{head + 1 if old else head},{len(old)} +{head + 1 if new else head},{len(new)} @@\n"
    return [where, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]
