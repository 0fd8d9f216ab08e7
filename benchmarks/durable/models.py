"""A run that counts to STEPS and is done."""

from __future__ import annotations

from typing import ClassVar

from fangduoduo_release.common.models import Run
from fangduoduo_release.common.states import State, StateTable


class Count(Run):
    STATES: ClassVar[StateTable] = StateTable(
        [
            State("queued", "queued", "grey", "clock", moves=frozenset({"running"})),
            State("running", "running", "blue", "loader-2", moves=frozenset({"succeeded"})),
            State("succeeded", "succeeded", "green", "circle-check", final=True),
        ]
    )
    TOPIC: ClassVar[str] = "count"

    def __str__(self) -> str:
        return f"count {self.pk}"
