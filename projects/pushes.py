"""A ref moved, or a change got a new text: noticed once, by whoever saw it (the push itself, a server's stream of events,
a webhook, a comparison of tips), stored in the inbox.

The order of notices does not matter and repeating one is harmless; the inbox row is committed before anybody is
answered, and from then on the intake engines own it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction

from fangduoduo_release.common import inbox
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection, InboxItem
from fangduoduo_release.common.storable import storable
from projects.drivers.source.base import (
    ZERO,
    ChangeMoved,
    Moved,
    News,
    PatchSet,
    PushEvent,
    Reviewing,
)
from projects.models import BranchTip, Project
from projects.sources import source_of

logger = logging.getLogger(__name__)
KIND, CHANGE = "push", "change"
MAX_REF = 250
LONGEST_KEY = 255
RINGS = 8  # of one batch; the sweeper finds the others within a second
FREE = 10  # so many notices of one project may wait before more of them have to stand back
PACE_S = 0.1


class Via(StrEnum):
    """Who noticed."""

    PUSH = "push"
    STREAM = "stream"
    HOOK = "hook"
    COMPARE = "compare"


@dataclass(frozen=True, slots=True)
class Heard:
    """How and when (seconds since 1970, our clock) something was heard of."""

    via: Via
    at: float

    @classmethod
    def now(cls, via: Via) -> Heard:
        return cls(via, time.time())


class Late(Exception):
    """A notice that does not follow on from the tip we remember."""


def topic_of(project: Project | int) -> str:
    """What inbox items of a project go by."""
    return f"projects/{project if isinstance(project, int) else project.pk}"


def followed(ref: str) -> bool:
    """Whether a ref's moves can be kept: git allows names that no text column takes (any bytes, any length)."""
    return len(ref) <= MAX_REF and storable(ref) == ref


def notice(project: Project, event: PushEvent, heard: Heard | None = None) -> InboxItem | None:
    """Take one move of a ref; None when it was known already or has a name we do not follow."""
    heard = heard or Heard.now(Via.PUSH)
    try:
        with transaction.atomic():
            return _take(project, event, heard, _Queue())
    except Late:
        return _take_late(project, event, heard)


def notice_change(
    project: Project, patch_set: PatchSet, heard: Heard | None = None, queue: _Queue | None = None
) -> InboxItem | None:
    """Take a new text of a change; None when it was known already."""
    author = patch_set.author
    payload = {
        "number": patch_set.number,
        "patch_set": patch_set.patch_set,
        "change_id": patch_set.change_id[:60],
        "ref": patch_set.ref,
        "new": patch_set.sha,
        "branch": patch_set.branch[:MAX_REF],
        "subject": patch_set.subject[:300],
        "message": patch_set.message[:4000],
        "author": [author.name[:150], author.email[:200]] if author else None,
        "actor": patch_set.actor[:150],
        "url": patch_set.url[:500],
        "how": patch_set.kind[:40],
    }
    key = f"{CHANGE}:{project.pk}:{patch_set.key}:{patch_set.sha}"
    heard = heard or Heard.now(Via.PUSH)
    return (queue or _Queue()).put(CHANGE, key, project, payload, heard, patch_set.happened_at)


def take(connection: Connection, news: Iterable[News], heard: Heard) -> int:
    """What a server told, for every project that lives there, in one transaction; returns how many were new.

    For kinds whose projects are found by their name on the server. Texts of changes are taken for all projects; what
    becomes of them is for the projects' rules to say.
    """
    batch = list(news)
    projects: dict[str, list[Project]] = {}
    names = {one.repository for one in batch}
    for project in Project.objects.filter(source_connection=connection, repository__in=names, archived=False):
        projects.setdefault(project.repository, []).append(project)
    # In one order everywhere, so that two who take at once never wait for each other; what befell one ref stays in order.
    pairs = sorted(
        ((project, one) for one in batch for project in projects.get(one.repository, ())),
        key=lambda pair: (pair[0].pk, pair[1].event.ref if isinstance(pair[1], Moved) else ""),
    )
    queue, late, found = _Queue(), [], 0
    with transaction.atomic():
        for project, one in pairs:
            if isinstance(one, ChangeMoved) and one.patch_set.status == "NEW":
                found += notice_change(project, one.patch_set, heard, queue) is not None
            elif isinstance(one, Moved):
                try:
                    found += _take(project, one.event, heard, queue) is not None
                except Late:
                    late.append((project, one.event))
    for project, event in late:
        try:
            found += _take_late(project, event, heard) is not None
        except AppError as error:  # the next comparison of tips finds it
            logger.warning("%s: a late notice of %s is left to the comparison: %s", project.slug, event.ref, error)
    return found


