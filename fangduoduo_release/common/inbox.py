"""The inbox: what comes from outside becomes a row once, before anybody is answered."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from .models import InboxItem
from .queue import ring
from .runs import in_seconds
from .storable import storable


def accept(
    kind: str,
    dedupe_key: str,
    payload: dict[str, Any],
    *,
    engine: str,
    topic: str = "",
    delay_s: float = 0.0,
    quiet: bool = False,
) -> tuple[InboxItem, bool]:
    """Store an item once; the same dedupe key gives the first row. Returns (row, whether it is new).

    Its turn comes after `delay_s`. `quiet`: nobody is rung for; the sweeper finds it when it is due.
    """
    known = InboxItem.objects.filter(dedupe_key=dedupe_key).first()  # a thousand repetitions need no write lock
    if known is not None:
        return known, False
    try:
        with transaction.atomic():
            item = InboxItem.objects.create(
                kind=kind,
                dedupe_key=dedupe_key,
                topic=topic,
                payload=storable(payload),
                next_at=in_seconds(delay_s) if delay_s else Now(),
            )
            del item.next_at  # it is the database's now: read when asked for
    except IntegrityError:
        return InboxItem.objects.get(dedupe_key=dedupe_key), False
    if not delay_s and not quiet:
        ring(engine, item.pk)
    return item, True
