"""What both sides of the comparison do per step: append one byte to a file. The engine does it durably."""

from __future__ import annotations

import os
from typing import Any

from fangduoduo_release.common import runs, steps
from fangduoduo_release.common.engines import Again

from . import STEPS
from .models import Count


def effect() -> None:
    """The outside effect: cheap, and countable from another process."""
    descriptor = os.open(os.environ["FDD_BENCH_TALLY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b".")
    finally:
        os.close(descriptor)


class CountEngine:
    kind = "count"
    model = Count

    def mine(self, rows: Any) -> Any:
        return rows

    def advance(self, run: Count) -> Again | None:
        if run.state == "queued":
            runs.transition(run, "running")
        number = int(run.phase or 0) + 1
        steps.once(run, "count", effect, suffix=str(number), changes={"phase": str(number)})
        if number == STEPS:
            runs.transition(run, "succeeded")
            return None
        return Again()
