"""The board: which version runs where, what lags behind, what is not well first; as many questions for ten projects as for one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Version
from clusters.models import Machine
from deployments.addresses import address_of
from deployments.board import DOTS, Cell, Row, lanes, last_builds, matrix, uses
from deployments.models import Deployment, Instance, Service
from projects.models import MachineGrant, Project
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Project:
    return world.bare_project(slug="shop")


def machines(project: Project, *names: str) -> list[Machine]:
    made = [world.granted(project, name, name) for name in names]
    for order, machine in enumerate(made):
        Machine.objects.filter(pk=machine.pk).update(order=order)
    return made


def runs(project: Project, machine: Machine, version: Version | None) -> Service:
    return Service.objects.create(project=project, machine=machine, version=version)


def cells(project: Project) -> list[Cell]:
    return matrix([project])[1][0].cells


def test_how_far_each_lags_behind_the_one_before_it(shop: Project) -> None:
    one, two, three = (world.version(shop) for _ in range(3))
    test, staging, production = machines(shop, "test", "staging", "production")
    runs(shop, test, three)
    runs(shop, staging, three)
    runs(shop, production, one)
    found = cells(shop)
    assert [cell.version for cell in found] == [three.number, three.number, one.number]
    assert [cell.behind for cell in found] == [0, 0, three.number - one.number]
    assert two.number not in [cell.version for cell in found]


def test_what_is_ahead_is_not_behind_and_where_nothing_runs_nothing_is(shop: Project) -> None:
    one, two = world.version(shop), world.version(shop)
    test, staging, production = machines(shop, "test", "staging", "production")
    runs(shop, test, two)
    runs(shop, staging, None)
    runs(shop, production, one)
    assert [(cell.version, cell.behind) for cell in cells(shop)] == [(two.number, 0), (None, 0), (one.number, 1)]
    Service.objects.filter(machine=test).update(version=one)
    Service.objects.filter(machine=production).update(version=two)
    assert [cell.behind for cell in cells(shop)] == [0, 0, 0]


def test_a_machine_that_was_taken_away_stays_as_long_as_something_is_there(shop: Project) -> None:
    test, staging = machines(shop, "test", "staging")
    runs(shop, test, world.version(shop))
    MachineGrant.objects.update(until=timezone.now() - timedelta(seconds=1))
    columns, _ = matrix([shop])
    assert columns == [test]
    assert [(cell.machine, cell.granted) for cell in cells(shop)] == [(test, False)]
    assert staging not in columns


def test_machines_of_all_projects_are_columns_in_their_order(shop: Project) -> None:
    other = world.bare_project(slug="other")
    world.granted(other, "zeta")
    world.granted(shop, "alpha")
    found, rows = matrix([shop, other])
    assert [machine.name for machine in found] == ["alpha", "zeta"]
    assert [[cell.granted for cell in row.cells] for row in rows] == [[True, False], [False, True]]
    assert [row.project for row in rows] == [shop, other]


def test_a_change_under_way_is_named_and_one_that_ended_is_not(shop: Project) -> None:
    (test,) = machines(shop, "test")
    service = runs(shop, test, None)
    ended = Deployment.objects.create(service=service, number=1, action="deploy", state="failed")
    assert cells(shop)[0].active is None
    active = Deployment.objects.create(service=service, number=2, action="deploy", state="queued")
    assert cells(shop)[0].active == active != ended


def test_as_many_questions_however_many_there_are(shop: Project, django_assert_num_queries: Any) -> None:
    projects = [shop, *(world.bare_project() for _ in range(5))]
    for project in projects:
        for _ in range(2):
            runs(project, world.granted(project), world.version(project))
    for chosen in (projects[:1], projects):
        with django_assert_num_queries(3):
            matrix(chosen)
        with django_assert_num_queries(2):
            matrix(chosen, with_builds=False)


def test_nothing_chosen_is_an_empty_board() -> None:
    assert matrix([]) == ([], [])


# --- dots ------------------------------------------------------------------------------------------------------------
def test_the_few_dots_there_is_room_for_are_those_that_are_not_well(shop: Project) -> None:
    service = runs(shop, world.machine(), world.version(shop))
    for number in range(DOTS + 3):
        Instance.objects.create(service=service, name=f"i{number:02}", state="running", ready=True)
    Instance.objects.create(service=service, name="z", state="crashed")
    Instance.objects.create(service=service, name="zz", state="running", ready=False)
    cell = Cell(service.machine, True, service)
    assert [dot["state"] for dot in cell.dots] == ["crashed", "running", *["healthy"] * (DOTS - 2)]
    assert cell.more_dots == 5


def test_where_nothing_is_there_are_no_dots() -> None:
    cell = Cell(Machine(), True)
    assert (cell.dots, cell.more_dots, cell.version) == ([], 0, None)


# --- the rest --------------------------------------------------------------------------------------------------------
def test_lanes_are_in_the_order_of_promotion() -> None:
    made = [Machine(name=name, environment=name) for name in ("production", "test", "staging", "test")]
    found = lanes(Row(Project(), None, [Cell(machine, True) for machine in made]))
    assert [(lane["environment"], len(lane["cells"])) for lane in found] == [
        ("test", 2),
        ("staging", 1),
        ("production", 1),
    ]


def test_the_last_build_of_each_is_its_newest(shop: Project) -> None:
    other, none = world.bare_project(), world.bare_project()
    world.build(shop)
    newest, theirs = world.build(shop, "failed"), world.build(other)
    assert last_builds([shop, other, none]) == {shop.pk: newest, other.pk: theirs}


def test_who_uses_a_machine_or_may(shop: Project) -> None:
    other = world.bare_project(slug="a-other")
    machine = world.granted(shop)
    runs(other, machine, None)
    runs(shop, machine, None)
    assert uses(Project.objects.all()) == {machine.pk: [other.pk, shop.pk]}
    assert uses(Project.objects.filter(pk=shop.pk)) == {machine.pk: [shop.pk]}
    assert uses(Project.objects.none()) == {}


@pytest.mark.parametrize(
    ("facts", "address"),
    [
        ({"port": 8100}, "http://release.example:8100/"),
        ({"url": "https://shop.example/"}, "https://shop.example/"),
        ({"port": 8100, "url": "https://shop.example/"}, "http://release.example:8100/"),
        ({}, ""),
    ],
    ids=["port", "url", "both", "neither"],
)
def test_where_it_is_reached(facts: dict[str, Any], address: str, settings: Any) -> None:
    settings.PUBLIC_URL = "https://release.example:8443/portal"
    assert address_of(Service(version_id=1, **facts)) == address
    assert address_of(Service(**facts)) == "", "where nothing runs nobody is led to"
