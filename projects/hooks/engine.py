"""What happens to a stored delivery: it is read, its projects are found, and what moved there is noticed.

The deliveries of one connection are worked on one after the other, by one worker at a time: their order is kept, and a
flood or a dead server holds up nobody else. Whoever works on one takes what else waits there.
"""

from __future__ import annotations

import logging
import time
import traceback
import zlib
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from fangduoduo_release.common import runs
from fangduoduo_release.common.engines import MAX_ATTEMPTS, Again
from fangduoduo_release.common.errors import AppError, DriverError, Rejected, Unavailable
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable
from projects import refused
from projects.drivers.source.base import STILL_FETCHING
from projects.models import HookDelivery
from projects.pushes import Heard, Via

from .dialects import DIALECTS
from .dialects.base import PING, Unreadable
from .hearing import Outcome, hear
from .store import ENGINE, unpack

logger = logging.getLogger(__name__)
DRAIN_S = 5.0
PATIENCE = timedelta(hours=1)  # with a server that is away; the comparison of tips goes on for ever
LONGEST_WAIT_S = 60.0


class HookEngine:
    """Engine of kind "hook"."""

    kind = ENGINE
    model = HookDelivery

    def mine(self, rows: QuerySet[HookDelivery]) -> QuerySet[HookDelivery]:
        """Not of a connection that somebody works on."""
        new = HookDelivery.State.NEW
        held = HookDelivery.objects.filter(state=new, lease_until__gt=Now()).values("connection")
        return rows.filter(state=new).exclude(connection__in=held)

    def advance(self, delivery: HookDelivery) -> Again | None:
        """This one and, while time allows, what else waits of its connection. Every row is let go of here."""
        until = time.monotonic() + DRAIN_S
        row: HookDelivery | None = delivery
        while row is not None:
            row.connection = delivery.connection  # opened once: its secrets are encrypted
            if not self._work(row) or time.monotonic() > until:
                break
            row = self._next(delivery.connection_id)
        waiting = self._waiting(delivery.connection_id).first()
        if waiting is not None:
            ring(self.kind, waiting)
        return None

    def _waiting(self, connection: int) -> QuerySet[HookDelivery, int]:
        due = runs.due(HookDelivery).filter(state=HookDelivery.State.NEW, connection=connection)
        return due.filter(attempts__lt=MAX_ATTEMPTS).order_by("next_at", "pk").values_list("pk", flat=True)

    def _next(self, connection: int) -> HookDelivery | None:
        pk = self._waiting(connection).first()
        return runs.claim(HookDelivery, pk) if pk is not None else None

    def _work(self, row: HookDelivery) -> bool:
        """One delivery. False: the server is away, others of its connection need not ask it."""
        try:
            outcome, trouble = _outcome(row)
        except Unavailable as error:
            return self._later(row, error)
        except (runs.LostClaim, OperationalError, InterfaceError):
            raise
        except AppError as error:  # final, with a reason for people: the repository said no
            if isinstance(error, Rejected) and refused.is_refusal(error):
                return self._refused(row, error)
            evidence = error.evidence if isinstance(error, DriverError) else ""
            _end(row, HookDelivery.State.FAILED, error=runs.error_of(error.code, error.sentence, evidence))
            return True
        except Exception as error:  # a bug: this delivery waits and is counted, the others go on
            logger.exception("webhook delivery %s failed in its step", row.pk)
            sentence = S("An unexpected error stopped this step.")
            trace = traceback.format_exc(limit=8)
            why = runs.error_of("step_failed", sentence, type(error).__name__, trace)
            runs.release(row, delay_s=2.0 ** min(row.attempts, 5) / 2, progressed=False, error=why)
            return True
        state = HookDelivery.State.FAILED if trouble else HookDelivery.State.DONE
        _end(row, state, result=outcome.as_json(), error=trouble)
        return True

    def _later(self, row: HookDelivery, error: Unavailable) -> bool:
        wait = min(LONGEST_WAIT_S, 2.0**row.attempts)
        of_server = error.code != STILL_FETCHING  # a large repository keeps nobody else waiting
        if self._waits(row, error, PATIENCE, wait) and of_server:
            self._others_wait(row, wait)
        return not of_server

    def _refused(self, row: HookDelivery, error: Rejected) -> bool:
        """Who mends that takes hours. Where the sign-in itself is refused, the others wait too; but one of them knocks
        next, should it be only this one's repository that is out of reach."""
        of_all = refused.is_of_account(error)
        if of_all and not _has_waited(row, refused.PATIENCE):
            self._others_wait(row, refused.PAUSE_S)  # before this one, so that its turn is surely after theirs
        self._waits(row, error, refused.PATIENCE, refused.PAUSE_S + 1)
        return not of_all

    def _waits(self, row: HookDelivery, error: DriverError, patience: timedelta, seconds: float) -> bool:
        """False: it has waited for long enough, and failed."""
        why = runs.error_of(error.code, error.sentence, error.evidence)
        if _has_waited(row, patience):
            _end(row, HookDelivery.State.FAILED, error=why)
            return False
        tries = min(row.attempts, MAX_ATTEMPTS - 1)
        runs.release(row, delay_s=seconds, progressed=False, error=why, attempts=tries)
        return True

    def _others_wait(self, row: HookDelivery, seconds: float) -> None:
        """The same server is meant by all of them."""
        due = runs.due(HookDelivery).filter(state=HookDelivery.State.NEW, connection=row.connection_id)
        due.update(next_at=runs.in_seconds(seconds))


def _outcome(row: HookDelivery) -> tuple[Outcome, dict[str, Any] | None]:
    """What came of it, and what is to be complained of. Raises what a source raises."""
    if row.event == PING:
        return Outcome(0, (), S("A greeting: the webhook is set up as it should be.")), None
    trouble = None
    try:
        told = DIALECTS[row.kind].news(row.event, unpack(bytes(row.body), row.size))
    except Unreadable as error:
        told, trouble = error.told, _unreadable(str(error))
    except (zlib.error, KeyError) as error:
        told, trouble = [], _unreadable(type(error).__name__)
    if trouble and not told:
        return Outcome(0, (), S("It could not be read.")), trouble
    heard = Heard(Via.HOOK, row.received_at.timestamp() if not row.replays else time.time())
    return hear(row.connection, told, heard, replayed=bool(row.replays)), trouble


def _has_waited(row: HookDelivery, patience: timedelta) -> bool:
    return timezone.now() - row.received_at > patience and row.replays == 0


def _unreadable(why: str) -> dict[str, Any]:
    return runs.error_of("unreadable", S("It could not be read: %(why)s.", why=storable(why)[:300]))


def _end(row: HookDelivery, state: str, **changes: Any) -> None:
    runs.write(row, state=state, handled_at=Now(), next_at=None, lease_until=None, lease_owner="", **changes)
