"""Fill a portal's database as years of use would: `python -m benchmarks.dataset 1.0` for all of it, 0.1 for a tenth.

500 projects, 100,000 builds each with its version (a build leaves at most one), 1,000,000 events, three services per
project with their deployments. Called again with a larger share it adds what is missing. Rows only: no files, no logs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import django
from django.db import models
from django.utils import timezone

django.setup()

from builds.models import Build, Stage, Version  # noqa: E402 - wants the apps to be known
from clusters.models import Machine  # noqa: E402
from deployments.models import Deployment, Service  # noqa: E402
from fangduoduo_release.common.models import Event  # noqa: E402
from projects.models import MachineGrant, Project  # noqa: E402

PROJECTS, BUILDS_EACH, EVENTS_EACH, DEPLOYMENTS_EACH = 500, 200, 10, 5
STAGES = ("Check", "Build", "Package")
BATCH = 2000
NOW = timezone.now()


def save(model: type[models.Model], rows: Iterable[Any]) -> None:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        model._default_manager.bulk_create(batch)


def projects(first: int, last: int) -> None:
    save(
        Project,
        (Project(slug=f"p-{n:04}", name=f"Project {n}", last_build_number=BUILDS_EACH) for n in range(first, last)),
    )
    made = list(Project.objects.filter(slug__gte=f"p-{first:04}", slug__lt=f"p-{last:04}").order_by("slug"))
    machines = list(Machine.objects.order_by("order"))
    save(MachineGrant, (MachineGrant(project=p, machine=m, granted_by="bench") for p in made for m in machines))
    save(Build, builds(made))
    mine = Build.objects.filter(project__in=made)
    save(Version, (version(build) for build in mine.iterator(BATCH)))
    save(Stage, (stage(build, n) for build in mine.filter(number__gt=BUILDS_EACH - 5) for n in range(len(STAGES))))
    save(
        Event,
        (
            event("builds", pk, n)
            for pk in mine.values_list("pk", flat=True).iterator(BATCH)
            for n in range(EVENTS_EACH)
        ),
    )
    newest = {v.project_id: v for v in Version.objects.filter(project__in=made, number=BUILDS_EACH)}
    save(Service, (service(p, m, newest[p.pk]) for p in made for m in machines))
    for row in Service.objects.filter(project__in=made).select_related("version"):
        save(Deployment, (deployment(row, n) for n in range(1, DEPLOYMENTS_EACH + 1)))


def builds(made: list[Project]) -> Iterator[Build]:
    for project in made:
        for number in range(1, BUILDS_EACH + 1):
            begun = NOW - timedelta(minutes=(BUILDS_EACH - number) * 30 + 5)
            yield Build(
                project=project,
                number=number,
                state="failed" if number % 10 == 3 else "succeeded",
                trigger="push",
                ref="refs/heads/main",
                commit_sha=f"{project.pk * 1000 + number:040x}",
                commit_subject=f"Change number {number} of {project.slug}",
                commit_author="Dev",
                tests_passed=120,
                tests_failed=0,
                tests_skipped=2,
                started_at=begun,
                finished_at=begun + timedelta(seconds=70),
            )


def version(build: Build) -> Version:
    return Version(
        project_id=build.project_id,
        build=build,
        number=build.number,
        commit_sha=build.commit_sha,
        commit_subject=build.commit_subject,
        commit_author=build.commit_author,
        ref=build.ref,
        archive_sha256=f"{build.pk:064x}",
        archive_size=12345,
    )


def stage(build: Build, number: int) -> Stage:
    name = STAGES[number]
    return Stage(
        build=build, ident=name, name=name, order=number, state="succeeded",
        started_at=build.started_at, finished_at=build.finished_at,
    )  # fmt: skip


def event(kind: str, pk: int, number: int) -> Event:
    return Event(topic=f"{kind}/{pk}", seq=number + 1, at=NOW, kind="state", text="", data={"state": "running"})


def service(project: Project, machine: Machine, newest: Version) -> Service:
    return Service(
        project=project, machine=machine, version=newest, replicas=2, ready=2, total=2, state="healthy",
        observed_digest=newest.pin, observed_at=NOW, changed_at=NOW,
    )  # fmt: skip


def deployment(row: Service, number: int) -> Deployment:
    return Deployment(
        service=row, number=number, action="deploy", state="succeeded", version=row.version, replicas=2, ready=2,
        total=2, started_at=NOW, finished_at=NOW + timedelta(seconds=3), pins={"digest": row.observed_digest},
    )  # fmt: skip


def main(share: float) -> None:
    first = Project.objects.filter(slug__startswith="p-").count()
    projects(first, int(PROJECTS * share))


if __name__ == "__main__":
    main(float(sys.argv[1]))
