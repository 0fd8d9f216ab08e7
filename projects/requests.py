"""Asking for a role or a machine: the request and its fingerprint, taking it back, asking anew for what ends.

Asking must tell nobody what exists. Whoever may not see a project may ask for a role on it by its exact name, and gets
the same row, the same answer and the same list whether there is such a project or not: the way to both is the same
statements, and its owners are told later, by a duty. What tells the difference is only an owner's decision.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from clusters.models import Machine
from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import Conflict, Denied, Invalid, NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.models import User
from permissions.roles import Role
from permissions.scopes import Scope
from projects import deciders, grants
from projects.models import SLUG, AccessRequest, MachineGrant, Project, RoleGrant

MAX_REASON = 300
MAX_PENDING = 30  # of one person
LONGEST = timedelta(days=3650)


def ask(
    *,
    actor: Any,
    slug: str,
    kind: str,
    role: str = "",
    machine: Machine | None = None,
    reason: str,
    until: datetime | None = None,
    emergency: bool = False,
) -> AccessRequest:
    """Ask for a role on a project, or for a machine for it. Raises Denied, NotFound, Invalid, Conflict."""
    _check_person(actor)
    policy.require_scope(actor, Scope.MANAGE)
    reason = _checked_reason(reason)
    until = _checked_until(until, emergency)
    seen = policy.visible(actor, Project.objects.filter(slug=slug)).first()
    if kind == AccessRequest.Kind.MACHINE:
        if seen is None or machine is None:
            raise NotFound(S("There is nothing here, or you may not see it."))
        policy.require(actor, "build_project", seen)
        role = ""
    elif kind == AccessRequest.Kind.ROLE and role in Role.values:
        _check_slug(slug)
        machine = None
    else:
        raise Invalid(S("There is no role “%(role)s”.", role=role), fields={"role": []})
    if seen is not None:
        _refuse_needless(actor, seen, role, machine, until, emergency)
    request = AccessRequest(
        kind=kind,
        slug=slug,
        project=seen or Project.objects.filter(slug=slug).first(),
        requester=actor,
        requester_name=actor.username,
        role=role,
        machine=machine,
        reason=reason,
        until=until,
        emergency=emergency,
        expires_at=timezone.now() + timedelta(days=settings.REQUEST_DAYS),
        reminded_at=timezone.now() if seen is not None else None,
    )
    request.asked_sha256 = fingerprint(request)
    _store(actor, request, told=seen is not None)
    return request


def _store(actor: Any, request: AccessRequest, *, told: bool) -> None:
    try:
        with transaction.atomic():
            if AccessRequest.objects.filter(requester=actor, state="pending").count() >= MAX_PENDING:
                raise Conflict(S("%(limit)s requests of yours wait already; withdraw some first.", limit=MAX_PENDING))
            request.save()
            trail.record(actor, "emergency.ask" if request.emergency else "request.ask", request, after=facts(request))
            if told:
                deciders.tell(request)
    except IntegrityError as error:
        raise Conflict(S("This was asked for already and waits for a decision."), code="already_asked") from error


def withdraw(*, actor: Any, request: AccessRequest) -> None:
    """Take one's own request back. Raises Denied, Conflict."""
    if request.requester_id is None or request.requester_id != actor.pk:
        raise Denied(S("Only who asked can withdraw it."), rule="requester", granted_by=[request.requester_name])
    policy.require_scope(actor, Scope.MANAGE)
    with transaction.atomic():
        if not AccessRequest.objects.filter(pk=request.pk, state="pending").update(state="withdrawn"):
            raise decided_already()
        trail.record(actor, "request.withdraw", request, before={"state": "pending"}, after={"state": "withdrawn"})


