"""Two texts as a unified diff, the way every page and the API show one."""

from __future__ import annotations

import difflib


def unified(old: str, new: str, old_name: str, new_name: str) -> str:
    """Empty when they are the same."""
    lines = difflib.unified_diff(_lines(old), _lines(new), old_name, new_name)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
