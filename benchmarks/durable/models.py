"""A run that counts to STEPS and is done."""

from __future__ import annotations

from typing import ClassVar

from fangduoduo_release.common.models import Run
from fangduoduo_release.common.states import State, StateTable


class Count(Run):
    STATES: ClassVar[StateTable] = StateTable(
        [
            State("queued", "queued", moves=frozenset({"running"})),
            State("running", "running", moves=frozenset({"succeeded"})),
            State("succeeded", "succeeded", final=True),
        ]
    )
    TOPIC: ClassVar[str] = "count"

    def __str__(self) -> str:
        return f"count {self.pk}"
