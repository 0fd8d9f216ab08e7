"""Write down that somebody is to be told something; the worker sends it. Actions call `tell` inside their transaction."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from fangduoduo_release.common import runs
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.storable import storable

from .events import EVENTS, TEST
from .models import MAIL, Channel, Delivery, Preference

ENGINE = "notification"
PATIENCE = timedelta(hours=24)  # for so long a message that does not get through is tried again
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class _News:
    """What `tell` was called with, without whom it is for."""

    event: str
    sentence: Sentence
    project: str = ""
    link: str = ""
    once: str = ""


def tell(
    event: str,
    sentence: Sentence,
    *,
    people: Iterable[Any] = (),
    project: str = "",
    link: str = "",
    once: str = "",
) -> None:
    """`event` names what happened (`events.py`); `people` are users, `project` a slug whose channels hear of it too;
    `link` is a path of the portal; the same non-empty `once` is never told twice.

    Whoever may not be told (SYSTEM, the inactive) and whoever does not want to is left out; nothing is sent here.
    """
    kind = EVENTS[event]
    told = {person.pk: person for person in people if person.pk is not None and person.is_active}
    news = _News(event, sentence, project, link, once)
    rows = [_row(news, channel, None) for channel in _channels(kind.name, list(told), project)]
    if settings.MAIL["host"] and told:
        choices = Preference.objects.filter(user__in=told).values_list("user_id", "not_by_mail")
        silent = {user for user, names in choices if event in names}
        rows += [_row(news, None, person) for pk, person in told.items() if person.email.strip() and pk not in silent]
    _post(rows, once)


def send_test(*, channel: Channel | None = None, user: Any = None) -> Delivery:
    """Write down a test for one channel, or for the person's own address; it goes the way of every message."""
    link = "/" if channel is not None and not channel.user_id else "/me/notifications/"
    sentence = S("This is a test: what the portal has to tell will arrive here.")
    row = _row(_News(TEST.name, sentence, link=link), channel, user)
    _post([row], "")
    return row


def _channels(event: str, people: list[int], project: str) -> list[Channel]:
    """The channels of these people, of the project, and of ops that hear of the event; one question."""
    whose = Q(user=None, project="") | Q(user__in=people)
    if project:
        whose |= Q(project=project)
    rows = Channel.objects.filter(whose, enabled=True).only("user", "project", "kind", "events")
    return [channel for channel in rows if event in channel.events]


def _row(news: _News, channel: Channel | None, user: Any) -> Delivery:
    key = uuid.uuid4()
    target = f"channel/{channel.pk}" if channel is not None else f"mail/{user.pk}"
    return Delivery(
        key=key,
        dedupe_key=_dedupe_key(news.once, target) if news.once else str(key),
        channel=channel,
        user_id=channel.user_id if channel is not None else user.pk,
        route=channel.route if channel is not None else MAIL,
        event=news.event,
        sentence=storable(news.sentence.as_json()),
        project=news.project,
        link=news.link if news.link.startswith("/") and not news.link.startswith("//") else "",
        next_at=Now(),
        deadline_at=runs.in_seconds(PATIENCE.total_seconds()),
    )


def _dedupe_key(once: str, target: str) -> str:
    key = f"{once}@{target}"
    return key if len(key) <= LONGEST_KEY else f"{hashlib.sha256(once.encode()).hexdigest()}@{target}"


def _post(rows: Sequence[Delivery], once: str) -> None:
    """Store, and ring once for each route: whoever answers takes all that waits there."""
    if not rows:
        return
    if not once:
        stored = Delivery.objects.bulk_create(rows)
    else:  # a repetition is left out by the database; which rows are new is asked by their keys
        Delivery.objects.bulk_create(rows, ignore_conflicts=True)
        stored = list(Delivery.objects.filter(key__in=[row.key for row in rows]).only("pk", "route"))
    for pk in {row.route: row.pk for row in stored}.values():
        ring(ENGINE, pk)
