"""Which namespaces of a cluster somebody reaches, and how far: for the gateway, which knows no projects.

A machine is a namespace of its cluster. One reads where one may see a project that is granted such a machine, changes where
one may deploy it there, deletes where one may operate it (as `deployments/rights.py` asks for a removal); ops everywhere
that is a machine's. What would hold up a deployment (a freeze, approvals) bars changes here too: otherwise this would be the way
around it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from clusters import freezing
from clusters.gateway.reach import Place
from clusters.kubernetes import namespace_of
from clusters.models import Cluster, Environment, Machine
from fangduoduo_release.common.errors import AppError, Denied
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects.grants import emergency_alive, live_machine_grants
from projects.models import Project


def namespaces(actor: Any, cluster: Cluster, *, changing: bool = False) -> dict[str, Place]:
    """{namespace: what this actor may do in it}, of those that they may read."""
    machines = [one for one in Machine.objects.filter(cluster=cluster) if namespace_of(one.placement)]
    granted: dict[int, set[int]] = defaultdict(set)
    for machine, project in live_machine_grants().filter(machine__in=machines).values_list("machine", "project"):
        granted[machine].add(project)
    every = set().union(*granted.values())
    seen = {one.pk: one for one in policy.visible_projects(actor).filter(pk__in=every)} if every else {}
    held = policy.permissions_on_all(actor, seen.values())
    ops = policy.is_ops(actor)
    found: dict[str, Place] = {}
    for machine_row in machines:
        here = [seen[pk] for pk in granted[machine_row.pk] if pk in seen]
        if ops or here:
            name = namespace_of(machine_row.placement)
            place = _place(actor, machine_row, here, held, everything=ops, changing=changing)
            found[name] = _both(found[name], place) if name in found else place
    return found


def _place(
    actor: Any, machine: Machine, here: list[Project], held: dict[int, frozenset[str]], *, everything: bool, changing: bool
) -> Place:  # fmt: skip
    needed = "deploy_test_project" if machine.environment == Environment.TEST else "deploy_project"
    deploys = [one for one in here if needed in held[one.pk]]
    bars: tuple[AppError | None, AppError | None] = (None, None)
    if changing and (deploys or everything):
        bars = _bars(actor, machine, deploys)
    return Place(
        projects=frozenset(one.slug for one in here),
        deploys=frozenset(one.slug for one in deploys),
        removes=frozenset(one.slug for one in deploys if "operate_project" in held[one.pk]),
        everything=everything,
        barred=bars[0],
        barred_restart=bars[1],
    )


def _bars(actor: Any, machine: Machine, deploys: list[Project]) -> tuple[AppError | None, AppError | None]:
    """What bars every change, and what bars even replacing pods. An open emergency passes both, as it does for a deployment."""
    change, restart = _bar(machine, restoring=False), _bar(machine, restoring=True)
    if change and any(emergency_alive(project, actor, machine) for project in deploys):
        return None, None
    return change, restart


def _bar(machine: Machine, *, restoring: bool) -> AppError | None:
    freeze = freezing.freezing(machine, restoring=restoring)
    if freeze is not None:
        return Denied(
            S(
                "%(machine)s is frozen until %(until)s by “%(name)s”: %(reason)s",
                machine=machine.name,
                until=freeze.until_words,
                name=freeze.window.name,
                reason=freeze.window.reason,
            ),
            rule="freeze_window",
            granted_by=["ops"],
        )
    if machine.approvals_needed and (machine.approve_restoring or not restoring):
        return Denied(
            S(
                "A change on %(machine)s needs the approval of %(count)s: make a deployment in the portal, where they are asked.",
                machine=machine.name,
                count=machine.approvals_needed,
            ),
            rule="approvals_needed",
        )
    return None


def _both(one: Place, other: Place) -> Place:
    """Two machines on one namespace: what either allows, barred by what either is barred by."""
    return Place(
        one.projects | other.projects,
        one.deploys | other.deploys,
        one.removes | other.removes,
        one.everything or other.everything,
        one.barred or other.barred,
        one.barred_restart or other.barred_restart,
    )
