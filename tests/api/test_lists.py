"""Lists: stable cursor pages, search, order, filters; as few queries for 50 rows as for 5; the same as the details say."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from builds.models import Artifact, Build, Stage
from clusters.models import Cluster
from deployments.models import Deployment, Instance, Service
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from permissions.models import User
from projects.actions import set_member
from projects.models import Project
from tests import world

from .door import Door, told

pytestmark = pytest.mark.django_db
MOST_QUERIES = 12
_numbers = itertools.count(1)


def make_rows(owner: User, home: Project, count: int) -> None:
    """`count` more of everything that is listed."""
    connection_row = Connection.objects.create(name=f"c{next(_numbers)}", kind="git")
    for _turn in range(count):
        number = next(_numbers)
        other = Project.objects.create(slug=f"p{number}", name=f"P {number}", source_connection=connection_row)
        set_member(actor=SYSTEM, project=other, user=owner, role="owner")
        version = world.version(home, says="x")
        Stage.objects.create(build=version.build, ident="a", name="a")
        Artifact.objects.create(build=version.build, path="a", size=1, sha256="0" * 64)
        machine = world.granted(home, f"m{number}")
        service = Service.objects.create(project=home, machine=machine, version=version)
        Instance.objects.create(service=service, name=f"i{number}")
        Deployment.objects.create(
            service=service, number=1, action="deploy", version=version, started_by=owner, state="succeeded"
        )
        world.pipeline(home, f"pipeline {{ agent any\n stages {{ stage('s{number}') {{ steps {{ echo 'a' }} }} }} }}")
        Connection.objects.create(name=f"c{next(_numbers)}", kind="git")
        Cluster.objects.create(name=f"k{number}", kind="local", connection=connection_row)


LISTS = [
    "projects/", "builds/", "deployments/", "machines/", "clusters/", "connections/", "audit/",
    "projects/shop/builds/", "projects/shop/versions/", "projects/shop/deployments/", "projects/shop/services/",
    "projects/shop/pipeline/revisions/", "projects/shop/members/",
]  # fmt: skip


def queries(door: Door, path: str) -> tuple[int, int]:
    """How many statements, and how many rows."""
    told(door.get(path))  # content types are known from now on, and that the token was used is written down
    with CaptureQueriesContext(connection) as asked:
        answer = told(door.get(path))
    return len(asked), len(answer["results"] if isinstance(answer, dict) else answer)


@pytest.mark.timeout(240)
def test_a_longer_list_asks_no_more_of_the_database(owner: User, project: Project, ops: Door) -> None:
    ann = Door(owner)
    doors = {path: ops if path in {"connections/", "audit/"} else ann for path in LISTS}
    make_rows(owner, project, 5)
    few = {path: queries(doors[path], f"{path}?page_size=100") for path in LISTS}
    make_rows(owner, project, 45)
    many = {path: queries(doors[path], f"{path}?page_size=100") for path in LISTS}
    for path in LISTS:
        if path != "projects/shop/members/":
            assert many[path][1] >= 50, path
        assert many[path][0] <= few[path][0], path
        assert many[path][0] <= MOST_QUERIES, path


def test_pages_follow_each_other_without_gaps_while_rows_arrive(ann: Door, project: Project) -> None:
    for _ in range(7):
        world.build(project)
    expected = list(Build.objects.order_by("-id").values_list("pk", flat=True))
    seen: list[int] = []
    page = told(ann.get("builds/?page_size=3"))
    assert page["previous"] is None
    while True:
        seen += [row["id"] for row in page["results"]]
        world.build(project)
        if page["next"] is None:
            break
        page = told(ann.get(page["next"].removeprefix("http://testserver")))
    assert seen == expected
    assert page["previous"] is not None
    assert len(told(ann.get("builds/?page_size=100000"))["results"]) <= 200


def test_filters_search_and_order(ann: Door, project: Project) -> None:
    one = world.build(project, commit_subject="Paint it blue")
    two = world.build(project, state="failed", ref="refs/heads/other")
    found = lambda query: [row["id"] for row in told(ann.get(f"builds/?{query}"))["results"]]  # noqa: E731
    assert found("search=blue") == [one.pk]
    assert found("state=failed") == [two.pk]
    assert found("state=failed&state=succeeded") == [two.pk, one.pk]
    assert found("project=shop&ref=refs/heads/other") == [two.pk]
    assert found("project=absent") == []
    assert found("ordering=created_at") == [one.pk, two.pk]
    assert found("ordering=-id") == found("ordering=nonsense") == [two.pk, one.pk]


def test_projects_in_order_of_their_slugs(ann: Door, owner: User) -> None:
    for slug in ("b", "c", "a"):
        made = Project.objects.create(slug=slug, name=slug, archived=slug == "c")
        set_member(actor=SYSTEM, project=made, user=owner, role="owner")
    slugs = lambda query: [row["slug"] for row in told(ann.get(f"projects/?{query}"))["results"]]  # noqa: E731
    assert slugs("ordering=slug") == ["a", "b", "c"]
    assert slugs("ordering=-slug&page_size=2") == ["c", "b"]
    assert slugs("archived=true") == ["c"]
    assert slugs("search=B") == ["b"]


def test_every_list_shows_exactly_what_its_details_show(project: Project, owner: User, ops: Door) -> None:
    other = world.project(world.person("ben"), "other")
    for home in (project, other):
        world.version(home)
    roles = {role: Door(world.member(project, role)) for role in ("viewer", "developer", "maintainer")}
    doors = {**roles, "owner": Door(owner), "stranger": Door(world.person("zoe")), "ops": ops}
    details: dict[str, tuple[Any, str]] = {
        "projects/": (lambda: Project.objects.values_list("slug", flat=True), "slug"),
        "builds/": (lambda: Build.objects.values_list("pk", flat=True), "id"),
    }
    for role, door in doors.items():
        for path, (rows, name) in details.items():
            listed = {row[name]: row for row in told(door.get(f"{path}?page_size=200"))["results"]}
            for key in rows():
                answer = door.get(f"{path}{key}/")
                assert (answer.status_code == 200) == (key in listed), (role, path, key)
                if key in listed:
                    detail = told(answer)
                    assert {field: detail[field] for field in listed[key]} == listed[key]
    assert told(doors["stranger"].get("builds/"))["results"] == []
    assert len(told(ops.get("builds/"))["results"]) == 2
