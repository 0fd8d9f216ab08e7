"""What a request would change if it were granted: shown to whoever asks and to whoever decides, on pages and in the
admin. Reads, never writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_noop as _

from clusters.models import Environment, Machine
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from permissions.roles import PERMISSIONS_OF, Role
from projects import deciders, grants
from projects.models import AccessRequest, MachineGrant, Project, RoleGrant

MEANS = {
    "view_project": _("see the project, its builds, versions, logs and services"),
    "build_project": _("push, build, cancel and retry builds"),
    "deploy_test_project": _("deploy to its test machines"),
    "deploy_project": _("deploy to all its machines, production too"),
    "operate_project": _("restart, scale and remove its services"),
    "change_project": _("change its settings, spec, secrets and pipeline"),
    "own_project": _("give and take roles, and decide requests"),
}
HISTORY = 6
NAMED = 8


@dataclass(frozen=True, slots=True)
class Consequences:
    """`gains`: what will be possible that was not. `facts`: sentences about it. `machines`: where it reaches."""

    gains: list[str] = field(default_factory=list)
    facts: list[Sentence] = field(default_factory=list)
    machines: list[Machine] = field(default_factory=list)
    production: str = ""
    deciders: list[str] = field(default_factory=list)


def of(project: Project, person: Any, role: str, machine: Machine | None, emergency: bool) -> Consequences:
    """What granting a role to this person, or a machine to this project, would change."""
    draft = AccessRequest(
        project=project, slug=project.slug, requester=person, role=role, machine=machine, emergency=emergency
    )
    able = [one.username for one in deciders.people(draft)[:NAMED]] or ["ops"]
    if machine is not None:
        return _of_machine(project, machine, able)
    held = policy.permissions_on(person, project) if person is not None else frozenset()
    new = [codename for codename in PERMISSIONS_OF.get(role, ()) if codename not in held]
    reach = [m for m in grants.granted_machines(project) if _reaches(m, new)]
    facts = [] if new else [S("Nothing new: all of it is possible already.")]
    production = next((m.name for m in reach if m.is_production), "")
    return Consequences([MEANS[codename] for codename in new], facts, reach, production, able)


def of_request(request: AccessRequest) -> Consequences:
    if request.project is None:
        return Consequences()
    return of(request.project, request.requester, request.role, request.machine, request.emergency)


def _reaches(machine: Machine, codenames: list[str]) -> bool:
    return ("deploy_test_project" if machine.environment == Environment.TEST else "deploy_project") in codenames


def _of_machine(project: Project, machine: Machine, able: list[str]) -> Consequences:
    users = grants.live_machine_grants().filter(machine=machine).values("project").distinct().count()
    strong = Role.values[Role.values.index(_least(machine)) :]
    people = RoleGrant.objects.filter(grants.live(), project=project, role__in=strong)
    count = people.exclude(user=None).values("user").distinct().count()
    teams = people.exclude(team=None).values("team").distinct().count()
    facts = [
        S("Projects that use this machine: %(n)s.", n=users),
        S("People of this project who may then deploy there: %(n)s, teams: %(teams)s.", n=count, teams=teams),
    ]
    if (
        machine.is_production
        and not MachineGrant.objects.filter(grants.live(), project=project, machine__environment=Environment.PRODUCTION)
        .exclude(machine=machine)
        .exists()
    ):
        facts.append(S("It would be the first production machine of this project."))
    gains = [_("deploy this project to the machine")]
    return Consequences(gains, facts, [machine], machine.name if machine.is_production else "", able)


def _least(machine: Machine) -> str:
    return Role.DEVELOPER if machine.environment == Environment.TEST else Role.MAINTAINER


def history(request: AccessRequest) -> list[AccessRequest]:
    """The newest requests before it by the same person here, or for the same machine."""
    alike = Q(requester=request.requester_id) if request.requester_id else Q(requester_name=request.requester_name)
    if request.machine_id:
        alike |= Q(machine=request.machine_id)
    rows = AccessRequest.objects.filter(alike, project=request.project, pk__lt=request.pk)
    return list(rows.select_related("machine").order_by("-pk")[:HISTORY])
