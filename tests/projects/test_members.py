"""Roles of people and teams: given until a day, by those who own, never prolonged by oneself, never the last owner lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from permissions import policy
from permissions.models import User
from projects import actions, grants
from projects.models import Project, RoleGrant
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(db: Any) -> User:
    return world.person("ann")


@pytest.fixture
def project(ann: User) -> Project:
    return world.project(ann, "shop")


@pytest.fixture
def team(db: Any) -> Group:
    return Group.objects.create(name="night shift")


def give(project: Project, actor: Any = SYSTEM, **more: Any) -> None:
    actions.set_member(actor=actor, project=project, **more)


def again(person: User) -> User:
    return User.objects.get(pk=person.pk)


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_a_team_gives_its_role_to_everybody_in_it_and_to_nobody_else(project: Project, team: Group) -> None:
    eve, ben = world.person("eve"), world.person("ben")
    team.user_set.add(eve)
    give(project, team=team, role="developer")
    assert policy.may(again(eve), "build_project", project)
    assert not policy.may(again(ben), "view_project", project)
    team.user_set.remove(eve)
    assert not policy.may(again(eve), "view_project", project)


def test_a_deleted_team_takes_its_roles_along(project: Project, team: Group) -> None:
    eve = world.person("eve")
    team.user_set.add(eve)
    give(project, team=team, role="owner")
    team.delete()
    assert not policy.may(again(eve), "view_project", project)
    assert RoleGrant.objects.filter(project=project).count() == 1


def test_what_was_and_what_is_stands_in_the_audit(project: Project, ann: User) -> None:
    eve = world.person("eve")
    until = timezone.now() + timedelta(days=3)
    give(project, ann, user=eve, role="viewer")
    give(project, ann, user=eve, role="developer", until=until, reason="on call")
    entry = AuditEntry.objects.filter(verb="member.set").latest("id")
    assert entry.actor == "ann"
    assert entry.before == {"roles": [{"role": "viewer", "until": None, "emergency": False}]}
    assert entry.after == {
        "holder": "eve",
        "role": "developer",
        "roles": [{"role": "developer", "until": until.isoformat(), "emergency": False}],
    }


@pytest.mark.parametrize(
    "wish",
    [
        {"role": "viewer"},
        {"role": "king", "user": "eve"},
        {"role": "viewer", "user": "eve", "until": timezone.now() - timedelta(minutes=1)},
        {"role": "viewer", "user": "eve", "team": "night shift"},
    ],
)
def test_a_bad_wish_is_refused(wish: dict[str, Any], project: Project, team: Group) -> None:
    eve = world.person("eve")
    people = {"user": eve} if "user" in wish else {}
    teams = {"team": team} if "team" in wish else {}
    with pytest.raises(Invalid):
        give(project, **{**wish, **people, **teams})
    assert not grants.held_by(project, eve).exists()


# --- the last owner ------------------------------------------------------------------------------------------------
def test_the_last_owner_stays_and_a_team_counts_only_with_an_active_person_in_it(
    project: Project, ann: User, team: Group
) -> None:
    give(project, team=team, role="owner")
    with pytest.raises(Conflict) as refused:
        give(project, user=ann, role=None)  # the team is empty
    assert refused.value.code == "last_owner"
    gone = world.person("gone", is_active=False)
    team.user_set.add(gone)
    with pytest.raises(Conflict):
        give(project, user=ann, role="viewer")
    team.user_set.add(world.person("eve"))
    give(project, user=ann, role=None)
    with pytest.raises(Conflict):
        give(project, team=team, role="maintainer")


@pytest.mark.parametrize("what", ["expired", "inactive", "emergency"])
def test_owners_who_do_not_count(what: str, project: Project, ann: User) -> None:
    eve = world.person("eve")
    ends = timezone.now() + timedelta(hours=1)
    grants.give_role(project, eve, "owner", granted_by="x", until=ends, emergency=what == "emergency")
    if what == "expired":
        RoleGrant.objects.filter(user=eve).update(until=timezone.now() - timedelta(seconds=1))
    if what == "inactive":
        User.objects.filter(pk=eve.pk).update(is_active=False)
    with pytest.raises(Conflict):
        give(project, user=ann, role=None)


def test_a_project_that_lost_all_owners_is_ops_to_mend(project: Project, ann: User) -> None:
    ann.delete()
    assert policy.owners_of(project) == ["ops"]
    eve = world.person("eve")
    give(project, world.ops(), user=eve, role="viewer")  # not the last owner's rule: there is none
    give(project, world.ops("omar"), user=eve, role="owner")
    assert policy.owners_of(project) == ["eve"]


# --- nobody prolongs their own -------------------------------------------------------------------------------------
@pytest.mark.parametrize("through_team", [False, True], ids=["themselves", "through a team"])
def test_an_owner_for_a_time_does_not_prolong_it(through_team: bool, project: Project, team: Group) -> None:
    eve = world.person("eve")
    ends = timezone.now() + timedelta(days=1)
    give(project, user=eve, role="owner", until=ends)
    team.user_set.add(eve)
    holder = {"team": team} if through_team else {"user": again(eve)}
    for until in (None, ends + timedelta(seconds=1)):
        with pytest.raises(Denied) as refused:
            give(project, again(eve), role="owner", until=until, **holder)
        assert refused.value.rule == "not_your_own"
        assert refused.value.request_url
    give(project, again(eve), role="viewer", until=ends, **holder)


def test_an_emergency_owner_does_not_make_it_last(project: Project) -> None:
    eve = world.person("eve")
    ends = timezone.now() + timedelta(hours=1)
    grants.give_role(project, eve, "owner", granted_by="x", until=ends, emergency=True)
    with pytest.raises(Denied):
        give(project, again(eve), user=again(eve), role="owner")


def test_lasting_owners_change_themselves_and_others(project: Project, ann: User) -> None:
    eve = world.person("eve")
    give(project, ann, user=eve, role="owner")
    give(project, ann, user=ann, role="developer")
    assert policy.owners_of(project) == ["eve"]


# --- the doors -----------------------------------------------------------------------------------------------------
def test_the_page_gives_to_people_and_teams_and_takes_away(project: Project, ann: User, team: Group) -> None:
    world.person("eve")
    address = f"/projects/{project.slug}/settings/"
    client = browser(ann)
    day = (timezone.now() + timedelta(days=9)).date().isoformat()
    assert client.post(address, {"form": "member", "user": "eve", "role": "developer", "until": day}).status_code == 302
    assert client.post(address, {"form": "member", "team": team.pk, "role": "viewer"}).status_code == 302
    said = client.get(address).content.decode()
    for word in ("eve", "night shift", "developer", "Take off the project"):
        assert word in said
    grant = RoleGrant.objects.get(user__username="eve")
    assert grant.until is not None
    assert grant.until.date().isoformat() == day
    assert client.post(address, {"form": "remove_member", "team": team.name}).status_code == 302
    assert client.post(address, {"form": "remove_member", "user": "eve"}).status_code == 302
    assert RoleGrant.objects.filter(project=project).count() == 1


@pytest.mark.parametrize(
    "wish",
    [
        {"user": "", "role": "viewer"},
        {"user": "nobody-here", "role": "viewer"},
        {"user": "ann", "role": "king"},
        {"user": "ann", "role": "viewer", "until": "2026-02-31"},
        {"team": "999999", "role": "viewer"},
    ],
)
def test_the_page_says_what_is_wrong_at_its_field(wish: dict[str, str], project: Project, ann: User) -> None:
    answer = browser(ann).post(f"/projects/{project.slug}/settings/", {"form": "member", **wish})
    assert answer.status_code == 422
    assert RoleGrant.objects.filter(project=project).count() == 1


def test_others_see_who_is_there_but_no_buttons(project: Project) -> None:
    viewer = world.member(project, "viewer")
    said = browser(viewer).get(f"/projects/{project.slug}/settings/").content.decode()
    assert "Take off the project" not in said
    assert "Ask for a role" in said


def test_the_profile_tells_ones_roles_through_teams_and_until_when(project: Project, team: Group) -> None:
    eve = world.person("eve")
    team.user_set.add(eve)
    give(project, team=team, role="developer", until=timezone.now() + timedelta(days=2))
    give(project, user=eve, role="viewer")
    ended = world.project(slug="ended")
    give(ended, user=eve, role="viewer", until=timezone.now() + timedelta(days=1))
    RoleGrant.objects.filter(project=ended).update(until=timezone.now() - timedelta(seconds=1))
    said = browser(eve).get("/me/").content.decode()
    assert "through the team night shift" in said
    assert "viewer" in said
    assert "/projects/ended/" not in said
