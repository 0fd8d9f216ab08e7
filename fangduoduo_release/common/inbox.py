"""The inbox: what comes from outside becomes a row once, before anybody is answered, and is kept for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from .models import InboxItem
from .queue import ring
from .runs import in_seconds
from .storable import storable

RINGS = 8  # of one batch; the sweeper finds the others within a second
FORGOTTEN_AT_ONCE, BATCHES = 500, 20  # of one call


@dataclass(slots=True)
class Item:
    """What is to be stored: its kind names the engine. Its turn comes after `delay_s`."""

    kind: str
    dedupe_key: str
    payload: dict[str, Any]
    topic: str = ""
    delay_s: float = 0.0


def accept(kind: str, dedupe_key: str, payload: dict[str, Any], *, topic: str = "") -> tuple[InboxItem, bool]:
    """Store one item once; the same dedupe key gives the first row. Returns (row, whether it is new)."""
    stored = accept_all([Item(kind, dedupe_key, payload, topic)])
    if stored:
        return stored[0], True
    return InboxItem.objects.get(dedupe_key=dedupe_key), False


def accept_all(items: Sequence[Item]) -> list[InboxItem]:
    """Store those whose dedupe key is not known yet, in a few statements; returns their rows, in the same order."""
    wanted = {item.dedupe_key: item for item in items}
    known = InboxItem.objects.filter(dedupe_key__in=wanted).values_list("dedupe_key", flat=True)
    for key in list(known):  # a thousand repetitions need no write lock
        del wanted[key]
    if not wanted:
        return []
    rows = [
        InboxItem(
            kind=item.kind,
            dedupe_key=key,
            topic=item.topic,
            payload=storable(item.payload),
            next_at=in_seconds(item.delay_s) if item.delay_s else Now(),
        )
        for key, item in wanted.items()
    ]
    try:
        with transaction.atomic():
            InboxItem.objects.bulk_create(rows, batch_size=200)
    except IntegrityError:  # somebody stored one of them in this very moment
        rows = [row for row in rows if _stored(row)]
    for row in rows:
        del row.next_at  # it is the database's now: read when asked for
    for row in [row for row in rows if not wanted[row.dedupe_key].delay_s][:RINGS]:
        ring(row.kind, row.pk)
    return rows


def _stored(row: InboxItem) -> bool:
    row.pk = None
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def forget_old() -> int:
    """The duty: delete what ended and came longer than INBOX_KEEP_DAYS ago, a bounded number at a time; returns how many.
    What is new, or waits for ops, stays."""
    too_old = Q(received_at__lt=in_seconds(-86_400 * settings.INBOX_KEEP_DAYS))
    ended = InboxItem.objects.exclude(state=InboxItem.State.NEW).filter(needs_ops=False)
    ended = ended.annotate(too_old=ExpressionWrapper(too_old, output_field=BooleanField()))
    gone = 0
    for _ in range(BATCHES):
        # By their key, since that is the order in which they came: no index on times is needed.
        rows = ended.order_by("pk").values_list("pk", "too_old")[:FORGOTTEN_AT_ONCE]
        old = [pk for pk, _ in takewhile(lambda row: row[1], rows)]
        gone += InboxItem.objects.filter(pk__in=old).delete()[0] if old else 0
        if len(old) < FORGOTTEN_AT_ONCE:
            break
    return gone
