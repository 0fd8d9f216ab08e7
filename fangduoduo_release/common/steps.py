"""Steps: every outside effect writes its intent first, so a crash is followed by "did it happen?", not by a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from . import runs
from .models import Run, Step


def once(
    run: Run,
    name: str,
    act: Callable[[], dict[str, Any] | None],
    *,
    observe: Callable[[], dict[str, Any] | None] | None = None,
    intent: dict[str, Any] | None = None,
    suffix: str = "",
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Do `act` once for this run and remember its outcome.

    First time: commit the intent, act, store the outcome. After a crash in between: `observe` the outside world by the
    run's key; when it answers, that is the outcome; else act again. The lease is renewed before and after, so `act` may
    take 10 s. `changes` are fields of the run that are written together with the outcome. Raises LostClaim, and whatever
    `act` raises.
    """
    key = f"{run.key}:{name}{':' + suffix if suffix else ''}"
    outcome: dict[str, Any] | None = None
    step = _intend(run, key, name, intent or {})
    if step is None:
        step = Step.objects.get(key=key)
        if step.outcome is not None:
            if changes:
                runs.write(run, **changes)
            return dict(step.outcome)
        runs.renew(run)
        if observe is not None:
            outcome = observe()
    if outcome is None:
        outcome = act() or {}
    with transaction.atomic():
        runs.write(run, lease_until=runs.in_seconds(settings.LEASE_S), **(changes or {}))
        Step.objects.filter(pk=step.pk).update(outcome=outcome, done_at=Now(), fence=run.fence)
    return outcome


def _intend(run: Run, key: str, name: str, intent: dict[str, Any]) -> Step | None:
    """The step's row with its intent, committed; None when there is one already. Raises LostClaim."""
    try:
        with transaction.atomic():
            runs.renew(run)
            return Step.objects.create(run_key=run.key, key=key, name=name, intent=intent, fence=run.fence)
    except IntegrityError:
        return None
