"""What happens next to a message: it is sent, tried again later, or given up with its reason.

Killed between sending and writing it down, it is sent again with the same id: at least once, and the receiver can tell.
A route that does not get through is left alone for a while (`Circuit`); of all such routes one is tried at a time, so
that dead servers hold up one worker at most and nobody else's messages.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from fangduoduo_release.common import runs
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, DriverError, Unavailable
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S, Sentence

from .drivers.base import Later
from .models import Circuit, Delivery
from .outbox import ENGINE
from .rendering import message_of
from .sending import notifier_of

logger = logging.getLogger(__name__)
DRAIN_S = 5.0  # whoever works on a route takes what else waits there, for so long
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 500.0  # with its jitter below what the run machine allows


class NotificationEngine:
    """Engine of kind "notification"."""

    kind = ENGINE
    model = Delivery

    def mine(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Not on a route that rests or that somebody works on, and of the doubtful routes only one at a time."""
        held = Delivery.objects.filter(state=Delivery.State.QUEUED, lease_until__gt=Now()).values("route")
        shut = Circuit.objects.filter(until__gt=Now()).values("route")
        rows = rows.filter(state=Delivery.State.QUEUED).exclude(route__in=held).exclude(route__in=shut)
        if Circuit.objects.filter(route__in=held).exists():
            rows = rows.exclude(route__in=Circuit.objects.values("route"))
        return rows

    def advance(self, delivery: Delivery) -> Again | None:
        """Sends this row and, while time allows, what else waits on its route. Every row is let go of here."""
        until = time.monotonic() + DRAIN_S
        doubted = Circuit.objects.filter(route=delivery.route).exists()
        row: Delivery | None = delivery
        while row is not None:
            answered = self._send(row)
            if answered and doubted:
                doubted = False
                Circuit.objects.filter(route=delivery.route).delete()
            if answered is False or time.monotonic() > until:
                break
            row = self._next(delivery.route)
        if (waiting := self._waiting(delivery.route)) is not None:
            ring(self.kind, waiting)
        return None

    def _next(self, route: str) -> Delivery | None:
        pk = self._waiting(route)
        return runs.claim(Delivery, pk) if pk is not None else None

    def _waiting(self, route: str) -> int | None:
        shut = Circuit.objects.filter(until__gt=Now()).values("route")
        due = runs.due(Delivery).filter(state=Delivery.State.QUEUED, route=route).exclude(route__in=shut)
        return due.order_by("next_at", "pk").values_list("pk", flat=True).first()

    # -- one message ----------------------------------------------------------------------------------------------

    def _send(self, row: Delivery) -> bool | None:
        """One attempt. False: whatever else waits on this route has to wait too; None: nobody was asked."""
        try:
            if not _wanted(row):
                _end(row, Delivery.State.SKIPPED)
                return None
            notifier_of(row).send(message_of(row))
        except Unavailable as error:
            return self._later(row, error)
        except AppError as error:
            evidence = error.evidence if isinstance(error, DriverError) else ""
            _end(row, Delivery.State.FAILED, runs.error_of(error.code, error.sentence, evidence))
            return True
        except (runs.LostClaim, OperationalError, InterfaceError):
            raise
        except Exception as error:  # a bug in a driver: this message waits, the others go on, ops see what it was
            logger.exception("delivery %s failed in its attempt", row.pk)
            return self._later(row, _unexpected(error))
        _end(row, Delivery.State.SENT)
        return True

    def _later(self, row: Delivery, error: Unavailable) -> bool:
        whole = not isinstance(error, Later) or error.whole
        after = error.after_s if isinstance(error, Later) else 0
        why = runs.error_of(error.code, error.sentence, error.evidence)
        if whole:
            rest(row.route, why, after)
        if row.deadline_at <= timezone.now():
            _end(row, Delivery.State.FAILED, why)
        else:
            wait = max(after, 0 if whole else backoff(row.tries + 1))  # a whole route is waited for by its circuit
            runs.release(row, delay_s=wait, tries=F("tries") + 1, error=why)
        return not whole


def rest(route: str, why: dict[str, Any], after_s: float = 0) -> None:
    """Leave the route alone: longer with every failure in a row, at least as long as the other side asks."""
    circuit, _ = Circuit.objects.get_or_create(route=route, defaults={"until": Now()})
    wait = max(after_s, backoff(circuit.failures + 1))
    Circuit.objects.filter(pk=circuit.pk).update(failures=F("failures") + 1, until=runs.in_seconds(wait), error=why)


def backoff(failures: int) -> float:
    """5, 10, 20 … 500 s, give or take a fifth, so that many do not come back at once."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311


def _wanted(row: Delivery) -> bool:
    """Whether there still is somebody to tell: not people who left, not channels that were switched off."""
    if row.user is not None and not row.user.is_active:
        return False
    if row.channel is not None:
        return row.channel.enabled or row.event == "test"
    return row.user is not None and bool(row.user.email.strip())


def _end(row: Delivery, state: str, error: dict[str, Any] | None = None) -> None:
    runs.write(
        row,
        state=state,
        error=error,
        tries=F("tries") + (0 if state == Delivery.State.SKIPPED else 1),
        finished_at=Now(),
        next_at=None,
        lease_until=None,
        lease_owner="",
        needs_ops=False,
    )


def _unexpected(error: Exception) -> Later:
    sentence: Sentence = S("An unexpected error stopped this step.")
    return Later(sentence, evidence=type(error).__name__, code="step_failed", whole=False)
