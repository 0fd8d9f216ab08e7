"""See the package."""

from __future__ import annotations

RIGHT = "right"

from .shared import note  # noqa: E402


def right() -> None:
    note("tangled", RIGHT)
