"""What a freeze window means for a change: refused at every door and again when it begins, unless an emergency is open."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from clusters import freezing
from clusters.freezing import Freeze
from clusters.models import Machine
from deployments.models import Deployment
from fangduoduo_release.audit import trail
from fangduoduo_release.common import events
from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions import policy
from projects import grants
from projects.models import Project

OVERRIDDEN = S("An emergency is open: this goes ahead in spite of the freeze, and the audit says so.")


def overridden(actor: Any, project: Project, machine: Machine, action: str) -> Freeze | None:
    """The freeze that an open emergency of theirs overrides; None when the machine is free. Raises Denied."""
    freeze = freezing.freezing(machine, restoring=action in Deployment.RESTORING)
    if freeze is not None:
        require_emergency(actor, project, machine, freeze)
    return freeze


def require_emergency(actor: Any, project: Project, machine: Machine, freeze: Freeze) -> None:
    """Nobody passes a freeze otherwise, ops neither. Raises Denied with the window, until when, and why."""
    if grants.emergency_alive(project, actor, machine):
        return
    asking = {"project": project.slug, "kind": "machine", "machine": machine.name, "emergency": 1}
    raise Denied(
        S(
            "%(machine)s is frozen until %(until)s by “%(name)s”: %(reason)s",
            machine=machine.name,
            until=freeze.until_words,
            name=freeze.window.name,
            reason=freeze.window.reason,
        ),
        rule="freeze_window",
        granted_by=["ops"],
        request_url=f"/requests/new/?{urlencode(asking)}",
        code="freeze_window",
    )


def tell_everybody(actor: Any, deployment: Deployment, freeze: Freeze) -> None:
    """Loudly: on the deployment, in the audit, to ops. Call inside the transaction that lets it pass."""
    service = deployment.service
    sentence = S(
        "%(who)s changes %(service)s in spite of the freeze “%(name)s”, which lasts until %(until)s.",
        who=name_of(actor),
        service=str(service),
        name=freeze.window.name,
        until=freeze.until_words,
    )
    events.record(deployment, "despite_freeze", sentence)
    facts = {"window": freeze.window.name, "until": freeze.until_words, "reason": freeze.window.reason}
    trail.record(actor, "deployment.despite_freeze", deployment, after=facts)
    outbox.tell(
        "security", sentence, people=policy.ops_people(), project=service.project.slug,
        link=f"/deployments/{deployment.pk}/", once=f"despite_freeze:{deployment.pk}",
    )  # fmt: skip
