"""What ops decide about a run that stopped making progress: let it try again, or end it as failed."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from . import events, runs
from .actor import name_of
from .errors import Conflict
from .models import Run
from .sentence import S


def settle(*, actor: Any, run: Run, retry: bool) -> None:
    """Decide about a parked run; the caller has checked that the actor is ops. Raises Conflict when it waits no more."""
    with transaction.atomic():
        waiting = type(run)._default_manager.filter(pk=run.pk, needs_ops=True)
        if not waiting.update(needs_ops=False, attempts=0, next_at=Now()):
            raise Conflict(S("It does not wait for ops any more."), code="illegal_move")
        run.refresh_from_db()
        if retry:
            events.record(run, "ops_retry", S("%(who)s let it try again.", who=name_of(actor)))
            runs.poke(run)
        else:
            runs.fail(run, S("%(who)s from ops ended it.", who=name_of(actor)), code="given_up")
