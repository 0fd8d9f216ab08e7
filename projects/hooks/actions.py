"""What ops do with stored deliveries."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects.models import HookDelivery

from .store import ENGINE, work_again


def replay(*, actor: Any, delivery: HookDelivery) -> None:
    """Work on a delivery once more. Harmless: what was noticed is known. Ops only. Raises Denied, Conflict."""
    policy.require_ops(actor)
    with transaction.atomic():
        rows = HookDelivery.objects.filter(pk=delivery.pk)
        ended = rows.exclude(state=HookDelivery.State.NEW) | rows.filter(needs_ops=True)
        if not work_again(ended):
            raise Conflict(S("This delivery is being worked on already."), code="not_ended")
        trail.record(actor, "hook.replay", delivery)
        ring(ENGINE, delivery.pk)
