"""Branches and tags that a comparison does not find any more: deleted, or only not shown for a while.

A right to read that was taken away, or a server that is being restored, looks like a deletion. What comes back as it was
is therefore no push; and where most of a repository is gone at once, nothing is believed for a day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.sentence import S, Sentence
from projects.drivers.source.base import ZERO, Poll, PushEvent, Repository, Source
from projects.models import BranchTip, Project
from projects.noticing import KIND, Via, topic_of

MANY = 50  # so many may be deleted at once, and of a larger number half
PATIENCE = timedelta(days=1)


def missing(
    source: Source, repository: Repository, seen: Mapping[str, str], poll: Poll, told: Collection[str]
) -> frozenset[str]:
    """The refs that are gone where so many are that it is hard to believe; else none. `told`: whose deletion the server
    told of. Asks the repository once more, and only when it looks so."""
    gone = [event.ref for event in poll.events if event.deleted and event.ref not in told]
    if not gone or (len(gone) <= MANY and poll.tips):
        return frozenset()
    now = source.poll(repository, None).tips
    all_gone = frozenset(ref for ref in seen if ref not in now and ref not in told)
    return all_gone if not now or (len(all_gone) > MANY and 2 * len(all_gone) > len(seen)) else frozenset()


def doubt(project: Project, gone: Collection[str]) -> Sentence | None:
    """What the project's pages say of it; None: it has been so for long enough to be true."""
    since = _since(project.source_error)
    if since is not None and since + PATIENCE < timezone.now():
        return None
    return _sentence(len(gone), since or timezone.now())


def _sentence(count: int, since: datetime) -> Sentence:
    return S(
        "The server shows %(count)s branches and tags no longer, most or all of them: were they deleted, or may the portal "
        "not read them? They are kept as they were; if it stays so for a day, they count as deleted (first seen: %(since)s).",
        count=count,
        since=since.isoformat(timespec="seconds"),
    )


def _since(trouble: Any) -> datetime | None:
    """Since when the project says so; None: it does not."""
    told = Sentence.from_json(trouble) if isinstance(trouble, dict) else S("")
    return parse_datetime(str(told.params.get("since"))) if told.msgid == _sentence(0, timezone.now()).msgid else None


def without_returned(
    project: Project, remembered: Mapping[str, str], events: Sequence[PushEvent]
) -> Sequence[PushEvent]:
    """The moves without those of refs that a comparison lost sight of and that are back just as they were: their tips
    follow, and nothing was pushed."""
    back = {event.ref: event for event in events if event.created and remembered.get(event.ref) == ZERO}
    back = {ref: event for ref, event in back.items() if ref in _as_it_was(project, back.values())}
    for event in back.values():
        lost = BranchTip.objects.filter(project=project, ref=event.ref, sha=ZERO)
        lost.update(sha=event.new, moves=F("moves") + 1, seen_at=Now())
    return [event for event in events if back.get(event.ref) != event]


def _as_it_was(project: Project, created: Iterable[PushEvent]) -> set[str]:
    """Those whose last notice is that a comparison missed them, where they are again."""
    wanted = {event.ref: event.new for event in created}
    if not wanted:
        return set()
    rows = InboxItem.objects.filter(topic=topic_of(project), kind=KIND, payload__ref__in=list(wanted)).order_by("pk")
    last = {payload["ref"]: payload for payload in rows.values_list("payload", flat=True).iterator()}
    return {
        ref
        for ref, payload in last.items()
        if (payload["new"], payload.get("via"), payload["old"]) == (ZERO, Via.COMPARE, wanted[ref])
    }
