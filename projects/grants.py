"""Roles and machines given to and taken from a project: the row says who and why, guardian's rows say what follows.

These are the parts that actions share; they check no right themselves and write no audit line.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from clusters.models import Machine
from permissions import revocation
from permissions.models import User
from permissions.roles import PERMISSIONS_OF
from projects.models import MachineGrant, Project, RoleGrant


def held_by(project: Project, holder: Any) -> QuerySet[RoleGrant]:
    """The role grants of one person or team on a project, run out or not."""
    key = {"user": holder} if isinstance(holder, User) else {"team": holder}
    return RoleGrant.objects.filter(project=project, **key)


def live() -> Q:
    """Grants that have not run out."""
    return Q(until=None) | Q(until__gt=Now())


def set_role(
    project: Project,
    holder: Any,
    role: str | None,
    *,
    granted_by: str,
    reason: str = "",
    until: datetime | None = None,
    request: Any = None,
    emergency: bool = False,
) -> None:
    """Make `role` the only (emergency or lasting) role of a person or team on the project; None takes it away.
    Call inside a transaction."""
    rows = held_by(project, holder).filter(emergency=emergency)
    if role is None:
        rows.delete()
    else:
        key = {"user": holder} if isinstance(holder, User) else {"team": holder}
        RoleGrant.objects.update_or_create(
            project=project,
            emergency=emergency,
            **key,
            defaults={
                "role": role,
                "granted_by": granted_by,
                "reason": reason,
                "until": until,
                "request": request,
                "warned_days": None,
            },
        )
    sync(project, holder)


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


def emergency_alive(project: Project, user: Any) -> bool:
    """Whether an emergency is open on the project for this person: a role of theirs or of a team of theirs, or any
    machine, granted for it and not run out."""
    if user is None or user.pk is None:
        return False
    mine = RoleGrant.objects.filter(Q(user=user) | Q(team__user=user), live(), project=project, emergency=True)
    return mine.exists() or live_machine_grants().filter(project=project, emergency=True).exists()
