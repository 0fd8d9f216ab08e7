"""A ref moved: noticed once, by whoever saw it (the push itself or a comparison of tips), stored in the inbox.

The order of notices does not matter and repeating one is harmless; the inbox row is committed before anybody is
answered, and from then on the intake engine owns it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction

from fangduoduo_release.common import inbox
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import InboxItem
from projects.drivers.source.base import ZERO, PushEvent
from projects.models import BranchTip, Project
from projects.sources import source_of

logger = logging.getLogger(__name__)
KIND = "push"


def notice(project: Project, event: PushEvent) -> InboxItem | None:
    """Take one move of a ref; None when it was known already."""
    with transaction.atomic():
        tip, created = BranchTip.objects.select_for_update().get_or_create(
            project=project, ref=event.ref, defaults={"sha": event.new, "moves": 1}
        )
        if not created:
            if tip.sha == event.new:
                return None
            if tip.sha == event.old:
                tip.moves += 1
                tip.sha = event.new
                tip.save()
            elif not _late(project, event, tip):
                return None
        item, new = inbox.accept(
            KIND,
            f"push:{project.pk}:{tip.moves}:{event.key}"[:255],
            {
                "project": project.pk,
                "ref": event.ref,
                "old": event.old,
                "new": event.new,
                "actor": event.actor,
            },
            engine="push",
        )
    return item if new else None


def _late(project: Project, event: PushEvent, tip: BranchTip) -> bool:
    """A notice out of order: the repository itself says where the ref is; move our tip there, never back."""
    source, repository = source_of(project)
    tips = source.poll(repository, None).tips
    now_at = tips.get(event.ref)
    if now_at == event.new:
        tip.moves += 1
        tip.sha = event.new
        tip.save()
        return True
    return not event.deleted


def notice_all(project: Project, events: Iterable[PushEvent]) -> int:
    """Take several moves; returns how many were new."""
    return sum(notice(project, event) is not None for event in events)


def compare(project: Project) -> int:
    """Compare the repository's tips with the last ones seen and take what was missed; returns how many."""
    source, repository = source_of(project)
    try:
        source.refresh(repository)
        seen = dict(BranchTip.objects.filter(project=project).exclude(sha=ZERO).values_list("ref", "sha"))
        poll = source.poll(repository, seen)
    except AppError as error:
        Project.objects.filter(pk=project.pk).update(source_error=error.sentence.as_json())
        raise
    if project.source_error is not None:
        Project.objects.filter(pk=project.pk).update(source_error=None)
    return notice_all(project, poll.events)
