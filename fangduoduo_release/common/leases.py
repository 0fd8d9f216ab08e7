"""Leases over named duties: of N watch processes one does each duty, and a dead one's duty moves within its lease."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, Q
from django.db.models.functions import Now

from .models import Beat, Lease
from .runs import in_seconds


def hold(name: str, owner: str, seconds: float = 15.0) -> int | None:
    """Take or keep the duty; returns the fence, or None while somebody else holds it.

    The fence grows when the duty changes hands or was let lapse, not while the same owner keeps it.
    """
    kept = keep([name], owner, seconds)
    if name in kept:
        return kept[name]
    Lease.objects.get_or_create(name=name)
    taken = Lease.objects.filter(Q(until=None) | Q(until__lte=Now()), name=name).update(
        owner=owner, until=in_seconds(seconds), fence=F("fence") + 1
    )
    return Lease.objects.filter(name=name, owner=owner).values_list("fence", flat=True).first() if taken else None


def keep(names: Iterable[str], owner: str, seconds: float = 15.0) -> dict[str, int]:
    """Renew in one statement whatever `owner` holds of `names`; returns the fences of what it holds now."""
    mine = Lease.objects.filter(name__in=list(names), owner=owner, until__gt=Now())
    return dict(mine.values_list("name", "fence")) if mine.update(until=in_seconds(seconds)) else {}


def free(names: Iterable[str]) -> set[str]:
    """Which of `names` nobody holds at the moment."""
    wanted = set(names)
    return wanted - set(Lease.objects.filter(name__in=wanted, until__gt=Now()).values_list("name", flat=True))


def let_go(name: str, owner: str) -> None:
    """Give a duty back at a clean stop."""
    Lease.objects.filter(name=name, owner=owner).update(until=None, owner="")


def beat(name: str, kind: str, **info: object) -> None:
    """Sign of life for the ops page."""
    Beat.objects.update_or_create(name=name, defaults={"kind": kind, "seen_at": Now(), "info": info})


def forget_old_beats() -> None:
    """Drop the beats of processes that died without a goodbye a day ago."""
    Beat.objects.filter(kind__in=["worker", "watch"], seen_at__lt=in_seconds(-86_400)).delete()
