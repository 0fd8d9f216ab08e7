"""How instances are called and coloured in logs: the same in a page and in `static/js/servicelog.js`."""

from __future__ import annotations

SHADES = 8
LONG = 20


def shade(name: str) -> int:
    return sum(map(ord, name)) % SHADES


def short(name: str) -> str:
    """The end of a long name, by which pods of one service differ."""
    return "-".join(name.split("-")[-2:]) if len(name) > LONG else name
