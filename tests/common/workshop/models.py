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
            State("queued", "queued", moves=frozenset({"running", "failed", "cancelled"})),
            State("running", "running", moves=frozenset({"waiting", *ENDS})),
            State("waiting", "waiting", moves=frozenset({"running", "cancelled"})),
            State("done", "done", final=True),
            State("failed", "failed", final=True),
            State("cancelled", "cancelled", final=True),
        ]
    )
    TOPIC: ClassVar[str] = "jobs"

    size = models.PositiveIntegerField(default=1)
    behaviour = models.CharField(max_length=20, default="good")

    def __str__(self) -> str:
        return f"job {self.pk}"
