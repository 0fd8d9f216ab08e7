"""Groovy values as texts, booleans, numbers and durations: what steps make of their arguments.

Knows nothing of steps themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fangduoduo_release.common.sentence import S

from .control import StepFailed

_UNITS = {
    "NANOSECONDS": 1e-9,
    "MICROSECONDS": 1e-6,
    "MILLISECONDS": 1e-3,
    "SECONDS": 1.0,
    "MINUTES": 60.0,
    "HOURS": 3600.0,
    "DAYS": 86400.0,
}


def text_of(value: Any) -> str:
    """As Groovy's toString: `null`, `true`, `[a, b]`, `[k:v]`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "[" + (", ".join(f"{text_of(k)}:{text_of(v)}" for k, v in value.items()) or ":") + "]"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(text_of(v) for v in value) + "]"
    return str(value)


def truth(value: Any) -> bool:
    """Groovy's truth: empty texts, collections, zero and null are false, every other text is true."""
    return bool(value)


def flag_of(value: Any) -> bool:
    """A boolean argument or parameter; the texts `true`, `on`, `yes` and `1` count too."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "on", "yes", "1")
    return bool(value)


def number_of(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise StepFailed(S("%(what)s must be a number.", what=what))
    try:
        number = float(value)
    except ValueError:
        raise StepFailed(S("%(what)s must be a number.", what=what)) from None
    if not 0 <= number < 1e9:
        raise StepFailed(S("%(what)s must be a number.", what=what))
    return number


def seconds_of(time: Any, unit: Any, default_unit: str) -> float:
    """A duration in seconds from Jenkins' `time` and `unit`."""
    name = text_of(unit).upper() if unit is not None else default_unit
    if name not in _UNITS:
        raise StepFailed(S("“%(unit)s” is no unit of time.", unit=name[:40]))
    return number_of(time, "time") * _UNITS[name]


def spoken(seconds: float) -> str:
    """A duration for people: `90 s`, `5 min`, `2 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:g} s"


def same(left: Any, right: Any) -> bool:
    """Groovy's equals on plain values: a text is never a number, and true is never 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
