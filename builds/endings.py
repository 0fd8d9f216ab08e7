"""What is still open when a build ends without its agent: stages that ran, questions nobody answered."""

from __future__ import annotations

from django.db.models.functions import Now

from builds.models import Build, InputRequest, Stage


def close_what_is_open(build: Build) -> None:
    """Mark stages as cancelled and questions as aborted; harmless to repeat."""
    Stage.objects.filter(build=build, state__in=("running", "waiting", "pending")).update(
        state="cancelled", finished_at=Now()
    )
    InputRequest.objects.filter(build=build, answer="").update(answer="abort", answered_by="system")
