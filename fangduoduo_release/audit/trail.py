"""Write the audit trail: every action calls `record` inside its transaction."""

from __future__ import annotations

from typing import Any

from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.http import current_request

from .models import AuditEntry


def record(
    actor: Any, verb: str, obj: Any, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> AuditEntry:
    """One row: who did what to which object. `before`/`after` must be free of secrets (callers pass names only)."""
    facts = current_request.get()
    return AuditEntry.objects.create(
        actor=name_of(actor),
        verb=verb,
        object_kind=obj._meta.label_lower,
        object_id=str(obj.pk),
        object_label=str(obj)[:200],
        before=before,
        after=after,
        address=facts.address,
        user_agent=facts.user_agent,
        request_id=facts.request_id,
    )
