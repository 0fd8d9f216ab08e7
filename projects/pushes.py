"""A ref moved: noticed once, by whoever saw it (the push itself or a comparison of tips), stored in the inbox.

The order of notices does not matter and repeating one is harmless; the inbox row is committed before anybody is
answered, and from then on the intake engine owns it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from django.db import transaction

from fangduoduo_release.common import inbox
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.storable import storable
from projects.drivers.source.base import ZERO, PushEvent
from projects.models import BranchTip, Project
from projects.sources import source_of

logger = logging.getLogger(__name__)
KIND = "push"
MAX_REF = 250


def followed(ref: str) -> bool:
    """Whether a ref's moves can be kept: git allows names that no text column takes (any bytes, any length)."""
    return len(ref) <= MAX_REF and storable(ref) == ref


def notice(project: Project, event: PushEvent) -> InboxItem | None:
    """Take one move of a ref; None when it was known already or has a name we do not follow."""
    if not followed(event.ref):
        logger.warning("%s: a ref with a name of %s characters is not followed", project.slug, len(event.ref))
        return None
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
    """Compare the repository's tips with the last ones seen and take what was missed; returns how many were new.

    A project whose tips were never taken (a crash while it was made) takes them as they are: nothing counts as a push.
    """
    source, repository = source_of(project)
    found = 0
    try:
        while True:
            known = dict(BranchTip.objects.filter(project=project).values_list("ref", "sha"))
            seen = {ref: sha for ref, sha in known.items() if sha != ZERO}
            poll = source.poll(repository, seen if known else None)
            if not known:
                remember(project, poll.tips)
            found += notice_all(project, poll.events)
            if not poll.more:
                break
    except AppError as error:
        Project.objects.filter(pk=project.pk).update(source_error=error.sentence.as_json())
        raise
    if project.source_error is not None:
        Project.objects.filter(pk=project.pk).update(source_error=None)
    return found


def remember(project: Project, tips: Mapping[str, str]) -> None:
    """Take tips as they are, so that only what moves from now on counts as a push."""
    BranchTip.objects.bulk_create(
        [BranchTip(project=project, ref=ref, sha=sha) for ref, sha in tips.items() if followed(ref)],
        ignore_conflicts=True,
    )
