"""JWTs for the gateway: short, renewed once per token, gone with the person's sign-out; no other door takes them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from fangduoduo_release.audit.models import AuditEntry
from permissions import jwts
from permissions.actions import set_active, sign_out_everywhere
from permissions.models import ApiToken, JwtFamily, User
from permissions.retention import tidy_people
from tests import world

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db


def post(path: str, body: Any, **more: Any) -> Any:
    return Client().post(f"/api/auth/{path}", json.dumps(body), content_type="application/json", **more)


def me(access: str) -> Any:
    return Client().get("/api/me/", headers={"Authorization": f"Bearer {access}"})


@pytest.fixture
def pair(ann: User) -> dict[str, str]:
    answer = post("token/", {"username": "ann", "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def claims_of(text: str) -> dict[str, Any]:
    return dict(jwt.decode(text, options={"verify_signature": False}))


def resigned(text: str, **changes: Any) -> str:
    """The same token with other claims, signed with our own key: only what is asked for is wrong with it."""
    return jwts.sign({**{k: v for k, v in claims_of(text).items() if changes.get(k, v) is not None}, **changes})


def test_a_password_gives_a_pair_and_the_access_token_says_who_one_is(pair: dict[str, str]) -> None:
    assert set(pair) == {"access", "refresh"}
    answer = me(pair["access"])
    assert answer.status_code == 200
    assert answer.json() == {
        "username": "ann", "label": "ann", "is_ops": False, "is_service": False, "scopes": [], "roles": 0,
    }  # fmt: skip
    assert AuditEntry.objects.filter(verb="gateway.sign_in", actor="ann").exists()


def test_their_lives_are_short(pair: dict[str, str]) -> None:
    access, refresh = claims_of(pair["access"]), claims_of(pair["refresh"])
    assert 0 < access["exp"] - access["iat"] <= 300
    assert 0 < refresh["exp"] - refresh["iat"] <= 12 * 3600


@pytest.mark.parametrize(
    "body", [{}, {"username": "ann"}, {"username": "ann", "password": ""}, [], "x", {"username": ["a"], "password": {}}]
)
def test_what_is_not_shaped_so_is_400(ann: User, body: Any) -> None:
    assert post("token/", body).status_code == 400


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_a_wrong_password_is_401_whoever_it_is(ann: User, name: str) -> None:
    answer = post("token/", {"username": name, "password": "wrong"})
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "The name or the password is not right."
    assert not JwtFamily.objects.exists()


def test_service_accounts_and_inactive_people_get_none(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_service=True)
    assert post("token/", {"username": "ann", "password": PASSWORD}).status_code == 401
    User.objects.filter(pk=ann.pk).update(is_service=False, is_active=False)
    assert post("token/", {"username": "ann", "password": PASSWORD}).status_code == 401


def test_no_table_holds_a_token(pair: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            text = repr(cursor.fetchall())
            for one in pair.values():
                assert one not in text, table
                assert one.rsplit(".", 1)[1] not in text, table


def test_an_answer_with_tokens_is_never_remembered_for_another(ann: User) -> None:
    first = post("token/", {"username": "ann", "password": PASSWORD}, headers={"Idempotency-Key": "k"}).json()
    second = post("token/", {"username": "ann", "password": PASSWORD}, headers={"Idempotency-Key": "k"}).json()
    assert first["refresh"] != second["refresh"]


# --- rotation ---------------------------------------------------------------------------------------------------------
def test_a_refresh_token_is_good_once_and_its_second_use_ends_the_family(pair: dict[str, str]) -> None:
    following = post("token/refresh/", {"refresh": pair["refresh"]}).json()
    assert me(following["access"]).status_code == 200
    assert me(pair["access"]).status_code == 200, "the first one lives its minutes"
    stolen = post("token/refresh/", {"refresh": pair["refresh"]})
    assert stolen.status_code == 401
    for dead in (following["access"], pair["access"]):
        assert me(dead).status_code == 401
    assert post("token/refresh/", {"refresh": following["refresh"]}).status_code == 401, "the whole family"
    assert AuditEntry.objects.filter(verb="gateway.reuse").count() == 1


def test_other_families_live_on(pair: dict[str, str], ann: User) -> None:
    other = post("token/", {"username": "ann", "password": PASSWORD}).json()
    post("token/refresh/", {"refresh": pair["refresh"]})
    post("token/refresh/", {"refresh": pair["refresh"]})
    assert me(other["access"]).status_code == 200


def test_many_renewals_in_a_row_never_outlive_the_sign_in(pair: dict[str, str]) -> None:
    end = claims_of(pair["refresh"])["exp"]
    for _ in range(5):
        pair = post("token/refresh/", {"refresh": pair["refresh"]}).json()
        assert claims_of(pair["refresh"])["exp"] == end
    assert JwtFamily.objects.get().number == 5


def test_revoking_ends_it_and_is_answered_the_same_for_rubbish(pair: dict[str, str]) -> None:
    for text in (pair["refresh"], pair["refresh"], "rubbish", pair["access"]):
        assert post("token/revoke/", {"refresh": text}).status_code == 204
    assert me(pair["access"]).status_code == 401
    assert post("token/refresh/", {"refresh": pair["refresh"]}).status_code == 401


# --- what ends them ---------------------------------------------------------------------------------------------------
def test_signing_out_everywhere_ends_them_at_once(pair: dict[str, str], ann: User) -> None:
    sign_out_everywhere(actor=ann, user=ann)
    assert me(pair["access"]).status_code == 401
    assert post("token/refresh/", {"refresh": pair["refresh"]}).status_code == 401


def test_the_epoch_alone_ends_them_too(pair: dict[str, str], ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(epoch=7)
    assert me(pair["access"]).status_code == 401


def test_an_inactive_person_is_nobody(pair: dict[str, str], ann: User) -> None:
    set_active(actor=world.ops(), user=ann, active=False)
    assert me(pair["access"]).status_code == 401
    User.objects.filter(pk=ann.pk).update(is_active=True)
    assert me(pair["access"]).status_code == 401, "what ended stays ended"


# --- what is no token -------------------------------------------------------------------------------------------------
def forged_key(text: str) -> str:
    return jwt.encode(claims_of(text), "k" * 48, algorithm="HS256", headers=jwt.get_unverified_header(text))


def no_key_named(text: str) -> str:
    return jwt.encode(claims_of(text), "k" * 48, algorithm="HS256")


def unsigned(text: str) -> str:
    return jwt.encode(claims_of(text), "", algorithm="none", headers={"kid": jwt.get_unverified_header(text)["kid"]})


def other_issuer(text: str) -> str:
    from django.conf import settings

    key = settings.JWT_KEYS[0]
    claims = {**claims_of(text), "iss": "somebody"}
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": jwts.name_of(key)})


def changed(**changes: Any) -> Any:
    return lambda text: resigned(text, **changes)


@pytest.mark.parametrize(
    "spoil",
    [forged_key, no_key_named, unsigned, other_issuer, changed(kind="refresh"), changed(kind=None), changed(exp=1),
     changed(exp=None), changed(epoch=None), changed(family=None), changed(epoch=3), changed(iat=4_000_000_000),
     changed(family="9b2f0a52-0b51-4bb0-8f5e-000000000000"), lambda text: text[:-2], lambda text: "a.b.c",
     lambda text: "eyJ.eyJ.", lambda text: "\u00e4", lambda text: text + "."],
)  # fmt: skip
def test_what_is_spoiled_opens_nothing(pair: dict[str, str], spoil: Any) -> None:
    answer = me(spoil(pair["access"]))
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_family_that_is_no_uuid_is_nobody(pair: dict[str, str]) -> None:
    assert me(resigned(pair["access"], family="x' OR 1=1")).status_code == 401


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(pair: dict[str, str]) -> None:
    assert me(pair["refresh"]).status_code == 401
    assert post("token/refresh/", {"refresh": pair["access"]}).status_code == 401


def test_a_clock_that_moved_makes_nothing_live_longer(pair: dict[str, str]) -> None:
    """The family's own end is looked at as well as the token's: whichever comes first."""
    JwtFamily.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert me(pair["access"]).status_code == 401
    assert post("token/refresh/", {"refresh": pair["refresh"]}).status_code == 401


# --- keys -------------------------------------------------------------------------------------------------------------
def test_keys_rotate_without_signing_anybody_out(pair: dict[str, str], settings: Any) -> None:
    old, new = settings.JWT_KEYS[0], "a-new-key-in-front-of-the-old-one-0123456789"
    settings.JWT_KEYS = [new, old]
    assert me(pair["access"]).status_code == 200
    following = post("token/refresh/", {"refresh": pair["refresh"]}).json()
    assert jwt.get_unverified_header(following["access"])["kid"] == jwts.name_of(new)
    settings.JWT_KEYS = [new]
    assert me(pair["access"]).status_code == 401, "the old key is gone, and with it what it signed"
    assert me(following["access"]).status_code == 200


def test_a_keys_name_does_not_give_it_away(pair: dict[str, str], settings: Any) -> None:
    assert jwt.get_unverified_header(pair["access"])["kid"] not in settings.JWT_KEYS[0]


# --- which doors ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/projects/", "/api/builds/", "/api/audit/", "/api/schema/", "/api/machines/"])
def test_other_addresses_take_no_jwt(pair: dict[str, str], path: str) -> None:
    answer = Client().get(path, headers={"Authorization": f"Bearer {pair['access']}"})
    assert answer.status_code == 401


def test_who_am_i_answers_a_token_with_its_scopes_and_a_browser(ann: User) -> None:
    world.project(ann, "shop")
    text = ApiToken.make(ann, "t", scopes=["read"])[1]
    answer = me(text)
    assert (answer.json()["scopes"], answer.json()["roles"]) == (["read"], 1)
    client = Client()
    assert client.get("/api/me/").status_code == 401
    client.force_login(ann)
    assert client.get("/api/me/").json()["username"] == "ann"


def test_what_is_over_is_tidied_away_after_a_day(pair: dict[str, str]) -> None:
    JwtFamily.objects.update(expires_at=timezone.now() - timedelta(hours=2))
    tidy_people()
    assert JwtFamily.objects.exists()
    JwtFamily.objects.update(expires_at=timezone.now() - timedelta(hours=26))
    tidy_people()
    assert not JwtFamily.objects.exists()
