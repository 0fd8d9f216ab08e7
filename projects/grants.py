"""Roles and machines given to and taken from a project: the row says who and why, guardian's rows say what follows.

These are the parts that actions share; they check no right themselves and write no audit line.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from guardian.shortcuts import assign_perm, remove_perm

from clusters.models import Machine
from permissions.roles import PERMISSIONS_OF, PROJECT_PERMISSIONS
from projects.models import MachineGrant, Project, RoleGrant


def set_role(project: Project, user: Any, role: str | None, *, granted_by: str, reason: str = "") -> None:
    """Make `role` the user's only role on the project; None takes it away. Call inside a transaction."""
    held = PERMISSIONS_OF[role] if role else ()
    for codename, _label in PROJECT_PERMISSIONS:
        if codename in held:
            assign_perm(codename, user, project)
        else:
            remove_perm(codename, user, project)
    if role is None:
        RoleGrant.objects.filter(project=project, user=user).delete()
        return
    RoleGrant.objects.update_or_create(
        project=project, user=user, defaults={"role": role, "granted_by": granted_by, "reason": reason}
    )


def live_machine_grants() -> QuerySet[MachineGrant]:
    """Machine grants that have not run out."""
    return MachineGrant.objects.filter(Q(until=None) | Q(until__gt=Now()))


def granted_machines(project: Project) -> QuerySet[Machine]:
    return Machine.objects.filter(pk__in=live_machine_grants().filter(project=project).values("machine"))


def has_machine(project: Project, machine: Machine) -> bool:
    return live_machine_grants().filter(project=project, machine=machine).exists()
