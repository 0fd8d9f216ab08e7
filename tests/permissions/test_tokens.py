"""API tokens: shown once, stored hashed; expired, revoked, foreign or inactive ones open nothing, at no door."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from permissions.actions import create_token, revoke_token
from permissions.models import ApiToken, User
from permissions.tokens import user_of_basic, user_of_bearer
from tests import world

pytestmark = pytest.mark.django_db


def ask(header: str) -> Any:
    return Client().get("/api/projects/", headers={"Authorization": header})


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def ann() -> User:
    return world.person("ann", password="correct horse battery")


@pytest.fixture
def made(ann: User) -> tuple[ApiToken, str]:
    return create_token(actor=ann, name="script")


def test_a_token_opens_the_api_and_git(ann: User, made: tuple[ApiToken, str]) -> None:
    _, text = made
    assert ask(f"Bearer {text}").status_code == 200
    assert ask(f"bearer {text}").status_code == 200
    assert user_of_bearer(f"Bearer {text}") == ann
    for pair in (("ann", text), ("anybody", text), (text, ""), (text, "x-oauth-basic")):
        assert user_of_basic(basic(*pair)) == ann
    assert user_of_basic(basic("ann", "correct horse battery")) == ann


def dead_expired(token: ApiToken, text: str) -> str:
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return text


def dead_revoked(token: ApiToken, text: str) -> str:
    revoke_token(actor=token.user, token=token)
    return text


def dead_inactive(token: ApiToken, text: str) -> str:
    User.objects.filter(pk=token.user_id).update(is_active=False)
    return text


def dead_wrong(token: ApiToken, text: str) -> str:
    return text[:-1] + ("a" if text[-1] != "a" else "b")


def dead_prefix_only(token: ApiToken, text: str) -> str:
    return f"fdd_{token.prefix}_"


def dead_digest(token: ApiToken, text: str) -> str:
    return f"fdd_{token.prefix}_{token.digest}"


@pytest.mark.parametrize("kill", [dead_expired, dead_revoked, dead_inactive, dead_wrong, dead_prefix_only, dead_digest])
def test_a_dead_token_opens_nothing(kill: Any, made: tuple[ApiToken, str]) -> None:
    text = kill(*made)
    answer = ask(f"Bearer {text}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/problem+json"
    assert user_of_bearer(f"Bearer {text}") is None
    assert user_of_basic(basic("ann", text)) is None


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer fdd_",
        "Bearer fdd_x",
        "Bearer \u00e4\u00f6",
        "Bearer fdd_\u00e4_\u00f6",
    ],
)
def test_malformed_bearers_are_401(header: str) -> None:
    assert ask(header).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff\xfe:x").decode(), basic("ann", "wrong"),
     basic("", ""), basic("ann", ""), basic("ann\x00", "x"), basic("fdd_\x00", "x"), basic("ann", "fdd_\x00_x"),
     basic("nobody", "correct horse battery"), "Digest x"],
)  # fmt: skip
def test_malformed_or_wrong_basic_is_nobody(header: str, ann: User) -> None:
    assert user_of_basic(header) is None


def test_an_inactive_persons_password_opens_nothing(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert user_of_basic(basic("ann", "correct horse battery")) is None


def test_no_table_holds_the_readable_text(made: tuple[ApiToken, str]) -> None:
    _, text = made
    secret = text.split("_", 2)[2]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert not [row for row in cursor.fetchall() if secret in repr(row)], table


def test_it_is_shown_in_one_answer_only(ann: User) -> None:
    client = Client()
    client.force_login(ann)
    text = create_token(actor=ann, name="other")[1]
    assert text not in client.get("/me/tokens/").content.decode()
    shown = client.post("/me/tokens/", {"name": "mine"}).content.decode()
    assert "fdd_" in shown
    assert ApiToken.objects.get(name="mine").prefix in shown


def test_one_revokes_ones_own_only(ann: User, made: tuple[ApiToken, str]) -> None:
    client = Client()
    client.force_login(world.person("zoe"))
    assert client.post(f"/me/tokens/{made[0].pk}/revoke/").status_code == 404
    assert ApiToken.find(made[1]) is not None


def test_using_a_token_writes_once_a_minute(made: tuple[ApiToken, str], django_assert_max_num_queries: Any) -> None:
    ask(f"Bearer {made[1]}")
    first = ApiToken.objects.get(pk=made[0].pk).last_used_at
    assert first is not None
    ask(f"Bearer {made[1]}")
    assert ApiToken.objects.get(pk=made[0].pk).last_used_at == first
