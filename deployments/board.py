"""Which version of what runs where: the matrix of the home page and the board of one project, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import FilteredRelation, OuterRef, Q, QuerySet, Subquery

from builds.models import Build
from clusters.freezing import Freeze
from clusters.models import Machine
from deployments.addresses import address_of
from deployments.freshness import Knowledge
from deployments.models import Deployment, Service
from projects import grants
from projects.models import AccessRequest, Project

DOTS = 8  # what has room in a card


@dataclass(slots=True)
class Cell:
    """One project on one machine. `behind`: how many versions it lags behind the column to its left."""

    machine: Machine
    granted: bool
    service: Service | None = None
    active: Deployment | None = None
    behind: int = 0
    url: str = ""
    terminal: dict[str, Any] = field(default_factory=dict)  # how it is offered, where the page offers it
    freeze: Freeze | None = None  # now or next, where the page asks for it
    known: Knowledge | None = None  # how old what is shown is; the same
    asked: AccessRequest | None = None  # for this machine, not decided yet; the same
    config_changed: int = 0  # pinned texts that say something else by now; the same

    @property
    def version(self) -> int | None:
        return self.service.version.number if self.service and self.service.version else None

    @property
    def dots(self) -> list[dict[str, str]]:
        """Its instances as the dots show them, worst first and not too many; fetch `service.instances` for all cells at
        once beforehand."""
        found = self.service.instances.all() if self.service else ()
        states = ["healthy" if one.ready and one.state == "running" else one.state for one in found]
        return [{"state": state} for state in sorted(states, key=lambda state: state == "healthy")[:DOTS]]

    @property
    def more_dots(self) -> int:
        """How many there are besides."""
        return max(0, len(self.service.instances.all()) - DOTS) if self.service else 0


@dataclass(slots=True)
class Row:
    project: Project
    last_build: Build | None
    cells: list[Cell] = field(default_factory=list)


def services_of(projects: Iterable[Project]) -> list[Service]:
    """With what is shown of them; `service.changing` is the deployment under way, of which there is at most one."""
    under_way = FilteredRelation("deployments", condition=Q(deployments__state__in=Deployment.STATES.active))
    rows = (
        Service.objects.filter(project__in=projects)
        .annotate(changing=under_way)
        .select_related("machine__cluster", "version", "last_deployment__started_by", "changing__version")  # type: ignore[misc]
        .defer("last_deployment__manifest", "last_deployment__diff", "changing__manifest", "changing__diff")  # type: ignore[misc]
    )
    return list(rows)


def matrix(projects: Sequence[Project], *, with_builds: bool = True) -> tuple[list[Machine], list[Row]]:
    """The machines worth a column (granted to one of these projects, or with a service of one), and a row for each
    project: 3 queries however many there are, one less without their last builds."""
    services = {(s.project_id, s.machine_id): s for s in services_of(projects)}
    live = grants.live_machine_grants().filter(project__in=projects).select_related("machine__cluster")
    given = {(grant.project_id, grant.machine_id): grant.machine for grant in live}
    granted = given.keys()
    known = {machine.pk: machine for machine in [*given.values(), *(s.machine for s in services.values())]}
    machines = sorted(known.values(), key=lambda machine: (machine.order, machine.name))
    builds = last_builds(projects) if with_builds else {}
    rows = []
    for project in projects:
        row = Row(project, builds.get(project.pk))
        left: int | None = None
        for machine in machines:
            service = services.get((project.pk, machine.pk))
            cell = Cell(machine, (project.pk, machine.pk) in granted, service, getattr(service, "changing", None))
            if service is not None:
                cell.url = address_of(service)
            if cell.version is not None:
                if left is not None and cell.version < left:
                    cell.behind = left - cell.version
                left = cell.version
            row.cells.append(cell)
        rows.append(row)
    return machines, rows


def uses(projects: QuerySet[Project]) -> dict[int, list[int]]:
    """Which of these projects use or may use each machine: {machine id: project ids by slug}."""
    asked = [
        rows.filter(project__in=projects).order_by().values_list("machine_id", "project__slug", "project_id")
        for rows in (Service.objects.all(), grants.live_machine_grants())
    ]
    found: dict[int, list[int]] = {}
    for machine, _slug, project in sorted(asked[0].union(asked[1])):
        found.setdefault(machine, []).append(project)
    return found


def last_builds(projects: Iterable[Project]) -> dict[int, Build]:
    """The newest of each: one step in an index per project, not a walk over all its builds."""
    of_project = Build.objects.filter(project=OuterRef("pk")).order_by("-id").values("pk")[:1]
    chosen = [project.pk for project in projects]
    newest = Project.objects.filter(pk__in=chosen).order_by().annotate(last=Subquery(of_project)).values("last")
    return {
        build.project_id: build for build in Build.objects.select_related("change").filter(pk__in=newest).order_by()
    }


def lanes(row: Row) -> list[dict[str, Any]]:
    """One project's cells by environment, in the order of promotion."""
    found: dict[str, list[Cell]] = {}
    for cell in row.cells:
        found.setdefault(cell.machine.environment, []).append(cell)
    order = ["test", "staging", "production"]
    return [{"environment": name, "cells": found[name]} for name in order if name in found]
