"""Drive engines: claim a due row, advance it in short steps, let go. Knows engines only by `settings.ENGINES`.

An engine's `advance(row)` makes one idempotent step of at most 10 s outside any transaction and says when to look
again. Short waits are waited for here under the same claim, so a deployment does not pay a queue hop per step.
"""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.module_loading import import_string

from . import runs
from .errors import AppError, Unavailable
from .models import Claimable
from .queue import ring
from .sentence import S

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 5
BUDGET_S = 8.0  # of one claim
SHORT_WAIT_S = 0.5
DRAIN_S = 5.0
AT_A_LOOK = 5
LOOK_AGAIN_S = 0.2  # between two steps under one claim, how old our picture of the row may be


@dataclass(frozen=True, slots=True)
class Again:
    """Look again after `delay_s` seconds; None: not until somebody pokes the row."""

    delay_s: float | None = 0.0
    released: bool = False

    @classmethod
    def handed_over(cls) -> Again:
        """The step let go of the row by itself (somebody else takes it by its fence)."""
        return cls(None, released=True)


class Engine(Protocol):
    """What `settings.ENGINES` names: a kind, its model, which due rows this host may take, and one step.

    One with `drains = True` has many short rows: whoever is rung for one of them works on the others too.
    """

    kind: str
    model: type[Claimable]

    def mine(self, rows: Any) -> Any:
        """Narrow a queryset of due rows to those this host may work on."""

    def advance(self, row: Any) -> Again | None:
        """One step; None when the row reached a final state (nothing to release)."""


@cache
def engines() -> dict[str, Engine]:
    found: list[Engine] = [import_string(path)() for path in settings.ENGINES]
    return {engine.kind: engine for engine in found}


def answer(kind: str, pk: int) -> None:
    """What the doorbell calls in a worker: work on this row and, where the engine `drains`, on what else is due."""
    engine = engines()[kind]
    try:
        if drive(engine, pk) and getattr(engine, "drains", False):
            drain(engine)
    except (DatabaseError, InterfaceError) as error:  # the lease runs out, the sweeper finds the row
        logger.warning("the database failed under %s %s: %s", kind, pk, error)


def drain(engine: Engine) -> int:
    """Work on due rows, longest due first, for at most DRAIN_S; how many. A flood then costs no ring for each row."""
    until, done = time.monotonic() + DRAIN_S, 0
    while time.monotonic() < until:
        rows = engine.mine(runs.due(engine.model)).order_by("next_at").values_list("pk", flat=True)[:AT_A_LOOK]
        found = [pk for pk in rows if time.monotonic() < until and drive(engine, pk)]
        done += len(found)
        if not found:
            break
    return done


def drive(engine: Engine, pk: int) -> bool:
    """Claim and work on one row for at most BUDGET_S. False when it was not to be had."""
    if not engine.mine(runs.due(engine.model)).filter(pk=pk).exists():
        return False
    row = runs.claim(engine.model, pk)
    if row is None:
        return False
    try:
        if row.attempts > MAX_ATTEMPTS:
            _give_up(row)
        else:
            _work(engine, row)
    except runs.LostClaim:
        logger.info("another process owns %s %s now", engine.kind, pk)
    return True


def _give_up(row: Any) -> None:
    error = row.error if isinstance(row.error, dict) else {}
    last = error.get("trouble", error)
    runs.park_for_ops(
        row,
        S("It stopped making progress after %(count)s attempts; ops must look at it.", count=MAX_ATTEMPTS),
        code="no_progress",
        evidence=last.get("evidence", ""),
        trace=last.get("trace", ""),
    )


def _work(engine: Engine, row: Any) -> None:
    renewed = looked = time.monotonic()
    until = renewed + BUDGET_S
    while True:
        pokes = row.pokes  # one that comes during the step is answered by another step
        try:
            again = engine.advance(row)
        except Unavailable as error:
            # The other side is away: patience belongs to the run's deadline, not to the attempts.
            patience = min(row.attempts, MAX_ATTEMPTS - 1)
            trouble = runs.error_of(error.code, error.sentence, error.evidence)
            _let_go_after(row, trouble, delay_s=min(30.0, 2.0**patience), pokes=pokes, attempts=patience)
            return
        except (runs.LostClaim, OperationalError, InterfaceError):
            raise  # the lease runs out by itself; the rows say where to go on
        except Exception as error:  # an engine's bug must not spin or vanish: it is counted, shown, and parked
            logger.exception("%s %s failed in its step", engine.kind, row.pk)
            sentence = error.sentence if isinstance(error, AppError) else S("An unexpected error stopped this step.")
            trace = traceback.format_exc(limit=8)
            trouble = runs.error_of("step_failed", sentence, getattr(error, "evidence", ""), trace)
            _let_go_after(row, trouble, delay_s=2.0 ** min(row.attempts, 5) / 2, pokes=pokes, attempts=row.attempts)
            return
        if again is None or again.released:
            return
        if again.delay_s is None or again.delay_s > SHORT_WAIT_S or time.monotonic() > until:
            runs.release(row, delay_s=again.delay_s, pokes=pokes, **runs.relief(row))
            if again.delay_s is not None and again.delay_s <= SHORT_WAIT_S:
                ring(engine.kind, row.pk)
            return
        if again.delay_s:
            time.sleep(again.delay_s)
        renewed, looked = _go_on(row, renewed, looked)


def _go_on(row: Any, renewed: float, looked: float) -> tuple[float, float]:
    """Between two steps under one claim: what must be known if we are killed now, and the row as it is. LostClaim."""
    fence, changes = row.fence, runs.relief(row)
    if row.attempts:  # a step was made, and that is progress
        changes["attempts"] = 0
    if changes or time.monotonic() - renewed > settings.LEASE_S / 5:
        renewed = time.monotonic()
        runs.write(row, lease_until=runs.in_seconds(settings.LEASE_S), **changes)
    now = type(row)._default_manager.filter(pk=row.pk).values_list("fence", "pokes").first()
    if now is None or now[0] != fence:
        raise runs.LostClaim(str(row))
    if now[1] == row.pokes and time.monotonic() - looked < LOOK_AGAIN_S:
        return renewed, looked  # nobody asked for anything since
    try:
        row.refresh_from_db()
    except ObjectDoesNotExist as error:
        raise runs.LostClaim(str(row)) from error
    if row.fence != fence:  # taken in this very moment: its new fence must never become ours
        raise runs.LostClaim(str(row))
    return renewed, time.monotonic()


def _let_go_after(row: Any, trouble: dict[str, Any], *, delay_s: float, pokes: int, attempts: int) -> None:
    error = runs.with_trouble(row.error, trouble)
    runs.release(row, delay_s=delay_s, progressed=False, pokes=pokes, error=error, attempts=attempts)
