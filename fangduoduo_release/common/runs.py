"""The durable machine under every long work: claim, fenced writes, transitions, release.

A claim is one statement on the database's clock; it raises the fence, and every later write of the holder carries
`WHERE fence = …`. Nothing matched means somebody else owns the run: `LostClaim`, drop the work. An engine never
trusts memory: it may be killed between any two lines and another claim goes on from the rows.
"""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, DateTimeField, ExpressionWrapper, F, Q, Value, When
from django.db.models.functions import Now

from . import endings, events
from .errors import Conflict
from .models import Claimable, Run
from .sentence import S, Sentence
from .storable import storable

C = TypeVar("C", bound=Claimable)
R = TypeVar("R", bound=Run)
LONGEST_DELAY_S = 600.0  # every active row is looked at this often, whatever its engine said and the clock did since


class LostClaim(Exception):
    """Another process owns the run now; whatever we were doing must stop without writing."""


def in_seconds(seconds: float) -> Any:
    """An expression: the database's now plus `seconds`."""
    if not seconds:
        return Now()  # a sum has more digits on SQLite, where it would be later than the same millisecond
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), output_field=DateTimeField())


def unleased() -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=Now())


def due(model: type[C]) -> models.QuerySet[C]:
    """Rows of `model` that want work now and that nobody holds."""
    rows = model._default_manager.filter(unleased(), next_at__lte=Now(), needs_ops=False)
    if issubclass(model, Run):
        return rows.filter(state__in=model.STATES.active)
    return rows


def claim(model: type[C], pk: int, *, lease_s: float | None = None) -> C | None:
    """Take the row if it is due and free; returns it with its new fence, or None."""
    owner = f"{settings.HOST_ID}:{os.getpid()}:{uuid.uuid4().hex[:8]}"[:120]
    taken = (
        due(model)
        .filter(pk=pk)
        .update(
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
            lease_owner=owner,
            lease_until=in_seconds(lease_s or settings.LEASE_S),
        )
    )
    if not taken:
        return None
    return model._default_manager.filter(pk=pk, lease_owner=owner).first()


def take_over(model: type[C], pk: int, fence: int, *, lease_s: float | None = None) -> C | None:
    """Take a row from the claim with `fence`, which agreed to it (a build agent from the engine that started it)."""
    owner = f"{settings.HOST_ID}:{os.getpid()}:{uuid.uuid4().hex[:8]}"[:120]
    rows = model._default_manager.filter(pk=pk, fence=fence)
    if not rows.update(fence=F("fence") + 1, lease_owner=owner, lease_until=in_seconds(lease_s or settings.LEASE_S)):
        return None
    return model._default_manager.filter(pk=pk, lease_owner=owner).first()


def write(row: Claimable, **changes: Any) -> None:
    """A fenced update. Raises LostClaim when the claim is no longer ours."""
    if not type(row)._default_manager.filter(pk=row.pk, fence=row.fence).update(**changes):
        raise LostClaim(f"{row} fence {row.fence}")
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression"):
            setattr(row, name, value)


def renew(row: Claimable, *, lease_s: float | None = None) -> None:
    """Keep the lease for another `lease_s`. Raises LostClaim."""
    write(row, lease_until=in_seconds(lease_s or settings.LEASE_S))


def release(
    row: Claimable, *, delay_s: float | None, progressed: bool = True, pokes: int | None = None, **changes: Any
) -> None:
    """Let go. Due again after `delay_s` (None: only when poked), at most LONGEST_DELAY_S.

    A poke since `pokes` was read (default: since the row was) makes it due at once.
    """
    later: Any = None if delay_s is None else in_seconds(min(delay_s, LONGEST_DELAY_S))
    changes |= {
        "lease_until": None,
        "lease_owner": "",
        "next_at": Case(
            When(
                pokes=row.pokes if pokes is None else pokes,
                then=Value(None, output_field=DateTimeField()) if later is None else later,
            ),
            default=Now(),
            output_field=DateTimeField(),
        ),
    }
    if progressed:
        changes["attempts"] = 0
    write(row, **changes)


