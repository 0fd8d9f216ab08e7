"""Leases over named duties: of N watch processes one does each duty, and a dead one's duty moves within its lease."""

from __future__ import annotations

from django.db.models import F, Q
from django.db.models.functions import Now

from .models import Beat, Lease
from .runs import in_seconds


def hold(name: str, owner: str, seconds: float = 15.0) -> int | None:
    """Take or keep the duty; returns the fence, or None while somebody else holds it."""
    Lease.objects.get_or_create(name=name)
    mine_or_free = Q(owner=owner) | Q(until=None) | Q(until__lt=Now())
    kept = Lease.objects.filter(mine_or_free, name=name).update(
        owner=owner, until=in_seconds(seconds), fence=F("fence") + 1
    )
    return Lease.objects.values_list("fence", flat=True).get(name=name) if kept else None


def let_go(name: str, owner: str) -> None:
    """Give a duty back at a clean stop."""
    Lease.objects.filter(name=name, owner=owner).update(until=None, owner="")


def beat(name: str, kind: str, **info: object) -> None:
    """Sign of life for the ops page."""
    Beat.objects.update_or_create(name=name, defaults={"kind": kind, "seen_at": Now(), "info": info})