def notice_all(project: Project, events: Iterable[PushEvent], heard: Heard | None = None) -> int:
    """Take several moves; returns how many were new."""
    return sum(notice(project, event, heard) is not None for event in events)


class _Queue:
    """Where notices of one batch are put: a flood of one project stands back, so that it does not keep others waiting."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}
        self._rung = 0

    def put(
        self, kind: str, key: str, project: Project, payload: dict[str, Any], heard: Heard, happened_at: float
    ) -> InboxItem | None:
        """None when the key is known already."""
        topic = topic_of(project)
        if topic not in self._waiting:
            self._waiting[topic] = InboxItem.objects.filter(topic=topic, state=InboxItem.State.NEW).count()
        told = {"project": project.pk, "via": heard.via, "heard_at": heard.at, "happened_at": happened_at}
        item, new = inbox.accept(
            kind,
            key,
            {**told, **payload},
            engine=kind,
            topic=topic,
            delay_s=max(0, self._waiting[topic] - FREE) * PACE_S,
            quiet=self._rung >= RINGS,
        )
        if not new:
            return None
        self._waiting[topic] += 1
        self._rung += 1
        return item


def _take(project: Project, event: PushEvent, heard: Heard, queue: _Queue) -> InboxItem | None:
    """Within a transaction: the tip moves and the item is stored, or neither. Raises Late."""
    if not followed(event.ref):
        logger.warning("%s: a ref with a name of %s characters is not followed", project.slug, len(event.ref))
        return None
    tip, created = BranchTip.objects.select_for_update().get_or_create(
        project=project, ref=event.ref, defaults={"sha": event.new, "moves": 1}
    )
    if not created:
        if tip.sha == event.new:
            return None
        if tip.sha != event.old:
            raise Late
        _move(tip, event.new)
    return _put(project, event, tip.moves, heard, queue)


def _take_late(project: Project, event: PushEvent, heard: Heard) -> InboxItem | None:
    """A notice out of order: the repository itself says where the ref is; our tip moves there, never back. A move that
    was noticed before is known, however often it is told again."""
    source, repository = source_of(project)
    now_at = source.poll(repository, None).tips.get(event.ref)
    with transaction.atomic():
        tip = BranchTip.objects.select_for_update().get(project=project, ref=event.ref)
        if tip.sha == event.new or known(project, event):
            return None
        if now_at == event.new:
            _move(tip, event.new)
        elif event.deleted:
            return None
        return _put(project, event, tip.moves, heard, _Queue())


def _move(tip: BranchTip, sha: str) -> None:
    tip.moves += 1
    tip.sha = sha
    tip.save()


def _put(project: Project, event: PushEvent, moves: int, heard: Heard, queue: _Queue) -> InboxItem | None:
    payload = {"ref": event.ref, "old": event.old, "new": event.new, "actor": event.actor, "forced": event.forced}
    return queue.put(KIND, f"{KIND}:{project.pk}:{moves}:{_key(event)}", project, payload, heard, event.happened_at)


def known(project: Project, event: PushEvent) -> bool:
    """Whether this very move was noticed before."""
    rows = InboxItem.objects.filter(topic=topic_of(project), kind=KIND)
    return rows.filter(dedupe_key__endswith=f":{_key(event)}").exists()


def _key(event: PushEvent) -> str:
    return event.key if len(event.key) < LONGEST_KEY - 40 else hashlib.sha256(event.key.encode()).hexdigest()


def compare(project: Project, heard: Heard | None = None) -> int:
    """Compare the repository's tips with the last ones seen and take what was missed; returns how many were new.

    A project whose tips were never taken (a crash while it was made) takes them as they are: nothing counts as a push.
    Where changes are reviewed, those whose newest text nobody told us of are taken too.
    """
    source, repository = source_of(project)
    heard = heard or Heard.now(Via.COMPARE)
    found = 0
    try:
        while True:
            known = dict(BranchTip.objects.filter(project=project).values_list("ref", "sha"))
            seen = {ref: sha for ref, sha in known.items() if sha != ZERO}
            poll = source.poll(repository, seen if known else None)
            if not known:
                remember(project, poll.tips)
            found += notice_all(project, poll.events, heard)
            if not poll.more:
                break
        if isinstance(source, Reviewing):
            changes = source.open_changes(repository)
            found += sum(notice_change(project, one, heard) is not None for one in changes)
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
