"""A ref moved, or a change got a new text: noticed once, by whoever saw it (the push itself, a server's stream of events,
a webhook, a comparison of tips), stored in the inbox.

The order of notices does not matter and repeating one is harmless; the inbox row is committed before anybody is
answered, and from then on the intake engines own it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection, InboxItem
from fangduoduo_release.common.sentence import Sentence
from projects import overtaken, refused, vanished
from projects.drivers.source.base import (
    ZERO,
    ChangeMoved,
    Moved,
    News,
    PatchSet,
    PushEvent,
    Repository,
    Reviewing,
    Source,
)  # fmt: skip
from projects.models import BranchTip, Project
from projects.noticing import CHANGE, FREE, KIND, MAX_REF, Batch, Heard, Via, followed, known, topic_of
from projects.sources import source_of

__all__ = [
    "CHANGE", "FREE", "KIND", "MAX_REF", "Heard", "Via", "compare", "followed", "known", "notice", "notice_all",
    "notice_change", "remember", "take", "topic_of",
]  # fmt: skip

logger = logging.getLogger(__name__)


def notice(project: Project, event: PushEvent, heard: Heard | None = None) -> InboxItem | None:
    """Take one move of a ref; None when it was known already or has a name we do not follow."""
    return _one(project, Moved(project.repository, event), heard or Heard.now(Via.PUSH))


def notice_change(project: Project, patch_set: PatchSet, heard: Heard | None = None) -> InboxItem | None:
    """Take a new text of a change; None when it was known already."""
    return _one(project, ChangeMoved(project.repository, patch_set), heard or Heard.now(Via.PUSH))


def notice_all(project: Project, news: Iterable[Moved | ChangeMoved], heard: Heard) -> int:
    """Take several things that happened to one repository; returns how many were new."""
    return _store([(project, one) for one in news], heard)


def take(connection: Connection, news: Iterable[News], heard: Heard) -> int:
    """What a server told, for every project that lives there, in one transaction; returns how many were new.

    For kinds whose projects are found by their name on the server. Texts of changes are taken for all projects; what
    becomes of them is for the projects' rules to say.
    """
    batch = [one for one in news if isinstance(one, Moved | ChangeMoved)]
    projects: dict[str, list[Project]] = {}
    names = {one.repository for one in batch}
    for project in Project.objects.filter(source_connection=connection, repository__in=names, archived=False):
        projects.setdefault(project.repository, []).append(project)
    return _store([(project, one) for one in batch for project in projects.get(one.repository, ())], heard)


def _one(project: Project, news: Moved | ChangeMoved, heard: Heard) -> InboxItem | None:
    batch = Batch([(project, news)], heard)
    batch.store()
    if batch.late:
        return _take_late(*batch.late[0], heard)
    return batch.stored[0] if batch.stored else None


def _store(pairs: Sequence[tuple[Project, Moved | ChangeMoved]], heard: Heard) -> int:
    batch = Batch(pairs, heard)
    batch.store()
    return len(batch.stored) + _late(batch.late, heard)


def _late(pairs: Sequence[tuple[Project, PushEvent]], heard: Heard) -> int:
    found = 0
    for project, event in pairs:
        try:
            found += _take_late(project, event, heard) is not None
        except AppError as error:  # the next comparison of tips finds it
            logger.warning("%s: a late notice of %s is left to the comparison: %s", project.slug, event.ref, error)
    return found


def _take_late(project: Project, event: PushEvent, heard: Heard) -> InboxItem | None:
    """A notice out of order: the repository itself says where the ref is; our tip moves there, never back. A move that
    was noticed before is known, however often it is told again."""
    if event.deleted or known(project, event):
        return None  # a thousand repetitions ask nobody
    source, repository = source_of(project)
    now_at = source.poll(repository, None).tips.get(event.ref)
    batch = Batch([(project, Moved(project.repository, event))], heard, settled=now_at == event.new)
    batch.store()
    return batch.stored[0] if batch.stored else None


def compare(project: Project, heard: Heard | None = None, *, told_gone: Collection[str] = ()) -> int:
    """Compare the repository's tips with the last ones seen and take what was missed; returns how many were new.

    A project whose tips were never taken (a crash while it was made) takes them as they are: nothing counts as a push.
    One that was empty when they were taken builds its first push.
    Where changes are reviewed, those whose newest text nobody told us of are taken too.
    `told_gone`: refs whose deletion the server told of just now.
    """
    source, repository = source_of(project)
    heard = heard or Heard.now(Via.COMPARE)
    try:
        found, doubt = _compare_tips(project, source, repository, heard, told_gone)
        if isinstance(source, Reviewing):
            # What is older than the inbox's memory was noticed, and may be forgotten: no news, whoever touches it now.
            since = time.time() - max(1, settings.INBOX_KEEP_DAYS - 1) * 86_400
            texts = [text for text in source.open_changes(repository) if not 0 < text.happened_at < since]
            found += notice_all(project, [ChangeMoved(repository.name, text) for text in texts], heard)
    except AppError as error:
        Project.objects.filter(pk=project.pk).update(source_error=error.sentence.as_json())
        raise
    if project.source_error is not None:
        refused.let_in(project)
    if project.source_error is not None or doubt is not None:
        Project.objects.filter(pk=project.pk).update(source_error=doubt.as_json() if doubt else None)
    return found


def _compare_tips(
    project: Project, source: Source, repository: Repository, heard: Heard, told_gone: Collection[str]
) -> tuple[int, Sentence | None]:
    """How many moves were new, and what is not believed of what the repository shows."""
    found, kept, doubt = 0, frozenset[str](), None
    while True:
        mark = overtaken.newest_of(project)
        remembered = dict(BranchTip.objects.filter(project=project).values_list("ref", "sha"))
        seen = {ref: sha for ref, sha in remembered.items() if sha != ZERO and ref not in kept}
        poll = source.poll(repository, None if project.tips_taken_at is None else seen)
        if project.tips_taken_at is None:
            remember(project, poll.tips)
        if doubt is None and (gone := vanished.missing(source, repository, seen, poll, told_gone)):
            doubt = vanished.doubt(project, gone)
            if doubt is not None:
                kept = gone
                continue  # once more, without them
        events = vanished.without_returned(project, remembered, poll.events)
        lost = {event for event in events if event.deleted and event.ref not in told_gone}
        found += _notice_found(project, list(lost), Heard(Via.COMPARE, heard.at), mark)
        found += _notice_found(project, [event for event in events if event not in lost], heard, mark)
        if not poll.more:
            return found, doubt


def _notice_found(project: Project, events: Sequence[PushEvent], heard: Heard, mark: int) -> int:
    """Take what a comparison found. Looking takes seconds: what a server told of the same moves meanwhile (since the item
    `mark`) tells which pushes they were, and our own guess at them is dropped."""
    batch = Batch([(project, Moved(project.repository, event)) for event in events], heard)
    batch.store()
    late = {event for _, event in batch.late}
    late -= overtaken.told_since(project, mark, events) if late else set()
    return len(batch.stored) + _late([(project, event) for event in events if event in late], heard)


def remember(project: Project, tips: Mapping[str, str]) -> None:
    """Take tips as they are, so that only what moves from now on counts as a push. Whoever comes second takes nothing:
    what moved since the first is a push."""
    with transaction.atomic():
        if Project.objects.filter(pk=project.pk, tips_taken_at=None).update(tips_taken_at=timezone.now()):
            BranchTip.objects.bulk_create(
                [BranchTip(project=project, ref=ref, sha=sha) for ref, sha in tips.items() if followed(ref)],
                ignore_conflicts=True,
            )
    project.refresh_from_db(fields=["tips_taken_at"])
