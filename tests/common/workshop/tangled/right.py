"""See the package."""

from __future__ import annotations

import time

from tests.common.workshop.duties import note

time.sleep(0.5)

from . import left as _left  # noqa: E402,F401 - the pause is what makes two threads meet


def right() -> None:
    note("tangled", "right")