def renew(*, actor: Any, grant: RoleGrant | MachineGrant) -> AccessRequest:
    """Ask anew for what ends: the same facts, for as long as it was given. Raises NotFound, Conflict, Denied."""
    if isinstance(grant, RoleGrant) and grant.user_id != getattr(actor, "pk", None):
        raise NotFound(S("There is nothing here, or you may not see it."))  # a team's role is an owner's to give
    if grant.until is None:
        raise Conflict(S("It has no end; there is nothing to renew."), code="no_end")
    of_machine = isinstance(grant, MachineGrant)
    return ask(
        actor=actor,
        slug=grant.project.slug,
        kind=AccessRequest.Kind.MACHINE if of_machine else AccessRequest.Kind.ROLE,
        role="" if isinstance(grant, MachineGrant) else grant.role,
        machine=grant.machine if isinstance(grant, MachineGrant) else None,
        reason=grant.reason or "renewal",
        until=None if grant.emergency else timezone.now() + (grant.until - grant.created_at),
        emergency=grant.emergency,
    )


# --- what was asked ------------------------------------------------------------------------------------------------
def facts(request: AccessRequest) -> dict[str, Any]:
    """Exactly what was asked, as plain values. Only what its requester typed or may know: they are shown the hash."""
    return {
        "kind": request.kind,
        "project": request.slug,
        "requester": request.requester_name,
        "role": request.role,
        "machine": request.machine.name if request.machine else "",
        "environment": request.machine.environment if request.machine else "",
        "reason": request.reason,
        "until": request.until.astimezone(UTC).isoformat() if request.until else None,
        "emergency": request.emergency,
    }


def fingerprint(request: AccessRequest) -> str:
    """The hash of exactly what was asked. A decision names it; what changed since (the row, or the machine and its
    environment) has another one."""
    return hashlib.sha256(json.dumps(facts(request), sort_keys=True).encode()).hexdigest()


def decided_already() -> Conflict:
    return Conflict(S("This request waits no more; look what became of it."), code="already_decided")


# --- the rules -----------------------------------------------------------------------------------------------------
def _check_person(actor: Any) -> None:
    if not actor.is_active:
        raise Denied(S("Your account is not active."), rule="active_account", granted_by=["ops"])
    if not isinstance(actor, User):
        raise Denied(S("People ask, and people decide."), rule="person", granted_by=["ops"])


def _check_slug(slug: str) -> None:
    try:
        SLUG(slug)
    except ValidationError as error:
        sentence = S(str(SLUG.message))
        raise Invalid(sentence, code="bad_slug", fields={"project": [sentence]}) from error


def _checked_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason or len(reason) > MAX_REASON:
        sentence = S("Say why, in at most %(limit)s characters.", limit=MAX_REASON)
        raise Invalid(sentence, fields={"reason": [sentence]})
    return reason


def _checked_until(until: datetime | None, emergency: bool) -> datetime | None:
    now = timezone.now()
    longest = timedelta(hours=settings.EMERGENCY_HOURS) if emergency else LONGEST
    if until is None:
        return now + longest if emergency else None
    if not now < until <= now + longest + timedelta(minutes=1):
        hours = S("An emergency ends after %(hours)s hours at most.", hours=settings.EMERGENCY_HOURS)
        sentence = hours if emergency else S("The end must lie in the future, within ten years.")
        raise Invalid(sentence, fields={"until": [sentence]})
    return until


def _refuse_needless(
    actor: Any, project: Project, role: str, machine: Machine | None, until: datetime | None, emergency: bool
) -> None:
    if project.archived:
        raise Conflict(S("The project is archived; nothing is granted for it."), code="archived")
    if not emergency and held_already(actor, project, role, machine, until):
        raise Conflict(S("It is granted already, for at least as long."), code="already_granted")


def held_already(person: Any, project: Project, role: str, machine: Machine | None, until: datetime | None) -> bool:
    """Whether what is asked for is there already (the role or a stronger one), for at least as long."""
    if machine is not None:
        lasting = MachineGrant.objects.filter(grants.live(), project=project, machine=machine, emergency=False)
    else:
        strong = Role.values[Role.values.index(role) :]
        lasting = policy.roles_of(person).filter(project=project, role__in=strong, emergency=False)
    longer = Q(until=None) if until is None else Q(until=None) | Q(until__gte=until)
    return bool(lasting.filter(longer).exists())
