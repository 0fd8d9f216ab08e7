"""List and detail always agree, whatever somebody holds and through whom; and asking for a whole list is cheap."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from permissions import policy
from permissions.models import User
from permissions.roles import PROJECT_PERMISSIONS, Role
from projects import grants, requests
from projects.models import Project, ProjectGroupObjectPermission, ProjectUserObjectPermission
from tests import world

pytestmark = pytest.mark.django_db
CODENAMES = [codename for codename, _label in PROJECT_PERMISSIONS]
DAYS = [None, -2, -1, 1, 2]
GRANT = st.tuples(
    st.integers(0, 3),  # project
    st.sampled_from(["self", "team a", "team b", "other team"]),
    st.sampled_from(Role.values),
    st.sampled_from(DAYS),
    st.booleans(),  # for an emergency
)


@pytest.fixture
def places(db: Any) -> list[Project]:
    return [Project.objects.create(slug=f"p{number}", name="P") for number in range(4)]


def end(days: int | None) -> Any:
    return None if days is None else timezone.now() + timedelta(days=days)


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    given_grants=st.lists(GRANT, max_size=8),
    everywhere=st.sampled_from(["nothing", "user", "team", "ops"]),
    active=st.booleans(),
)
def test_list_and_detail_agree(given_grants: list[Any], everywhere: str, active: bool, places: list[Project]) -> None:
    """guardian's global permissions count in neither: who is ops is asked for itself."""
    with transaction.atomic():
        user = User.objects.create(username="hyp", is_active=active)
        teams = {name: Group.objects.create(name=name) for name in ("team a", "team b", "other team")}
        user.groups.add(teams["team a"], teams["team b"])
        if everywhere == "user":
            user.user_permissions.add(*Permission.objects.filter(content_type__app_label="projects"))
        elif everywhere == "team":
            teams["team a"].permissions.add(*Permission.objects.filter(content_type__app_label="projects"))
        elif everywhere == "ops":
            user.user_permissions.add(Permission.objects.get(codename="ops"))
        for number, holder, role, days, emergency in given_grants:
            who = user if holder == "self" else teams[holder]
            grants.give_role(places[number], who, role, granted_by="x", until=end(days), emergency=emergency)
        user = User.objects.get(pk=user.pk)
        for codename in CODENAMES:
            listed = set(policy.visible_projects(user, codename))
            assert listed == {one for one in places if policy.may(user, codename, one)}, codename
        together = policy.permissions_on_all(User.objects.get(pk=user.pk), places)
        assert together == {one.pk: policy.permissions_on(user, one) for one in places}
        if everywhere != "ops" and active:
            told = {grant.project_id for grant in policy.roles_of(user)}
            assert told == {one.pk for one in policy.visible_projects(user)}, "the profile says the same"
        transaction.set_rollback(True)


def crowd(count: int, person: User) -> list[Project]:
    """Many projects on which the person holds every role in turn, half of them through a team."""
    team = Group.objects.create(name="crowd")
    person.groups.add(team)
    made = Project.objects.bulk_create([Project(slug=f"app-{n:03}", name="App") for n in range(count)])
    known = {one.codename: one for one in Permission.objects.filter(content_type__app_label="projects")}
    for start, model, key in (
        (0, ProjectUserObjectPermission, {"user": person}),
        (1, ProjectGroupObjectPermission, {"group": team}),
    ):
        rows: Any = model._default_manager
        rows.bulk_create(
            [model(content_object=one, permission=known["view_project"], **key) for one in made[start::2]]
            + [model(content_object=one, permission=known["own_project"], **key) for one in made[start::4]]
        )
    return made


def test_five_hundred_projects_cost_two_questions(zoe: User) -> None:
    made = crowd(500, zoe)
    policy.permissions_on(User.objects.get(pk=zoe.pk), made[0])  # a process asks once what a project's content type is
    person = User.objects.get(pk=zoe.pk)
    with CaptureQueriesContext(connection) as asked:
        held = policy.permissions_on_all(person, made)
        buttons = [policy.may(person, "own_project", one) for one in made]
    assert len(asked) <= 2
    assert len(held) == 500
    assert sum(buttons) == 250
    with CaptureQueriesContext(connection) as asked:
        policy.permissions_on_all(person, made)
    assert len(asked) == 0, "remembered"


def test_asking_one_by_one_answers_the_same(zoe: User) -> None:
    made = crowd(20, zoe)
    together = policy.permissions_on_all(User.objects.get(pk=zoe.pk), made)
    assert together == {one.pk: policy.permissions_on(User.objects.get(pk=zoe.pk), one) for one in made}
    assert policy.permissions_on_all(User.objects.get(pk=zoe.pk), []) == {}
    ops = world.ops()
    assert set(policy.permissions_on_all(ops, made).values()) == {policy.permissions_on(ops, made[0])}
    gone = world.person(is_active=False)
    assert set(policy.permissions_on_all(gone, made).values()) == {frozenset()}


def page_of_fifty(person: User, count: int) -> int:
    """How many statements a list with a button in every row takes."""
    client = Client()
    client.force_login(person)
    client.get("/requests/?tab=waiting")
    with CaptureQueriesContext(connection) as asked:
        answer = client.get("/requests/?tab=waiting")
    assert answer.content.decode().count("Decide</a>") == count
    return len(asked)


def test_a_page_of_fifty_rows_with_buttons_costs_three_questions_for_them(zoe: User) -> None:
    made = crowd(200, zoe)
    people = [world.person() for _ in range(50)]
    empty = page_of_fifty(zoe, 0)
    for person, place in zip(people[:1], made[::4], strict=False):
        requests.ask(actor=person, slug=place.slug, kind="role", role="viewer", reason="x")
    one = page_of_fifty(zoe, 1)
    for person, place in zip(people[1:], made[4::4], strict=False):
        requests.ask(actor=person, slug=place.slug, kind="role", role="viewer", reason="x")
    fifty = page_of_fifty(zoe, 50)
    assert fifty <= one, "however many rows"
    assert fifty - empty <= 3


def test_ops_and_owners_are_found_in_one_question_each(project: Project, ann: User, olga: User) -> None:
    team = Group.objects.create(name="night")
    eve, gone = world.person("eve"), world.person("gone", is_active=False)
    team.user_set.add(eve, gone)
    grants.give_role(project, team, "owner", granted_by="x")
    grants.give_role(project, world.person("late"), "owner", granted_by="x", until=end(-1))
    grants.give_role(project, world.person("fire"), "owner", granted_by="x", until=end(1), emergency=True)
    root = User.objects.create_superuser("root", password=None)
    direct = world.person("direct")
    direct.user_permissions.add(Permission.objects.get(codename="ops"))
    with CaptureQueriesContext(connection) as asked:
        assert set(policy.owners(project)) == {ann, eve}
        assert set(policy.ops_people()) == {olga, root, direct}
    assert len(asked) == 2
    assert policy.owners_of(project) == ["ann", "eve"]
    User.objects.filter(pk__in=[ann.pk, eve.pk]).update(is_active=False)
    assert policy.owners_of(project) == ["ops"]
