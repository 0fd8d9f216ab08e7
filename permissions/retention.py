"""What is kept for a while only: the remembered answers of repeatable writes."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from fangduoduo_release.common.models import IdempotencyKey

KEPT = timedelta(days=7)


def forget_old_answers() -> int:
    """Delete Idempotency-Keys older than a week; returns how many."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
