"""Reading Jenkins' JSON without trusting its shape: what is not there, or is something else, is empty."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from builds.drivers.builder.remote import KEY

LATEST_MS = 4_102_444_800_000  # the year 2100: beyond it is no time


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[dict[str, Any]]:
    """The objects in a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def at(milliseconds: Any) -> datetime | None:
    """A time; None for none."""
    found = number(milliseconds)
    return datetime.fromtimestamp(found / 1000, UTC) if found and found < LATEST_MS else None


def key_of(thing: dict[str, Any]) -> str:
    """The build key among a build's or a queue item's parameters."""
    for action in items(thing.get("actions")):
        for parameter in items(action.get("parameters")):
            if parameter.get("name") == KEY:
                return text(parameter.get("value"))
    return ""


def classes(thing: dict[str, Any]) -> Iterator[str]:
    """The plain class names of a build's actions."""
    for action in items(thing.get("actions")):
        yield text(action.get("_class")).rpartition(".")[2]
