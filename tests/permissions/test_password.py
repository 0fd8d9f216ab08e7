"""Passwords: the rules are told and kept, a change is written down, and whoever sets it for another ends their sessions."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Event
from permissions import actions, jwts
from permissions.models import User
from tests import world

from .conftest import PASSWORD, sign_in, signed_in

pytestmark = pytest.mark.django_db
NEW = "another-battery-staple"


@pytest.fixture
def client(ann: User) -> Client:
    client = Client()
    sign_in(client)
    return client


def change(client: Client, old: str = PASSWORD, new: str = NEW, again: str = "") -> Any:
    return client.post("/me/password/", {"old": old, "new": new, "again": again or new})


@pytest.mark.parametrize(
    ("new", "says"),
    [("short-1", "too short"), ("password1234", "too common"), ("ann@example.com", "too similar"), ("827364554738291", "numeric"),
     (PASSWORD, "your password already"), ("", "too short")],
)  # fmt: skip
def test_a_bad_one_is_refused_with_its_rule(client: Client, new: str, says: str) -> None:
    answer = change(client, new=new)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert new not in answer.content.decode() or not new or new == "ann@example.com"
    assert User.objects.get(username="ann").check_password(PASSWORD)


def test_the_rules_are_told_before_one_breaks_them(client: Client) -> None:
    text = client.get("/me/password/").content.decode()
    for words in ("at least 10 characters", "commonly used", "entirely numeric", "the one you have now"):
        assert words in text


def test_the_old_one_must_be_right_and_both_new_ones_the_same(client: Client) -> None:
    answer = change(client, old="wrong")
    assert answer.status_code == 422
    assert "That is not your password." in answer.content.decode()
    answer = change(client, again="something-else-here")
    assert "The two are not the same." in answer.content.decode()
    assert User.objects.get(username="ann").check_password(PASSWORD)


def test_a_change_is_in_the_audit_without_the_password_and_wakes_what_is_open(client: Client, ann: User) -> None:
    pair = jwts.start(ann)
    assert change(client).status_code == 302
    entry = AuditEntry.objects.get(verb="person.password")
    assert (entry.actor, entry.object_label) == ("ann", "ann")
    assert NEW not in repr(AuditEntry.objects.values_list())
    assert Event.objects.filter(topic=f"people/{ann.pk}").exists()
    assert jwts.user_of(pair["access"]) is None
    assert signed_in(client)


def test_the_page_needs_its_own_forms_token(ann: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    assert change(client).status_code == 403
    assert User.objects.get(username="ann").check_password(PASSWORD)


@pytest.mark.parametrize("facts", [{"external": "ldap:uid=ann"}, {"external": "oidc:https://id#1"}])
def test_whoever_comes_from_elsewhere_changes_it_there(client: Client, ann: User, facts: dict[str, str]) -> None:
    User.objects.filter(pk=ann.pk).update(**facts)
    text = client.get("/me/password/").content.decode()
    assert "Your password is not kept here" in text
    assert 'name="new"' not in text
    assert change(client).status_code == 422


def test_an_action_refuses_the_same_as_the_page(ann: User, rf: Any) -> None:
    with pytest.raises(Invalid) as error:
        actions.change_password(actor=ann, old=PASSWORD, new="short", request=rf.post("/"))
    assert "new" in error.value.fields


def test_a_superuser_sets_it_in_the_admin_and_their_sessions_end(client: Client, ann: User) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root", password=None))
    address = reverse("admin:auth_user_password_change", args=[ann.pk])
    epoch = ann.epoch
    bad = root.post(address, {"password1": "short", "password2": "short", "usable_password": "true"})
    assert bad.status_code == 200
    ann.refresh_from_db()
    assert ann.epoch == epoch
    answer = root.post(address, {"password1": NEW, "password2": NEW, "usable_password": "true"})
    assert answer.status_code == 302
    ann.refresh_from_db()
    assert ann.epoch == epoch + 1
    assert ann.check_password(NEW)
    assert not signed_in(client)
    assert AuditEntry.objects.filter(verb="person.password", actor="root", object_label="ann").count() == 1


def test_ops_without_being_superuser_set_nobodys_password(ann: User) -> None:
    ops = Client()
    ops.force_login(world.ops())
    address = reverse("admin:auth_user_password_change", args=[ann.pk])
    assert ops.post(address, {"password1": NEW, "password2": NEW}).status_code == 403


def test_the_rule_of_the_previous_one_knows_new_people(ann: User) -> None:
    validate_password(NEW, User(username="unsaved"))
    validate_password(PASSWORD, world.person("zoe"))
    with pytest.raises(ValidationError):
        validate_password(PASSWORD, ann)
