"""What is still open when a build ends without its agent: stages that ran, questions nobody answered; and why it was
stopped."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from builds.models import Build, InputRequest, Stage
from fangduoduo_release.common.models import Event


def close_what_is_open(build: Build) -> None:
    """Mark stages as cancelled and questions as aborted; harmless to repeat."""
    Stage.objects.filter(build=build, state__in=("running", "waiting", "pending")).update(
        state="cancelled", finished_at=Now()
    )
    InputRequest.objects.filter(build=build, answer="").update(answer="abort", answered_by="system")


def why_cancelled(build: Build) -> dict[str, Any] | None:
    """As a stored sentence: what made it needless, else who stopped it."""
    told = Event.objects.filter(topic=build.topic, kind__in=("superseded", "state")).exclude(text="")
    found = max(told, key=lambda event: (event.kind == "superseded", event.seq), default=None)
    return {"msgid": found.text, "params": found.data} if found else None