def poke(row: Claimable) -> None:
    """Make a row due now, also while somebody holds it (they see it at release)."""
    type(row)._default_manager.filter(pk=row.pk).update(next_at=Now(), pokes=F("pokes") + 1)


def transition(
    run: R, to: str, sentence: Sentence = events.NOTHING, *, data: dict[str, Any] | None = None, **changes: Any
) -> R:
    """Move a claimed run: legal move, compare-and-set with the fence, event, publish. Raises Conflict, LostClaim."""
    if not run.STATES.may_move(run.state, to):
        raise Conflict(S("It is %(state)s and cannot become %(to)s.", state=run.state, to=to), code="illegal_move")
    if to == "running" and run.started_at is None:
        changes.setdefault("started_at", Now())
    if run.STATES[to].final:
        changes.update(finished_at=Now(), next_at=None, lease_until=None, lease_owner="", needs_ops=False)
        changes = {**relief(run), **changes}
    pokes = run.pokes
    with transaction.atomic():
        moved = type(run)._default_manager.filter(pk=run.pk, state=run.state, fence=run.fence)
        if not moved.update(state=to, **changes):
            raise LostClaim(f"{run} fence {run.fence}")
        events.record(run, "state", sentence, **{**(data or {}), "state": to})
        run.refresh_from_db()
        if run.is_final:
            endings.spread(run)
    run.pokes = pokes  # one that came meanwhile has not been looked at: release must still see the difference
    return run


def fail(run: R, sentence: Sentence, *, code: str = "failed", evidence: str = "") -> R:
    """End a claimed run as failed with a sentence a person understands and its evidence."""
    return transition(run, "failed", sentence, error=error_of(code, sentence, evidence))


def request_cancel(run: Run, by: str) -> None:
    """Ask the engine to stop the run. Raises Conflict when it has ended."""
    asked = (
        type(run)
        ._default_manager.filter(pk=run.pk, state__in=run.STATES.active)
        .update(
            cancel_requested_at=Now(),
            cancel_requested_by=by,
            next_at=Now(),
            pokes=F("pokes") + 1,
            needs_ops=False,
            attempts=0,  # a run that waited for ops gets its chance to be cancelled
        )
    )
    if not asked:
        raise Conflict(S("It has already ended; there is nothing to cancel."), code="already_ended")
    events.record(run, "cancel", S("%(who)s asked to cancel.", who=by))


def park_for_ops(run: Claimable, sentence: Sentence, *, code: str, evidence: str = "", trace: str = "") -> None:
    """Stop trying: the run waits in its phase, with its reason, for a person from ops."""
    with transaction.atomic():
        error = error_of(code, sentence, evidence, trace)
        write(run, needs_ops=True, error=error, next_at=None, lease_until=None, lease_owner="")
        if isinstance(run, Run):
            events.record(run, "needs_ops", sentence)


def error_of(code: str, sentence: Sentence, evidence: str = "", trace: str = "") -> dict[str, Any]:
    """The shape of a row's `error`: what happened as a sentence, and the end of what proves it.

    `trace` is where our own code failed: it may quote any value, so that only ops are shown it (in the admin).
    """
    error = {"code": code, "sentence": storable(sentence.as_json()), "evidence": storable(evidence[-20_000:])}
    return {**error, "trace": storable(trace[-20_000:])} if trace else error


def with_trouble(error: Any, trouble: dict[str, Any]) -> dict[str, Any]:
    """A row's `error` with a passing trouble in it; what the engine itself keeps there is not touched."""
    own = without_trouble(error)
    return {**own, "trouble": trouble} if own else {**trouble, "passing": True}


def relief(row: Any) -> dict[str, Any]:
    """The change that clears a passing trouble after a step that went well; empty when there is none."""
    error = row.error
    troubled = isinstance(error, dict) and ("trouble" in error or error.get("passing"))
    return {"error": without_trouble(error)} if troubled else {}


def without_trouble(error: Any) -> dict[str, Any] | None:
    """A row's `error` as its engine wrote it."""
    if not isinstance(error, dict) or error.get("passing"):
        return None
    return {name: value for name, value in error.items() if name != "trouble"}
