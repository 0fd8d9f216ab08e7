"""What is known of the listening to servers, for pages, metrics and alarms; and the duty that keeps it going.

A listener that gave no sign of life for STALE_S counts as down, whatever it last said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string

from fangduoduo_release.common.models import Connection, InboxItem
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.watch import tenure
from fangduoduo_release.notifications import outbox
from projects import pushes
from projects.models import Project, SourceListener

KIND = "gerrit"
HUB = "projects.listener.hub.Hub"  # loaded where there is something to listen to: SSH costs 10 MB
STALE_S = 30.0
ALARM_S = 60.0
TELL_S = 120.0
SKEW_S = 30.0
NEWEST = 200
State = SourceListener.State
_hubs: list[Any] = []  # the one of this process


@dataclass(frozen=True, slots=True)
class Alarm:
    """A server nobody listens to."""

    connection: Connection
    since: datetime
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Latency:
    """From hearing of a push to its build standing in the queue, over the newest pushes; None: there were none."""

    p50_ms: int | None
    p95_ms: int | None
    n: int
    last_event_at: datetime | None


def listen() -> int:
    """The duty, on every watch process: keep the thread that listens; how many servers this process listens to."""
    if _hubs and not _hubs[0].alive:
        _hubs.clear()
    if _hubs:
        _hubs[0].renew(tenure().lost)
    elif listened():
        _hubs.append(import_string(HUB)(tenure().lost))
    return _hubs[0].listens_to if _hubs else 0


def listened() -> list[Connection]:
    """The connections whose server is to be listened to, without their secrets."""
    return list(_wanted().defer("secrets"))


def _wanted() -> QuerySet[Connection]:
    nowhere = Q(config__ssh_host="") | Q(config__ssh_host=None)
    return Connection.objects.filter(kind=KIND, config__has_key="ssh_host").exclude(nowhere)


def silent(seconds: float) -> QuerySet[Connection]:
    """Those that nobody has been listening to for so long."""
    then = timezone.now() - timedelta(seconds=seconds)
    unseen = Q(listener=None) | Q(listener__seen_at=None) | Q(listener__seen_at__lt=then)
    down = ~Q(listener__state=State.LISTENING) & Q(listener__down_since__lt=then)
    return _wanted().filter(unseen | down, changed_at__lt=then)  # one that was just changed is given time


def unheard() -> Q:
    """Projects that nobody is listening for at this moment, in a query over projects."""
    fresh = timezone.now() - timedelta(seconds=STALE_S)
    of_project = "source_connection__listener"
    return ~Q(**{f"{of_project}__state": State.LISTENING, f"{of_project}__seen_at__gte": fresh})


def alarms(seconds: float = ALARM_S) -> list[Alarm]:
    """Servers that nobody has been listening to for so long, longest first."""
    found = []
    for connection in silent(seconds).select_related("listener").defer("secrets"):
        row = _row(connection)
        since = (row and (row.down_since or row.seen_at)) or connection.changed_at
        found.append(Alarm(connection, since, trouble_of(connection) or _unwatched(connection)))
    return sorted(found, key=lambda alarm: alarm.since)


def trouble_of(connection: Connection | None) -> Sentence | None:
    """What ails the listening to this server, or None. Asks nothing where `listener` was selected along."""
    if connection is None or connection.kind != KIND or not connection.config.get("ssh_host"):
        return None
    row, now = _row(connection), timezone.now()
    stale = now - timedelta(seconds=STALE_S)
    if row is None or row.seen_at is None or row.seen_at < stale:
        return _unwatched(connection) if connection.changed_at < stale else None
    if row.trouble:
        return Sentence.from_json(row.trouble)
    if row.state == State.LISTENING and row.skew_s is not None and abs(row.skew_s) > SKEW_S:
        return _skewed(connection, round(row.skew_s))
    return None


def silence_of(connection: Connection | None) -> Sentence | None:
    """Why pushes to this server are not heard of at once, or None; a remark about one that is heard concerns ops only."""
    found = trouble_of(connection)
    return None if found is None or connection is None or hears(connection) else found


def hears(connection: Connection) -> bool:
    """Whether somebody listens to this server at this moment."""
    row = _row(connection)
    fresh = row is not None and row.seen_at and timezone.now() - row.seen_at <= timedelta(seconds=STALE_S)
    return bool(row and fresh and row.state == State.LISTENING)


def _skewed(connection: Connection, seconds: int) -> Sentence:
    if seconds > 0:
        return S(
            "The clock of “%(name)s” is %(seconds)s s ahead of the portal's.", name=connection.name, seconds=seconds
        )
    return S("The clock of “%(name)s” is %(seconds)s s behind the portal's.", name=connection.name, seconds=-seconds)


def _unwatched(connection: Connection) -> Sentence:
    return S("Nobody listens to “%(name)s”: the watch is not running.", name=connection.name)


def _row(connection: Connection) -> SourceListener | None:
    try:
        row: SourceListener = connection.listener
    except ObjectDoesNotExist:
        return None
    return row


def latency(connection: Connection) -> Latency:
    """How soon pushes on this server became builds in the queue."""
    topics = [
        pushes.topic_of(pk) for pk in Project.objects.filter(source_connection=connection).values_list("pk", flat=True)
    ]
    done = InboxItem.objects.filter(topic__in=topics, result__has_key="latency_ms").order_by("-id")[:NEWEST]
    told = [(result or {}).get("latency_ms") for result in done.values_list("result", flat=True)]
    took = sorted(int(ms) for ms in told if isinstance(ms, int | float))
    row = _row(connection)
    return Latency(_share(took, 0.5), _share(took, 0.95), len(took), row.last_event_at if row else None)


def _share(ordered: list[int], part: float) -> int | None:
    """The value that so large a part does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)] if ordered else None


def tell_ops() -> int:
    """The duty: tell ops once of every server that nobody has been listening to for long, and when it is heard again."""
    told = 0
    for alarm in alarms(TELL_S):
        with transaction.atomic():
            SourceListener.objects.get_or_create(connection=alarm.connection)
            rows = SourceListener.objects.filter(connection=alarm.connection, told_at=None)
            if rows.update(told_at=Now()):
                sentence = S(
                    "Nobody has been listening to “%(name)s” for %(minutes)s minutes: %(reason)s",
                    name=alarm.connection.name,
                    minutes=int((timezone.now() - alarm.since).total_seconds() // 60),
                    reason=str(alarm.sentence),
                )
                outbox.tell("source.down", sentence, link="/admin/")
                told += 1
    fresh = timezone.now() - timedelta(seconds=STALE_S)
    back = SourceListener.objects.filter(told_at__isnull=False, state=State.LISTENING, seen_at__gte=fresh)
    for pk, name in back.values_list("pk", "connection__name"):
        with transaction.atomic():
            if SourceListener.objects.filter(pk=pk, told_at__isnull=False).update(told_at=None):
                outbox.tell("source.back", S("The portal listens to “%(name)s” again.", name=name), link="/admin/")
                told += 1
    return told
