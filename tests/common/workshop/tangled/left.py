"""See the package."""

from __future__ import annotations

import time

time.sleep(0.5)

from . import right  # noqa: E402 - the pause is what makes two threads meet


def left() -> None:
    right.note("tangled", "left")
