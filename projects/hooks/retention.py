"""How long deliveries are kept: as long as the same one might come again, and as somebody may want to replay it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from projects.models import HookDelivery

AT_ONCE = 500  # bodies may be large
BATCHES = 20  # of one call


def forget_old() -> int:
    """Delete deliveries older than HOOK_KEEP_DAYS, a bounded number at a time; returns how many."""
    old = HookDelivery.objects.filter(received_at__lt=timezone.now() - timedelta(days=settings.HOOK_KEEP_DAYS))
    gone = 0
    for _ in range(BATCHES):
        batch = list(old.order_by("received_at").values_list("pk", flat=True)[:AT_ONCE])
        gone += HookDelivery.objects.filter(pk__in=batch).delete()[0] if batch else 0
        if len(batch) < AT_ONCE:
            break
    return gone
