"""Accounts of programs: made by ops, no way to sign in, tokens made by ops and shown once, roles as people have them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from permissions import actions
from permissions.models import ApiToken, User
from permissions.tokens import user_of_bearer
from projects.actions import set_member
from tests import world

pytestmark = pytest.mark.django_db


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ops() -> User:
    return world.ops()


@pytest.fixture
def robot(ops: User) -> User:
    return actions.create_service_account(actor=ops, username="robot", name="Builds at night")


def made_in(answer: Any) -> str:
    found = re.search(r"fdd_[0-9a-f]{10}_[\w-]+", answer.content.decode())
    assert found is not None
    return found[0]


def test_ops_make_one_and_it_is_in_the_audit(robot: User) -> None:
    assert robot.is_service
    assert not robot.has_usable_password()
    assert robot.label == "Builds at night"
    assert AuditEntry.objects.get(verb="service_account.create").after == {"username": "robot"}


@pytest.mark.parametrize("name", ["", " ", "two words", "a/b", "x" * 151, "a\x00"])
def test_a_bad_name_is_refused(ops: User, name: str) -> None:
    with pytest.raises(Invalid):
        actions.create_service_account(actor=ops, username=name)
    assert not User.objects.filter(is_service=True).exists()


def test_a_taken_name_is_refused(ops: User, robot: User) -> None:
    for name in ("robot", "olga"):
        with pytest.raises(Conflict):
            actions.create_service_account(actor=ops, username=name)


def test_nobody_else_makes_one_or_its_tokens(robot: User) -> None:
    zoe = world.person("zoe")
    with pytest.raises(Denied):
        actions.create_service_account(actor=zoe, username="mine")
    with pytest.raises(Denied):
        actions.create_token(actor=zoe, of=robot, name="n")
    token, _ = ApiToken.make(robot, "n")
    with pytest.raises(Denied):
        actions.revoke_token(actor=zoe, token=token)


def test_ops_make_no_token_of_another_person(ops: User) -> None:
    with pytest.raises(Denied) as refused:
        actions.create_token(actor=ops, of=world.person("zoe"), name="n")
    assert refused.value.rule == "own_tokens"


def test_its_token_is_shown_once_and_works_with_its_role_only(ops: User, robot: User) -> None:
    client, page = browser(ops), f"/service-accounts/{robot.pk}/"
    answer = client.post(page, {"name": "ci", "reach": "chosen", "scopes": ["build"], "days": "365"})
    text = made_in(answer)
    assert text not in client.get(page).content.decode()
    token = ApiToken.objects.get()
    assert (token.user, token.made_by, token.scopes) == (robot, "olga", ["build"])
    entry = AuditEntry.objects.get(verb="token.create")
    assert entry.after == {"name": "ci", "owner": "robot", "scopes": ["build"], "days": 365}
    project = world.project(slug="shop")
    api = Client(headers={"Authorization": f"Bearer {text}"})
    assert api.get("/api/projects/shop/").status_code == 404
    set_member(actor=SYSTEM, project=project, user=robot, role="developer")
    assert api.get("/api/projects/shop/").status_code == 200
    assert api.get("/api/me/").json() | {"roles": 0} == {
        "username": "robot", "label": "Builds at night", "is_ops": False, "is_service": True, "scopes": ["build"],
        "roles": 0,
    }  # fmt: skip
    world.granted(project, "test-a")
    deploy = {"machine": "test-a", "action": "deploy"}
    refused = api.post("/api/projects/shop/deployments/", deploy, content_type="application/json")
    assert (refused.status_code, refused.json()["rule"]) == (403, "scope")


def test_ops_revoke_it_on_the_same_page(ops: User, robot: User) -> None:
    token, text = ApiToken.make(robot, "ci")
    client, page = browser(ops), f"/service-accounts/{robot.pk}/"
    assert client.post(page, {"revoke": str(token.pk)}).status_code == 302
    assert user_of_bearer(f"Bearer {text}") is None
    assert "Revoked" in client.get(page).content.decode()
    other = ApiToken.make(world.person("zoe"), "hers")[0]
    for pk in (str(other.pk), "999999", "x"):
        assert client.post(page, {"revoke": pk}).status_code == 404
    assert ApiToken.objects.get(pk=other.pk).revoked_at is None


def test_the_pages_are_for_ops_and_know_only_service_accounts(ops: User, robot: User) -> None:
    zoe = world.person("zoe")
    for path in ("/service-accounts/", f"/service-accounts/{robot.pk}/"):
        assert browser(ops).get(path).status_code == 200
        assert browser(zoe).get(path).status_code == 403
        assert Client().get(path).status_code == 302
    assert browser(ops).get(f"/service-accounts/{zoe.pk}/").status_code == 404
    assert browser(ops).post(f"/service-accounts/{zoe.pk}/", {"name": "n"}).status_code == 404
    assert not ApiToken.objects.exists()
    assert "Service accounts" not in browser(zoe).get("/me/").content.decode()


def test_the_page_makes_one_and_says_what_is_wrong(ops: User) -> None:
    client = browser(ops)
    answer = client.post("/service-accounts/", {"username": "robot", "name": "Builds"})
    robot = User.objects.get(username="robot")
    assert answer["Location"] == f"/service-accounts/{robot.pk}/"
    again = client.post("/service-accounts/", {"username": "robot"})
    assert again.status_code == 422
    assert "There is already somebody called “robot”." in again.content.decode()
    assert client.post("/service-accounts/", {"username": "a b"}).status_code == 422


def test_ops_make_one_in_the_admin_and_land_where_its_tokens_are_made(ops: User) -> None:
    client = browser(ops)
    answer = client.post(reverse("admin:permissions_serviceaccount_add"), {"username": "robot", "first_name": "CI"})
    robot = User.objects.get(username="robot")
    assert robot.is_service
    assert answer["Location"] == f"/service-accounts/{robot.pk}/"
    assert AuditEntry.objects.filter(verb="service_account.create", actor="olga").count() == 1
    listed = client.get(reverse("admin:permissions_serviceaccount_changelist")).content.decode()
    assert "robot" in listed
    assert "olga" not in listed.split("<table", 1)[1]


def test_it_has_no_door_of_its_own(robot: User, quick_hashes: None) -> None:
    robot.set_password("set-by-mistake-123")
    robot.save()
    for path, body in (("/sign-in/", {"username": "robot", "password": "set-by-mistake-123"}),):
        assert Client().post(path, body).status_code == 200
    client = browser(robot)
    assert client.get("/me/").status_code == 302, "not even with a session"


def test_a_deactivated_ones_tokens_open_nothing(ops: User, robot: User) -> None:
    _, text = ApiToken.make(robot, "ci")
    actions.set_active(actor=ops, user=robot, active=False)
    assert user_of_bearer(f"Bearer {text}") is None
