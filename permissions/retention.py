"""What is kept for a while only: remembered answers, sessions that are over, failures that count no more."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from fangduoduo_release.common.models import IdempotencyKey
from permissions import lockout, sessions
from permissions.models import JwtFamily

KEPT = timedelta(days=7)


def forget_old_answers() -> int:
    """Delete Idempotency-Keys older than a week; returns how many."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def tidy_people() -> int:
    """Delete what is left of sign-ins that are over; returns how many rows."""
    families = JwtFamily.objects.filter(expires_at__lt=timezone.now() - timedelta(days=1)).delete()[0]
    return families + sessions.clear_old() + lockout.clear_old()
