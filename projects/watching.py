"""The duties over sources: compare tips, so that a push nobody told us about still becomes a build."""

from __future__ import annotations

import logging
import time

from django.db.models import F, Q
from django.db.models.functions import Now

from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.runs import in_seconds
from projects import listening, pushes, refused
from projects.drivers.source.base import STILL_FETCHING
from projects.drivers.source.git import GitSource
from projects.models import Project
from projects.repositories import ensure_repository
from projects.sources import source_of

logger = logging.getLogger(__name__)
BOUND_EVERY_S = 30.0
HEARD_EVERY_S = 180.0  # whose server tells us by itself
EMBEDDED_EVERY_S = 120.0
BUDGET_S = 20.0


def compare_tips() -> int:
    """Look at the projects whose turn it is, oldest look first, for at most BUDGET_S; returns how many moves were found."""
    until = time.monotonic() + BUDGET_S
    turn = Q(polled_at=None) | Q(polled_at__lt=in_seconds(-EMBEDDED_EVERY_S))
    turn |= ~Q(repository="") & listening.unheard() & Q(polled_at__lt=in_seconds(-BOUND_EVERY_S))
    turn |= Q(polled_at__lt=in_seconds(-HEARD_EVERY_S))
    found = 0
    away: set[int] = set()
    for project in Project.objects.filter(turn, archived=False).order_by(F("polled_at").asc(nulls_first=True))[:200]:
        if time.monotonic() > until:
            break
        if project.source_connection_id in away:
            continue
        Project.objects.filter(pk=project.pk).update(polled_at=Now())
        try:
            ensure_repository(project)
            found += pushes.compare(project)
        except AppError as error:
            logger.warning("cannot compare the tips of %s: %s", project.slug, error)
            if project.source_connection_id and _is_of_server(error):
                away.add(project.source_connection_id)  # the others there wait with it, and nobody for them
                of_server = Project.objects.filter(turn, source_connection=project.source_connection_id)
                of_server.update(polled_at=Now())
                # Next time another is asked first, also by a clock that has only milliseconds.
                Project.objects.filter(pk=project.pk).update(polled_at=in_seconds(0.001))
    return found


def _is_of_server(error: AppError) -> bool:
    """Whether it says anything about the other repositories there."""
    away = isinstance(error, Unavailable) and error.code != STILL_FETCHING
    return away or refused.is_of_account(error)


def tidy_repositories() -> int:
    """Clear leftovers and pack what was pushed, in the repositories that live here; returns how many."""
    done = 0
    until = time.monotonic() + BUDGET_S
    for project in Project.objects.filter(repository="", source_kind="git").order_by("?")[:200]:
        if time.monotonic() > until:
            break
        source, repository = source_of(project)
        if isinstance(source, GitSource):
            source.tidy(repository)
            done += 1
    return done
