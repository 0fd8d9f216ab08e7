"""The inbox: what comes from outside becomes a row once, before anybody is answered."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from .models import InboxItem
from .queue import ring


def accept(kind: str, dedupe_key: str, payload: dict[str, Any], *, engine: str) -> tuple[InboxItem, bool]:
    """Store an item once; the same dedupe key gives the first row. Returns (row, whether it is new)."""
    try:
        with transaction.atomic():
            item = InboxItem.objects.create(kind=kind, dedupe_key=dedupe_key, payload=payload, next_at=Now())
    except IntegrityError:
        return InboxItem.objects.get(dedupe_key=dedupe_key), False
    ring(engine, item.pk)
    return item, True
