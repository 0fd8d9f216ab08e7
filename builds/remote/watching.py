"""Somebody looks at a build: its stages and log are worth reading from the server for a while."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from builds.models import RemoteBuild

WATCHED_S = 20.0
AGAIN_S = 8.0  # how often a viewer says so


def watched(build_id: int) -> None:
    """Say that somebody looks; nothing happens for builds of this host and for those that have ended."""
    now = timezone.now()
    stale = Q(watched_until=None) | Q(watched_until__lt=now + timedelta(seconds=WATCHED_S - AGAIN_S))
    RemoteBuild.objects.filter(stale, pk=build_id, log_complete=False).update(
        watched_until=now + timedelta(seconds=WATCHED_S)
    )
