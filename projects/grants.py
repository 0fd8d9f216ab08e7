"""Roles and machines given to and taken from a project: the row says who and why, guardian's rows say what follows.

These are the parts that actions share; they check no right themselves and write no audit line.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from clusters.models import Machine
from permissions import revocation
from permissions.models import User
from permissions.roles import PERMISSIONS_OF, Role
from projects.models import MachineGrant, Project, RoleGrant

WARN_DAYS = (3, 1)  # before a grant ends; what is given for less needs no warning of it


def held_by(project: Project, holder: Any) -> QuerySet[RoleGrant]:
    """The role grants of one person or team on a project, run out or not."""
    key = {"user": holder} if isinstance(holder, User) else {"team": holder}
    return RoleGrant.objects.filter(project=project, **key)


def live() -> Q:
    """Grants that have not run out."""
    return Q(until=None) | Q(until__gt=Now())


def described(rows: QuerySet[RoleGrant]) -> list[dict[str, Any]]:
    """Role grants as plain values for the audit."""
    return [
        {"role": row.role, "until": row.until.isoformat() if row.until else None, "emergency": row.emergency}
        for row in rows.order_by("id")
    ]


def is_owned(project: Project, *, without: Any = None) -> bool:
    """Whether the project has an owner (beside that one): an active person, or a team with one in it."""
    rest = project.role_grants.filter(live(), role=Role.OWNER, emergency=False)
    if without is not None:
        rest = rest.exclude(user=without) if isinstance(without, User) else rest.exclude(team=without)
    return rest.filter(Q(user__is_active=True) | Q(team__user__is_active=True)).exists()


def give_role(
    project: Project,
    holder: Any,
    role: str,
    *,
    granted_by: str,
    reason: str = "",
    until: datetime | None = None,
    request: Any = None,
    emergency: bool = False,
) -> RoleGrant:
    """Give one role beside what the person or team holds already; the same role again is renewed. Call inside a
    transaction."""
    key = {"user": holder} if isinstance(holder, User) else {"team": holder}
    facts = _facts(granted_by, reason, until, request)
    grant, _ = RoleGrant.objects.update_or_create(
        project=project, role=role, emergency=emergency, **key, defaults=facts
    )
    sync(project, holder)
    return grant


def set_role(
    project: Project,
    holder: Any,
    role: str | None,
    *,
    granted_by: str,
    reason: str = "",
    until: datetime | None = None,
) -> None:
    """Make `role` the only lasting role of a person or team on the project; None takes away all they hold, also for an
    emergency. Call inside a transaction."""
    if role is None:
        held_by(project, holder).delete()
        sync(project, holder)
    else:
        held_by(project, holder).filter(emergency=False).exclude(role=role).delete()
        give_role(project, holder, role, granted_by=granted_by, reason=reason, until=until)


def give_machine(
    project: Project,
    machine: Machine,
    *,
    granted_by: str,
    reason: str = "",
    until: datetime | None = None,
    request: Any = None,
    emergency: bool = False,
) -> MachineGrant:
    """Let the project use the machine; a grant that is there already is replaced. Call inside a transaction."""
    facts = _facts(granted_by, reason, until, request)
    grant, _ = MachineGrant.objects.update_or_create(
        project=project, machine=machine, emergency=emergency, defaults=facts
    )
    return grant


def _facts(granted_by: str, reason: str, until: datetime | None, request: Any) -> dict[str, Any]:
    """What is said anew each time something is granted, the moment included."""
    now = timezone.now()
    return {
        "granted_by": granted_by,
        "reason": reason,
        "until": until,
        "request": request,
        "warned_days": next((d for d in sorted(WARN_DAYS) if until and until <= now + timedelta(days=d)), None),
        "created_at": now,
    }


def sync(project: Project, holder: Any) -> None:
    """Derive guardian's rows of one holder from their live grants: each permission lasts as long as the last grant
    that gives it. Whoever's rights changed is told, so that their open sockets are asked again."""
    of_user = isinstance(holder, User)
    model = get_user_obj_perms_model(project) if of_user else get_group_obj_perms_model(project)
    key = {"user": holder} if of_user else {"group": holder}
    wanted: dict[str, datetime | None] = {}
    for role, until in held_by(project, holder).filter(live()).values_list("role", "until"):
        for codename in PERMISSIONS_OF[role]:
            known = wanted.get(codename, until)
            wanted[codename] = None if known is None or until is None else max(known, until)
    rows = model._default_manager.filter(content_object=project, **key)
    rows.exclude(permission__codename__in=wanted).delete()
    known_rights = {p.codename: p for p in Permission.objects.filter(content_type__app_label="projects")}
    for codename, until in wanted.items():
        model._default_manager.update_or_create(
            content_object=project, permission=known_rights[codename], **key, defaults={"until": until}
        )
    revocation.access_changed(*([holder] if of_user else holder.user_set.all()))


def live_machine_grants() -> QuerySet[MachineGrant]:
    """Machine grants that have not run out."""
    return MachineGrant.objects.filter(live())


def granted_machines(project: Project) -> QuerySet[Machine]:
    return Machine.objects.filter(pk__in=live_machine_grants().filter(project=project).values("machine"))


def has_machine(project: Project, machine: Machine) -> bool:
    return live_machine_grants().filter(project=project, machine=machine).exists()


def emergency_alive(project: Project, user: Any, machine: Machine | None = None) -> bool:
    """Whether this person acts on the project under a break-glass grant now: a role of theirs (on every machine), or
    a machine that they asked for."""
    if not isinstance(user, User) or not user.is_active:
        return False
    if RoleGrant.objects.filter(live(), project=project, user=user, emergency=True).exists():
        return True
    machines = live_machine_grants().filter(project=project, emergency=True, request__requester=user)
    return (machines if machine is None else machines.filter(machine=machine)).exists()
