"""What is kept for a while only, and what is given up when its time is over although its route never opened again."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from fangduoduo_release.common import runs

from .models import Circuit, Delivery

KEPT = timedelta(days=30)
AT_ONCE = 5_000


def give_up_overdue() -> int:
    """Messages that waited behind a closed route for too long end as failed, with the route's reason."""
    overdue = Delivery.objects.filter(runs.unleased(), state=Delivery.State.QUEUED, deadline_at__lt=Now())
    reason = Circuit.objects.filter(route=OuterRef("route")).values("error")[:1]
    return overdue.update(
        state=Delivery.State.FAILED,
        error=Coalesce("error", Subquery(reason)),
        finished_at=Now(),
        next_at=None,
    )


def forget_old() -> int:
    """Delete what ended longer ago than KEPT, a bounded number at a time; returns how many."""
    old = Delivery.objects.filter(finished_at__lt=timezone.now() - KEPT).values("pk")[:AT_ONCE]
    return Delivery.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]
