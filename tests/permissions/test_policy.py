"""The one answer to who may: lists and details agree for everybody, refusals say what to ask for, and nobody is nobody."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group
from django.utils import timezone

from builds.models import Build
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied, NotFound
from permissions import policy
from permissions.models import User
from permissions.roles import PERMISSIONS_OF, PROJECT_PERMISSIONS, Role, mark_of, weakest_role_with
from projects import grants
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
ALL = [codename for codename, _ in PROJECT_PERMISSIONS]
NOTHING = "There is nothing here, or you may not see it."


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


def again(user: User) -> User:
    """The same person in another request: nothing is remembered."""
    return User.objects.get(pk=user.pk)


# --- roles -----------------------------------------------------------------------------------------------------------
def test_each_role_holds_all_that_the_weaker_ones_hold_and_more() -> None:
    held = [set(PERMISSIONS_OF[role]) for role in Role.values]
    assert all(weaker < stronger for weaker, stronger in pairwise(held))
    assert held[-1] == set(ALL)


@pytest.mark.parametrize("codename", ALL)
@pytest.mark.parametrize("role", Role.values)
def test_what_a_role_lets_one_do(shop: Project, role: str, codename: str) -> None:
    user = world.member(shop, role)
    assert policy.may(user, codename, shop) is (codename in PERMISSIONS_OF[role])
    assert policy.visible_projects(again(user), codename).filter(pk=shop.pk).exists() is policy.may(
        user, codename, shop
    )


@pytest.mark.parametrize("codename", ALL)
def test_whoever_is_refused_is_told_the_weakest_role_that_would_do(shop: Project, codename: str) -> None:
    role = weakest_role_with(codename)
    assert codename in PERMISSIONS_OF[role]
    weaker = Role.values[: Role.values.index(role)]
    for name in weaker:
        with pytest.raises(Denied) as error:
            policy.require(world.member(shop, name), codename, shop)
        assert str(error.value) == f"This needs the role {role} on shop, which you do not have."
        assert (error.value.rule, error.value.granted_by) == (codename, ["ann"])
        asked = urlsplit(error.value.request_url or "")
        assert (asked.path, parse_qs(asked.query)) == (
            "/requests/new/", {"project": ["shop"], "kind": ["role"], "role": [role]}
        )  # fmt: skip
    policy.require(world.member(shop, role), codename, shop)


@pytest.mark.parametrize("role", Role.values)
def test_one_permission_tells_a_role_from_all_weaker_ones(role: str) -> None:
    holders = [name for name in Role.values if mark_of(role) in PERMISSIONS_OF[name]]
    assert holders == Role.values[Role.values.index(role) :]


# --- nobody in particular --------------------------------------------------------------------------------------------
def test_a_stranger_learns_nothing_whatever_they_want(shop: Project) -> None:
    for codename in ALL:
        with pytest.raises(NotFound) as error:
            policy.require(world.person(), codename, shop)
        assert str(error.value) == NOTHING


def test_without_an_actor_nothing_is_answered(shop: Project) -> None:
    """None is a mistake of whoever asks, and must not pass for somebody without rights or with all of them."""
    with pytest.raises(TypeError):
        policy.may(None, "view_project", shop)
    assert not policy.is_ops(None)
    assert not policy.visible_projects(None).exists()
    assert not policy.visible_projects(AnonymousUser()).exists()


def test_who_left_may_nothing_though_their_role_is_still_there(shop: Project) -> None:
    user, chief = world.member(shop, "owner"), world.ops()
    User.objects.filter(pk__in=[user.pk, chief.pk]).update(is_active=False)
    for gone in (again(user), again(chief)):
        assert policy.permissions_on(gone, shop) == frozenset()
        assert policy.permissions_on_all(gone, [shop]) == {shop.pk: frozenset()}
        assert not policy.visible_projects(gone).exists()
        assert not policy.is_ops(gone)
        with pytest.raises(NotFound):
            policy.fetch(gone, Project.objects.all(), slug="shop")


def test_ops_and_the_portal_itself_may_everything_and_only_ops_are_ops(shop: Project) -> None:
    chief = world.ops()
    for actor in (chief, SYSTEM):
        assert policy.permissions_on(actor, shop) == set(ALL)
        assert policy.is_ops(actor)
        policy.require_ops(actor)
        assert policy.fetch(actor, Project.objects.all(), slug="shop") == shop
    with pytest.raises(Denied) as error:
        policy.require_ops(world.member(shop, "owner"))
    assert (str(error.value), error.value.rule, error.value.granted_by) == ("Only ops may do this.", "ops", ["ops"])


# --- what is remembered ----------------------------------------------------------------------------------------------
def test_a_list_is_one_question_and_agrees_with_each_answer_alone(
    shop: Project, django_assert_num_queries: Any
) -> None:
    projects = [shop, *(world.bare_project() for _ in range(3))]
    user = world.member(shop, "maintainer")
    grants.set_role(projects[1], user, "viewer", granted_by="ann")
    team = Group.objects.create(name="team")
    user.groups.add(team)
    grants.set_role(projects[2], team, "developer", granted_by="ann")
    user = again(user)
    assert not policy.is_ops(user)  # asked once for each person, and remembered
    with django_assert_num_queries(1):
        found = policy.permissions_on_all(user, projects)
    with django_assert_num_queries(0):
        assert found == {one.pk: policy.permissions_on(user, one) for one in projects}
    assert found == {one.pk: policy.permissions_on(again(user), one) for one in projects}
    assert [len(found[one.pk]) for one in projects] == [6, 1, 3, 0]


def test_what_was_remembered_is_forgotten_when_told(shop: Project) -> None:
    user = world.person()
    assert not policy.may(user, "view_project", shop)
    grants.set_role(shop, again(user), "viewer", granted_by="ann")
    policy.forget(user)
    assert policy.may(user, "view_project", shop)


# --- expiry ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("minutes", "holds"), [(5, True), (-5, False)], ids=["still", "no-more"])
def test_a_role_counts_until_its_second_at_every_question(shop: Project, minutes: int, holds: bool) -> None:
    user = world.person()
    until = timezone.now() + timedelta(minutes=minutes)
    grants.give_role(shop, user, "owner", granted_by="ann", reason="for a while", until=until)
    user = again(user)
    assert policy.may(user, "view_project", shop) is holds
    assert policy.visible_projects(user).exists() is holds
    assert (policy.permissions_on_all(again(user), [shop])[shop.pk] != frozenset()) is holds
    assert policy.people_who_may("own_project", shop).filter(pk=user.pk).exists() is holds
    assert policy.roles_of(user).exists() is holds
    assert (user.username in policy.owners_of(shop)) is holds


def test_where_nobody_owns_it_ops_are_asked_and_never_more_than_five_are_named(shop: Project) -> None:
    orphan = Project.objects.create(slug="orphan", name="orphan")
    assert policy.owners_of(orphan) == ["ops"]
    for _ in range(7):
        world.member(shop, "owner")
    assert (len(policy.owners_of(shop)), policy.owners_of(shop)[0]) == (5, "ann")


# --- rows of projects ------------------------------------------------------------------------------------------------
def test_a_row_is_seen_by_who_sees_its_project(shop: Project) -> None:
    build, foreign = world.build(shop), world.build(world.bare_project())
    user = world.member(shop, "viewer")
    assert list(policy.visible(user, Build.objects.all())) == [build]
    assert policy.fetch(user, Build.objects.all(), pk=build.pk) == build
    for pk in (foreign.pk, 10**9):  # hidden and absent are told apart by nobody
        with pytest.raises(NotFound) as error:
            policy.fetch(user, Build.objects.all(), pk=pk)
        assert str(error.value) == NOTHING


def test_every_model_that_is_seen_through_a_project_leads_to_one() -> None:
    for label, path in policy.PATH_TO_PROJECT.items():
        model = apps.get_model(label)
        for part in path.split("__") if path else ():
            model = model._meta.get_field(part).related_model  # type: ignore[assignment]
        assert model is Project, label


def test_a_model_that_nobody_placed_is_shown_to_nobody() -> None:
    with pytest.raises(KeyError):
        policy.visible(world.person(), User.objects.all())


@pytest.mark.parametrize("name", ["a&b", "x y", "é", "a=b"])
def test_an_address_to_ask_at_holds_whatever_a_machine_is_called(name: str) -> None:
    asked = parse_qs(urlsplit(policy.request_url("shop", machine=name)).query)
    assert asked == {"project": ["shop"], "kind": ["machine"], "machine": [name]}
    assert "machine=" in policy.request_url("shop", machine="")
