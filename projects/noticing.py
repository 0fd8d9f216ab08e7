"""Many notices at once become inbox items: in one transaction and a handful of statements, however many there are.

A tip moves together with the item that tells of it, or neither does; the tip's row is the lock. Whatever does not follow
on from the tip we remember is `late`: the repository has to be asked, and not inside a transaction (`pushes`).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from fangduoduo_release.common import inbox
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.storable import storable
from projects.drivers.source.base import ZERO, ChangeMoved, Moved, PatchSet, PushEvent
from projects.models import BranchTip, Project

logger = logging.getLogger(__name__)
KIND, CHANGE = "push", "change"
MAX_REF = 250
LONGEST_KEY = 255
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


def topic_of(project: Project | int) -> str:
    """What inbox items of a project go by."""
    return f"projects/{project if isinstance(project, int) else project.pk}"


def followed(ref: str) -> bool:
    """Whether a ref's moves can be kept: git allows names that no text column takes (any bytes, any length)."""
    return len(ref) <= MAX_REF and storable(ref) == ref


def key_of(event: PushEvent) -> str:
    """What tells one move from others, short enough for a key."""
    return event.key if len(event.key) < LONGEST_KEY - 40 else hashlib.sha256(event.key.encode()).hexdigest()


class Batch:
    """Notices of any number of projects, in the order in which they came. After `store`: what was new, and what is late.

    `settled`: the repository was asked about this late notice; True: its ref is there now, so the tip follows.
    """

    def __init__(
        self, pairs: Iterable[tuple[Project, Moved | ChangeMoved]], heard: Heard, *, settled: bool | None = None
    ) -> None:
        self.stored: list[InboxItem] = []
        self.late: list[tuple[Project, PushEvent]] = []
        self._heard, self._settled = heard, settled
        self._moves: list[tuple[Project, PushEvent]] = []
        self._texts: list[tuple[Project, PatchSet]] = []
        for project, one in pairs:
            if isinstance(one, ChangeMoved):
                if one.patch_set.status == "NEW":
                    self._texts.append((project, one.patch_set))
            elif followed(one.event.ref):
                self._moves.append((project, one.event))
            else:
                logger.warning(
                    "%s: a ref with a name of %s characters is not followed", project.slug, len(one.event.ref)
                )

    def store(self) -> None:
        """Raises what the database raises; then nothing was stored."""
        if not self._moves and not self._texts:
            return
        with transaction.atomic():
            wanted = [*self._moved(), *(self._text(project, text) for project, text in self._texts)]
            self.stored = inbox.accept_all(self._queued(wanted))

    def _moved(self) -> list[inbox.Item]:
        tips = self._tips()
        before = {key: (tip.sha, tip.moves) for key, tip in tips.items()}
        found = []
        for project, event in self._moves:
            tip = tips[project.pk, event.ref]
            if tip.sha == ZERO and not tip.moves:
                pass  # we never saw this ref before
            elif tip.sha == event.new:
                continue  # known already
            elif tip.sha != event.old and self._settled is None:
                self.late.append((project, event))
                continue
            if self._settled is not False:
                tip.moves += 1
                tip.sha = event.new
            found.append(self._move(project, event, tip.moves))
        self._save([tip for key, tip in tips.items() if (tip.sha, tip.moves) != before[key]])
        return found

    def _tips(self) -> dict[tuple[int, str], BranchTip]:
        """The tips of all refs that are told of, locked in one order; a ref we see for the first time gets its row."""
        wanted = {(project.pk, event.ref) for project, event in self._moves}
        mine = Q(project__in={pk for pk, _ in wanted}, ref__in={ref for _, ref in wanted})
        rows = BranchTip.objects.select_for_update().filter(mine).order_by("pk")
        found = {(tip.project_id, tip.ref): tip for tip in rows}
        if missing := sorted(wanted - set(found)):
            new = [BranchTip(project_id=pk, ref=ref, sha=ZERO) for pk, ref in missing]
            BranchTip.objects.bulk_create(new, ignore_conflicts=True)
            found = {(tip.project_id, tip.ref): tip for tip in rows.all()}
        return found

    @staticmethod
    def _save(tips: Sequence[BranchTip]) -> None:
        for tip in tips:
            tip.seen_at = Now()  # type: ignore[assignment]  # the database's
        BranchTip.objects.bulk_update(tips, ["sha", "moves", "seen_at"], batch_size=100)

    def _queued(self, items: Sequence[inbox.Item]) -> list[inbox.Item]:
        """Who stands back: the more of a project wait already, the later the turn of its next one."""
        topics = {item.topic for item in items}
        rows = InboxItem.objects.filter(topic__in=topics, state=InboxItem.State.NEW).values_list("topic")
        waiting: dict[str, int] = dict(rows.annotate(n=Count("pk")).order_by())
        for item in items:
            waiting[item.topic] = waiting.get(item.topic, 0) + 1
            item.delay_s = max(0, waiting[item.topic] - FREE) * PACE_S
        return list(items)

    # -- what is kept -------------------------------------------------------------------------------------------------

    def _move(self, project: Project, event: PushEvent, moves: int) -> inbox.Item:
        payload = {"ref": event.ref, "old": event.old, "new": event.new, "actor": event.actor, "forced": event.forced}
        return self._item(project, KIND, f"{moves}:{key_of(event)}", payload, event.happened_at)

    def _text(self, project: Project, text: PatchSet) -> inbox.Item:
        payload = {
            "number": text.number,
            "patch_set": text.patch_set,
            "change_id": text.change_id[:60],
            "ref": text.ref,
            "new": text.sha,
            "branch": text.branch[:MAX_REF],
            "subject": text.subject[:300],
            "message": text.message[:4000],
            "author": [text.author.name[:150], text.author.email[:200]] if text.author else None,
            "actor": text.actor[:150],
            "url": text.url[:500],
            "how": text.kind[:40],
        }
        return self._item(project, CHANGE, f"{text.key}:{text.sha}", payload, text.happened_at)

    def _item(self, project: Project, kind: str, key: str, payload: dict[str, Any], happened_at: float) -> inbox.Item:
        told = {"project": project.pk, "via": self._heard.via, "heard_at": self._heard.at, "happened_at": happened_at}
        return inbox.Item(kind, f"{kind}:{project.pk}:{key}", {**told, **payload}, topic_of(project))
