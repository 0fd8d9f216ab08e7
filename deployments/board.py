"""Which version of what runs where: the matrix of the home page and the board of one project, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max

from builds.models import Build
from clusters.models import Machine
from deployments.addresses import address_of
from deployments.models import Deployment, Service
from projects import grants
from projects.models import Project


@dataclass(slots=True)
class Cell:
    """One project on one machine. `behind`: how many versions it lags behind the column to its left."""

    machine: Machine
    granted: bool
    service: Service | None = None
    active: Deployment | None = None
    behind: int = 0
    url: str = ""

    @property
    def version(self) -> int | None:
        return self.service.version.number if self.service and self.service.version else None

    @property
    def dots(self) -> list[dict[str, str]]:
        """Its instances as the dots show them; fetch `service.instances` for all cells at once beforehand."""
        found = self.service.instances.all() if self.service else ()
        return [{"state": "healthy" if one.ready and one.state == "running" else one.state} for one in found]


@dataclass(slots=True)
class Row:
    project: Project
    last_build: Build | None
    cells: list[Cell] = field(default_factory=list)


def services_of(projects: Iterable[Project]) -> list[Service]:
    rows = Service.objects.filter(project__in=projects).select_related(
        "project", "machine__cluster", "version", "last_deployment__started_by"
    )
    return list(rows)


def matrix(projects: Sequence[Project], machines: Sequence[Machine]) -> list[Row]:
    """Rows for these projects over these machines: 4 queries however many there are."""
    services = {(s.project_id, s.machine_id): s for s in services_of(projects)}
    granted = set(grants.live_machine_grants().filter(project__in=projects).values_list("project_id", "machine_id"))
    active = _active(services.values())
    builds = last_builds(projects)
    rows = []
    for project in projects:
        row = Row(project, builds.get(project.pk))
        left: int | None = None
        for machine in machines:
            service = services.get((project.pk, machine.pk))
            cell = Cell(
                machine, (project.pk, machine.pk) in granted, service, active.get(service.pk) if service else None
            )
            if service is not None:
                cell.url = address_of(service)
            if cell.version is not None:
                if left is not None and cell.version < left:
                    cell.behind = left - cell.version
                left = cell.version
            row.cells.append(cell)
        rows.append(row)
    return rows


def _active(services: Iterable[Service]) -> dict[int, Deployment]:
    ids = [s.pk for s in services]
    rows = Deployment.objects.filter(service__in=ids, state__in=Deployment.STATES.active).select_related("version")
    return {d.service_id: d for d in rows}


def last_builds(projects: Iterable[Project]) -> dict[int, Build]:
    newest = Build.objects.filter(project__in=projects).order_by().values("project").annotate(last=Max("id"))
    found = Build.objects.in_bulk([row["last"] for row in newest])
    return {build.project_id: build for build in found.values()}


def machines_for(projects: Iterable[Project]) -> list[Machine]:
    """The machines worth a column: granted to one of these projects, or with a service of one."""
    wanted = grants.live_machine_grants().filter(project__in=projects).values("machine")
    running = Service.objects.filter(project__in=projects).values("machine")
    found = Machine.objects.filter(pk__in=wanted) | Machine.objects.filter(pk__in=running)
    return list(found.select_related("cluster").distinct())


def lanes(row: Row) -> list[dict[str, Any]]:
    """One project's cells by environment, in the order of promotion."""
    found: dict[str, list[Cell]] = {}
    for cell in row.cells:
        found.setdefault(cell.machine.environment, []).append(cell)
    order = ["test", "staging", "production"]
    return [{"environment": name, "cells": found[name]} for name in order if name in found]
