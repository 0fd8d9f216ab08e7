"""Who may do what on a project, asked the other way round: the list agrees with the answer for each person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils import timezone

from permissions import policy
from permissions.models import User
from permissions.roles import PERMISSIONS_OF, Role, mark_of, weakest_role_with
from projects import grants
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return world.project(world.person("ann"), "shop")


def names(codename: str, project: Project) -> list[str]:
    return [person.username for person in policy.people_who_may(codename, project)]


def give(project: Project, holder: object, role: str, **more: object) -> None:
    with transaction.atomic():
        grants.set_role(project, holder, role, granted_by="olga", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", Role.values)
def test_the_mark_of_a_role_is_held_by_it_and_by_no_weaker_one(role: str) -> None:
    mark = mark_of(role)
    assert weakest_role_with(mark) == role
    holders = [name for name, held in PERMISSIONS_OF.items() if mark in held]
    assert holders == Role.values[Role.values.index(role) :]


def test_the_list_agrees_with_the_answer_for_everybody(project: Project) -> None:
    people = [world.member(project, role) for role in Role.values]
    people += [world.person(), world.member(world.project(), "owner"), User.objects.get(username="ann")]
    for codename in PERMISSIONS_OF[Role.OWNER]:
        expected = sorted(person.username for person in people if policy.may(person, codename, project))
        assert names(codename, project) == expected, codename


def test_a_team_counts_once_and_as_long_as_one_is_in_it(project: Project) -> None:
    team, tim = Group.objects.create(name="release"), world.person("tim")
    tim.groups.add(team)
    give(project, team, "maintainer")
    give(project, tim, "maintainer")
    assert names("deploy_project", project) == ["ann", "tim"]
    give(project, tim, "viewer")
    assert names("deploy_project", project) == ["ann", "tim"], "still by the team"
    tim.groups.remove(team)
    assert names("deploy_project", project) == ["ann"]


def test_what_ran_out_counts_from_its_second(project: Project) -> None:
    vic = world.person("vic")
    give(project, vic, "maintainer", until=timezone.now() + timedelta(hours=1))
    assert "vic" in names("deploy_project", project)
    rows = vic.projectuserobjectpermission_set
    rows.update(until=timezone.now() - timedelta(seconds=1))
    assert "vic" not in names("deploy_project", project)


def test_who_left_is_not_asked(project: Project) -> None:
    world.member(project, "owner", "olaf")
    User.objects.filter(username="olaf").update(is_active=False)
    assert names("own_project", project) == ["ann"]


def test_ops_are_all_whom_the_policy_takes_for_ops() -> None:
    olga, plain = world.ops(), world.person("plain", is_staff=True)
    by_name = world.person("otto")
    by_name.user_permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
    root = User.objects.create_superuser("root", password=None)
    gone = world.ops("gone")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    found = list(policy.ops_people())
    assert [person.username for person in found] == ["olga", "otto", "root"]
    assert all(policy.is_ops(User.objects.get(pk=person.pk)) for person in (olga, by_name, root))
    assert not policy.is_ops(plain)
