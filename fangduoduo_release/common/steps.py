"""Steps: every outside effect writes its intent first, so a crash is followed by "did it happen?", not by a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from . import runs
from .models import Run, Step
from .runs import LostClaim


def once(
    run: Run,
    name: str,
    act: Callable[[], dict[str, Any] | None],
    *,
    observe: Callable[[], dict[str, Any] | None] | None = None,
    intent: dict[str, Any] | None = None,
    suffix: str = "",
) -> dict[str, Any]:
    """Do `act` once for this run and remember its outcome.

    First time: commit the intent, act, store the outcome. After a crash in between: `observe` the outside world by the
    run's key; when it answers, that is the outcome; else act again. The lease is renewed before and after, so `act` may
    take 10 s. Raises LostClaim, and whatever `act` raises.
    """
    key = f"{run.key}:{name}{':' + suffix if suffix else ''}"
    step = Step.objects.filter(key=key).first()
    if step is not None and step.outcome is not None:
        return dict(step.outcome)
    outcome: dict[str, Any] | None = None
    if step is None:
        step = _intend(run, key, name, intent or {})
    else:
        runs.renew(run)
        if observe is not None:
            outcome = observe()
    if outcome is None:
        outcome = act() or {}
    with transaction.atomic():
        runs.renew(run)
        Step.objects.filter(pk=step.pk).update(outcome=outcome, done_at=Now(), fence=run.fence)
    return outcome


def _intend(run: Run, key: str, name: str, intent: dict[str, Any]) -> Step:
    try:
        with transaction.atomic():
            runs.renew(run)
            return Step.objects.create(run_key=run.key, key=key, name=name, intent=intent, fence=run.fence)
    except IntegrityError as error:
        raise LostClaim(str(run)) from error
