"""The inbox: what comes from outside becomes a row once, before anybody is answered."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from .models import InboxItem
from .queue import ring
from .storable import storable


def accept(kind: str, dedupe_key: str, payload: dict[str, Any], *, engine: str) -> tuple[InboxItem, bool]:
    """Store an item once; the same dedupe key gives the first row. Returns (row, whether it is new)."""
    known = InboxItem.objects.filter(dedupe_key=dedupe_key).first()  # a thousand repetitions need no write lock
    if known is not None:
        return known, False
    try:
        with transaction.atomic():
            item = InboxItem.objects.create(kind=kind, dedupe_key=dedupe_key, payload=storable(payload), next_at=Now())
            del item.next_at  # it is the database's now: read when asked for
    except IntegrityError:
        return InboxItem.objects.get(dedupe_key=dedupe_key), False
    ring(engine, item.pk)
    return item, True
