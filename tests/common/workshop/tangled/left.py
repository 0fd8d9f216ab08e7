"""See the package."""

from __future__ import annotations

LEFT = "left"

from .shared import note  # noqa: E402


def left() -> None:
    note("tangled", LEFT)
