"""What the shim tells the world: one JSON file, replaced as a whole when something changed.

Must not know what the values mean. Lean: imported by the shim.
"""

# The shim must not carry pathlib.
# ruff: noqa: PTH105, PTH123

from __future__ import annotations

import json
import os

from clusters.drivers.process import procfs


def fresh_status(position: list[int]) -> dict[str, object]:
    """Before the first run. See `handle.ShimStatus` for the reader's side."""
    me = os.getpid()
    return {
        "shim": me, "shim_ticks": procfs.start_ticks(me), "state": "starting", "pid": 0, "ticks": 0, "ready": False,
        "ever_ready": False, "started_at": 0.0, "restarts": 0, "exit_code": None, "exit_signal": None,
        "reason": "", "detail": "", "run": position, "previous_run": None,
    }  # fmt: skip


class StatusFile:
    """Written only when it says something new; a full disk leaves the last word in place."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.told: dict[str, object] = {}

    def write(self, status: dict[str, object]) -> None:
        if status == self.told:
            return
        try:
            with open(self.path + ".new", "w", encoding="utf-8") as file:
                json.dump(status, file)
            os.replace(self.path + ".new", self.path)
        except OSError:
            return
        self.told = dict(status)
