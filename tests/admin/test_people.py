"""The ops screen for people and teams: every change is in the audit with what was before, and wakes whom it concerns."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.models import Event
from permissions.models import User
from tests import world

pytestmark = pytest.mark.django_db


def form(user: User, **changes: Any) -> dict[str, Any]:
    """What the screen sends when only `changes` were made."""
    data = {
        "username": user.username, "first_name": user.first_name, "last_name": user.last_name, "email": user.email,
        "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00",
        "is_active": user.is_active, "is_staff": user.is_staff, "is_superuser": user.is_superuser,
        "groups": [team.pk for team in user.groups.all()],
    }  # fmt: skip
    data.update(changes)
    return {name: ("on" if value is True else value) for name, value in data.items() if value is not False}


def save(client: Client, user: User, **changes: Any) -> None:
    address = reverse("admin:permissions_user_change", args=[user.pk])
    assert client.post(address, form(user, **changes)).status_code == 302


def last() -> AuditEntry:
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    return entry


def woken(user: User) -> int:
    return Event.objects.filter(topic=user.topic).count()


@pytest.mark.parametrize("flag", ["is_superuser", "is_staff", "is_active"])
def test_flags_are_in_the_audit_with_before_and_after(root: Client, flag: str) -> None:
    vic = world.person("vic")
    before = getattr(vic, flag)
    save(root, vic, **{flag: not before})
    assert (last().verb, last().actor, last().object_label) == ("user.update", "root", "vic")
    assert (last().before, last().after) == ({flag: before}, {flag: not before})
    assert woken(vic) == 1


def test_teams_and_rights_given_at_a_person_are_in_the_audit(root: Client) -> None:
    vic, team = world.person("vic"), Group.objects.create(name="night")
    save(root, vic, groups=[team.pk])
    assert (last().before, last().after) == ({"teams": []}, {"teams": ["night"]})
    ops = Permission.objects.get(codename="ops", content_type__app_label="permissions")
    vic.refresh_from_db()
    save(root, vic, user_permissions=[ops.pk])
    assert (last().before, last().after) == ({"rights": []}, {"rights": ["ops"]})
    assert User.objects.get(pk=vic.pk).is_ops
    assert woken(vic) == 2


def test_saving_without_a_change_wakes_nobody(root: Client) -> None:
    vic = world.person("vic")
    save(root, vic)
    assert woken(vic) == 0
    assert (last().before, last().after) == ({}, {})


def test_a_new_person_is_in_the_audit_without_the_password(root: Client) -> None:
    address = reverse("admin:permissions_user_add")
    data = {
        "username": "new",
        "password1": "battery-staple-9",
        "password2": "battery-staple-9",
        "usable_password": "true",
    }
    assert root.post(address, data).status_code == 302
    assert (last().verb, last().object_label) == ("user.create", "new")
    assert "battery" not in repr(AuditEntry.objects.values_list())


# --- teams ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def team(db: Any) -> Group:
    made = Group.objects.create(name="night")
    made.user_set.add(world.person("ann"), world.person("bob"))
    return made


def save_team(client: Client, team: Group, members: list[User], **changes: Any) -> None:
    data = {"name": team.name, "members": [member.pk for member in members], **changes}
    assert client.post(reverse("admin:auth_group_change", args=[team.pk]), data).status_code == 302


def person(name: str) -> User:
    return User.objects.get(username=name)


def test_who_comes_and_goes_is_in_the_audit_and_woken_and_nobody_else(root: Client, team: Group) -> None:
    cid = world.person("cid")
    save_team(root, team, [person("bob"), cid])
    assert (last().verb, last().actor) == ("group.update", "root")
    assert (last().before, last().after) == ({"members": ["ann", "bob"]}, {"members": ["bob", "cid"]})
    assert (woken(person("ann")), woken(person("bob")), woken(cid)) == (1, 0, 1)
    assert set(team.user_set.values_list("username", flat=True)) == {"bob", "cid"}


def test_what_the_team_may_do_wakes_all_of_it(root: Client, team: Group) -> None:
    ops = Permission.objects.get(codename="ops", content_type__app_label="permissions")
    save_team(root, team, [person("ann"), person("bob")], permissions=[ops.pk])
    assert (last().before, last().after) == ({"rights": []}, {"rights": ["ops"]})
    assert (woken(person("ann")), woken(person("bob"))) == (1, 1)
    assert person("ann").is_ops


def test_a_new_team_has_its_members_at_once(root: Client) -> None:
    ann = world.person("ann")
    answer = root.post(reverse("admin:auth_group_add"), {"name": "day", "members": [ann.pk]})
    assert answer.status_code == 302
    assert (last().verb, last().after) == ("group.create", {"members": ["ann"], "name": "day", "rights": []})
    assert woken(ann) == 1


def test_the_form_shows_the_members_and_keeps_those_it_does_not_show(root: Client, team: Group) -> None:
    User.objects.filter(username="bob").update(is_active=False)
    page = root.get(reverse("admin:auth_group_change", args=[team.pk])).content.decode()
    assert f'value="{person("ann").pk}" selected' in page
    save_team(root, team, [person("ann")])
    assert set(team.user_set.values_list("username", flat=True)) == {"ann", "bob"}


@pytest.mark.parametrize("who", ["ops", "clerk", "dev"])
def test_only_a_superuser_changes_teams_and_people(who: str, team: Group, request: Any) -> None:
    client: Client = request.getfixturevalue(who)
    vic = world.person("vic")
    before = AuditEntry.objects.count()
    for address, data in (
        (reverse("admin:auth_group_change", args=[team.pk]), {"name": "mine", "members": [vic.pk]}),
        (reverse("admin:permissions_user_change", args=[vic.pk]), form(vic, is_superuser=True)),
        (reverse("admin:permissions_user_add"), {"username": "x"}),
    ):
        assert client.post(address, data).status_code in (302, 403)
    assert not User.objects.get(pk=vic.pk).is_superuser
    assert Group.objects.get(pk=team.pk).name == "night"
    assert AuditEntry.objects.count() == before


def test_ops_may_not_touch_a_superuser_by_the_bulk_actions(ops: Client) -> None:
    boss = User.objects.create_superuser("boss", password=None)
    for action in ("deactivate", "sign_out_everywhere"):
        data = {"action": action, "_selected_action": [boss.pk]}
        answer = ops.post(reverse("admin:permissions_user_changelist"), data, follow=True)
        assert "Only a superuser may do this to a superuser." in answer.content.decode()
    boss.refresh_from_db()
    assert (boss.is_active, boss.epoch) == (True, 0)


def test_nobody_closes_their_own_account(ops: Client) -> None:
    olga = person("olga")
    data = {"action": "deactivate", "_selected_action": [olga.pk]}
    answer = ops.post(reverse("admin:permissions_user_changelist"), data, follow=True)
    assert "Nobody closes their own account" in answer.content.decode()
    assert person("olga").is_active


def test_each_change_has_an_audit_line_of_its_own(root: Client) -> None:
    vic = world.person("vic")
    save(root, vic, first_name="Victor")
    vic.refresh_from_db()
    save(root, vic, first_name="Vic", is_staff=True)
    entries = AuditEntry.objects.filter(verb="user.update").order_by("id")
    assert [entry.after for entry in entries] == [
        {"first_name": "Victor"},
        {"first_name": "Vic", "is_staff": True},
    ]
