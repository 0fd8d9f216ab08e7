"""What ops do to messages for reviewers that were not sent: try again, or give up."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from builds.models import Review
from builds.reviews import ReviewEngine
from fangduoduo_release.audit import trail
from fangduoduo_release.common import runs
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S
from permissions import policy


def try_again(*, actor: Any, review: Review) -> None:
    """Send it once more. Ops only. Raises Denied, Conflict (it is not waiting for that)."""
    policy.require_ops(actor)
    unsent = Q(state=Review.State.FAILED) | Q(state=Review.State.NEW)
    with transaction.atomic():
        rows = Review.objects.filter(unsent, runs.unleased(), pk=review.pk)
        if not rows.update(state=Review.State.NEW, needs_ops=False, attempts=0, error=None, next_at=Now()):
            raise Conflict(S("It is not waiting to be tried again."), code="illegal_move")
        trail.record(actor, "review.try_again", review)
        ring(ReviewEngine.kind, review.pk)


def give_up(*, actor: Any, review: Review) -> None:
    """Send it no more. Ops only. Raises Denied, Conflict."""
    policy.require_ops(actor)
    error = runs.error_of("given_up", S("Ops gave it up."))
    with transaction.atomic():
        rows = Review.objects.filter(runs.unleased(), pk=review.pk, state=Review.State.NEW)
        if not rows.update(state=Review.State.FAILED, needs_ops=False, error=error, next_at=None):
            raise Conflict(S("Nothing is waiting to be sent there."), code="illegal_move")
        trail.record(actor, "review.give_up", review)
