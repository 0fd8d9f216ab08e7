"""Who sees a request, who decides it, and who is told: one place, so that lists, pages and decisions agree."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from clusters.models import Environment
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions import policy
from permissions.models import User
from projects.models import AccessRequest

# Who decides about a machine, by its environment; "owner" is the project's. For a role it is owners and ops.
MACHINE_DECIDERS: dict[str, tuple[str, ...]] = {
    Environment.TEST: ("owner", "ops"),
    Environment.STAGING: ("ops",),
    Environment.PRODUCTION: ("ops",),
}
OWNERS_DECIDE = [name for name, deciders in MACHINE_DECIDERS.items() if "owner" in deciders]


def visible(actor: Any) -> QuerySet[AccessRequest]:
    """One's own, those one may decide as an owner, machines asked for a project one sees; for ops, all that reached a
    project."""
    rows = AccessRequest.objects.select_related("project", "machine", "requester", "decided_by")
    mine = Q(requester=actor)
    if policy.is_ops(actor):
        return rows.filter(mine | Q(project__isnull=False))
    owned = policy.visible_projects(actor, "own_project").values("pk")
    seen = policy.visible_projects(actor).values("pk")
    return rows.filter(mine | Q(project__in=owned) | Q(kind=AccessRequest.Kind.MACHINE, project__in=seen))


def fetch(actor: Any, pk: int) -> AccessRequest:
    """The request, when the actor may see it. Raises NotFound."""
    found = visible(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(S("There is nothing here, or you may not see it."))
    return found


def waiting_for(actor: Any) -> QuerySet[AccessRequest]:
    """The requests that wait for a decision (or a second signature) of this person."""
    rows = AccessRequest.objects.filter(state="pending", project__isnull=False, expires_at__gt=Now())
    rows = rows.exclude(requester=actor).exclude(decided_by=actor)
    if policy.is_ops(actor):
        return rows
    owned = policy.visible_projects(actor, "own_project").values("pk")
    decidable = Q(kind=AccessRequest.Kind.ROLE) | Q(machine__environment__in=OWNERS_DECIDE)
    return rows.filter(decidable, project__in=owned, emergency=False)


def reviews_due(actor: Any) -> QuerySet[AccessRequest]:
    """Emergencies that one person opened alone and that this person may review. Ops only."""
    rows = AccessRequest.objects.filter(emergency=True, state="approved", reviewed_at=None)
    if not policy.is_ops(actor):
        return rows.none()
    return rows.exclude(requester=actor).exclude(decided_by=actor)


def named(request: AccessRequest) -> tuple[str, ...]:
    """Who decides: "owner" (of the project) and "ops", or ops alone."""
    if request.emergency:
        return ("ops",)
    if request.machine is not None:
        return MACHINE_DECIDERS[request.machine.environment]
    return ("owner", "ops")


def may_decide(actor: Any, request: AccessRequest) -> bool:
    """Nobody their own, superusers included; the database refuses it too."""
    if not isinstance(actor, User) or not actor.is_active or request.project is None:
        return False
    if request.requester_id == actor.pk:
        return False
    return policy.is_ops(actor) or ("owner" in named(request) and policy.may(actor, "own_project", request.project))


def people(request: AccessRequest) -> list[User]:
    """Whom to tell: the project's owners where they decide, and ops where those cannot."""
    if request.project is None:
        return []
    owners = (
        list(policy.owners(request.project).exclude(pk=request.requester_id or 0)) if "owner" in named(request) else []
    )
    return owners or list(policy.ops_people().exclude(pk=request.requester_id or 0))


def tell(request: AccessRequest) -> None:
    """Those who can decide hear of it. Call inside the transaction."""
    outbox.tell(
        "request.waiting",
        S(
            "%(who)s asks for %(what)s on %(project)s: %(reason)s",
            who=request.requester_name,
            what=request.role or (request.machine.name if request.machine else ""),
            project=request.slug,
            reason=request.reason,
        ),
        people=people(request),
        project=request.slug,
        link=f"/requests/{request.pk}/",
        once=f"request.waiting:{request.pk}",
    )
