"""One kind of run: so many effects, each to happen once, and a way to misbehave."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from fangduoduo_release.common.models import Run
from fangduoduo_release.common.states import State, StateTable

ENDS = frozenset({"done", "failed", "cancelled"})


class Job(Run):
    STATES: ClassVar[StateTable] = StateTable(
        [
            State("queued", "queued", "grey", "clock", moves=frozenset({"running", "failed", "cancelled"})),
            State("running", "running", "blue", "loader-2", moves=frozenset({"waiting", *ENDS})),
            State("waiting", "waiting", "violet", "hand-stop", moves=frozenset({"running", "cancelled"})),
            State("done", "done", "green", "circle-check", final=True),
            State("failed", "failed", "red", "circle-x", final=True),
            State("cancelled", "cancelled", "grey", "ban", final=True),
        ]
    )
    TOPIC: ClassVar[str] = "jobs"

    size = models.PositiveIntegerField(default=1)
    behaviour = models.CharField(max_length=20, default="good")

    def __str__(self) -> str:
        return f"job {self.pk}"
