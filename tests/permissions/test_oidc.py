"""Signing in by OpenID Connect against a real provider: who is who, which teams follow, and everything that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from fangduoduo_release.audit.models import AuditEntry
from permissions import oidc
from permissions.models import SignedIn, User
from tests import world
from tests.portal import Portal
from tests.simulators.oidc import CLIENT, SECRET, Provider

from .conftest import PASSWORD, sign_in, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(served: Provider, settings: Any) -> Provider:
    """A provider that the portal is told of."""
    served.spoil, served.asked = {}, []
    served.claims = {"sub": "1001", "preferred_username": "ann", "email": "ann@example.com", "given_name": "Ann"}
    oidc._known.clear()
    settings.ROOT_URLCONF = "tests.permissions.urls_oidc"
    settings.OIDC_ISSUER, settings.OIDC_LABEL = served.issuer, "Example"
    settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT, SECRET
    settings.OIDC_TIMEOUT = 120  # this one does answer, as late as a busy machine lets it
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "permissions.oidc.OidcBackend"]
    return served


def back_of(client: Client, **query: str) -> str:
    """Start at the portal, sign in at the provider; the address that the browser is sent back to."""
    start = client.get("/sign-in/oidc/", query)
    assert start.status_code == 302, start.content
    answer = httpx.get(start["Location"], timeout=120)
    assert answer.status_code == 302, answer.text
    url = urlsplit(answer.headers["Location"])
    return f"{url.path}?{url.query}"


def come_in(client: Client, **query: str) -> Any:
    return client.get(back_of(client, **query))


def refused(client: Client, answer: Any) -> str:
    """That it led back to the door with a sentence and nobody is signed in; the sentence."""
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/")
    assert not signed_in(client)
    return str(client.get("/sign-in/").content.decode())


def test_the_button_leads_there_and_the_person_comes_in(provider: Provider) -> None:
    client = Client()
    assert "Sign in with Example" in client.get("/sign-in/").content.decode()
    assert come_in(client)["Location"] == "/"
    assert client.get("/api/me/").json()["username"] == "ann"
    ann = User.objects.get(username="ann")
    assert (ann.external, ann.first_name, ann.email) == (f"oidc:{provider.issuer}#1001", "Ann", "ann@example.com")
    assert not ann.has_usable_password()
    assert SignedIn.objects.get(user=ann).how == "oidc"
    verbs = set(AuditEntry.objects.values_list("verb", flat=True))
    assert {"person.create", "person.sign_in"} <= verbs


def test_they_are_known_again_also_under_a_new_name(provider: Provider) -> None:
    come_in(Client())
    provider.claims |= {"preferred_username": "ann.married", "email": "new@example.com"}
    client = Client()
    come_in(client)
    ann = User.objects.get()
    assert (ann.username, ann.email) == ("ann", "new@example.com"), "what they are called here stays"
    assert signed_in(client)


def test_it_asks_with_state_nonce_and_a_challenge(provider: Provider) -> None:
    location = Client().get("/sign-in/oidc/")["Location"]
    assert location.startswith(f"{provider.issuer}/authorize?")
    asked = parse_qs(urlsplit(location).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) >= 32
    assert len(asked["nonce"][0]) >= 32
    assert SECRET not in location


def test_one_is_led_to_where_one_wanted_and_never_elsewhere(provider: Provider) -> None:
    assert come_in(Client(), next="/projects/")["Location"] == "/projects/"
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert come_in(Client(), next=elsewhere)["Location"] == "/"


def test_the_session_is_a_new_one(provider: Provider) -> None:
    client = Client()
    back = back_of(client)
    before = client.cookies["sessionid"].value
    client.get(back)
    assert client.cookies["sessionid"].value != before
    planted = Client()
    planted.cookies["sessionid"] = before
    assert not signed_in(planted)


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "spoil",
    [{"id_token": {"aud": "another-client"}}, {"id_token": {"iss": "http://evil.example"}}, {"id_token": {"nonce": "other"}},
     {"id_token": {"nonce": None}}, {"id_token": {"exp": -3600}}, {"id_token": {"exp": None}}, {"id_token": {"iat": 3600}},
     {"id_token": {"sub": None}}, {"unsigned": True}, {"symmetric": True}, {"foreign_key": True}, {"kid": "unknown"},
     {"userinfo": {"sub": "1002"}}, {"broken": ["/token"]}, {"broken": ["/jwks"]}, {"broken": ["/userinfo"]}, {"denied": True}],
    ids=str,
)  # fmt: skip
def test_what_is_not_in_order_lets_nobody_in(provider: Provider, spoil: dict[str, Any]) -> None:
    provider.spoil = spoil
    client = Client(raise_request_exception=False)
    assert "did not let you in" in refused(client, come_in(client))
    assert not User.objects.exists()


def test_a_small_difference_of_clocks_is_forgiven(provider: Provider) -> None:
    provider.spoil = {"id_token": {"iat": 10, "exp": -10}}
    client = Client()
    come_in(client)
    assert signed_in(client)


def test_an_answer_is_good_for_one_browser_and_once(provider: Provider) -> None:
    victim, thief = Client(raise_request_exception=False), Client(raise_request_exception=False)
    back = back_of(victim)
    assert thief.get(back).status_code == 302
    assert not signed_in(thief), "somebody else's answer, without their session"
    back_of(thief)
    assert thief.get(back).status_code == 400, "a state that this session never gave out"
    victim.get(back)
    assert signed_in(victim)
    victim.post("/sign-out/")
    assert not signed_in(victim)
    victim.get(back)
    assert not signed_in(victim), "the code is spent, and so is the state"


def test_a_provider_that_is_away_is_said_and_passwords_still_work(provider: Provider, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    client = Client()
    answer = client.get("/sign-in/oidc/")
    assert answer["Location"] == "/sign-in/"
    assert "cannot be reached" in client.get("/sign-in/").content.decode()
    world.person("root", password=PASSWORD)
    assert sign_in(client, "root").status_code == 302


def test_a_description_of_somebody_else_is_not_believed(provider: Provider) -> None:
    provider.spoil = {"described_issuer": "http://evil.example"}
    assert Client().get("/sign-in/oidc/")["Location"] == "/sign-in/"


def test_whoever_is_signed_in_needs_no_provider(provider: Provider, settings: Any) -> None:
    client = Client()
    come_in(client)
    oidc._known.clear()
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    assert signed_in(client)


# --- whose account it is ----------------------------------------------------------------------------------------------
def test_a_namesake_does_not_take_over_an_account_made_here(provider: Provider) -> None:
    mine = world.person("ann")
    client = Client()
    assert "belongs to another account" in refused(client, come_in(client))
    mine.refresh_from_db()
    assert mine.external == ""


@pytest.mark.parametrize(
    "facts", [{"is_superuser": True}, {"is_staff": True}, {"is_service": True}, {"external": "oidc:x#1"}]
)
def test_not_even_where_linking_is_allowed_when_it_is_of_ops_or_somebody_elses(
    provider: Provider, settings: Any, facts: dict[str, Any]
) -> None:
    settings.LINK_EXISTING_ACCOUNTS = True
    world.person("ann", **facts)
    client = Client()
    assert "belongs to another account" in refused(client, come_in(client))


def test_where_linking_is_allowed_an_ordinary_account_becomes_theirs(provider: Provider, settings: Any) -> None:
    settings.LINK_EXISTING_ACCOUNTS = True
    mine = world.person("ann")
    client = Client()
    come_in(client)
    assert client.get("/api/me/").json()["username"] == "ann"
    mine.refresh_from_db()
    assert mine.external.endswith("#1001")
    assert AuditEntry.objects.filter(verb="person.update", object_id=str(mine.pk)).exists()


@pytest.mark.parametrize("name", ["", None, "two words", "x" * 200, "a/b", "<script>"])
def test_a_name_that_cannot_be_one_here_is_refused(provider: Provider, name: Any) -> None:
    provider.claims["preferred_username"] = name
    client = Client()
    assert "cannot be a name here" in refused(client, come_in(client))


def test_an_inactive_person_stays_out(provider: Provider) -> None:
    come_in(Client())
    User.objects.update(is_active=False)
    client = Client()
    refused(client, come_in(client))


# --- teams ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def mapped(provider: Provider, settings: Any) -> Provider:
    settings.OIDC_GROUP_TEAMS = {"release-ops": "ops", "backend": "backend"}
    ops = Group.objects.create(name="ops")
    ops.permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
    return provider


def teams(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def test_teams_follow_groups_as_far_as_they_are_mapped(mapped: Provider) -> None:
    mapped.claims["groups"] = ["release-ops", "canteen"]
    client = Client()
    come_in(client)
    ann = User.objects.get(username="ann")
    assert teams(ann) == {"ops"}
    assert ann.is_ops
    assert ann.is_staff
    assert client.get("/admin/").status_code == 200
    ann.groups.add(Group.objects.create(name="given here"))
    mapped.claims["groups"] = ["backend"]
    come_in(Client())
    ann = User.objects.get(username="ann")
    assert teams(ann) == {"backend", "given here"}
    assert not ann.is_staff
    entry = AuditEntry.objects.filter(verb="person.teams").first()
    assert entry is not None
    assert entry.before == {"teams": ["given here", "ops"]}
    assert entry.after == {"teams": ["backend", "given here"], "is_staff": False}


@pytest.mark.parametrize("groups", [None, [], "release-ops", {"release-ops": 1}, [["release-ops"]] and ["other"]])
def test_odd_groups_give_nothing(mapped: Provider, groups: Any) -> None:
    mapped.claims["groups"] = groups
    client = Client()
    come_in(client)
    assert signed_in(client)
    assert teams(User.objects.get(username="ann")) == set()


# --- a whole portal ---------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_in_a_real_portal_from_the_button_to_the_home_page(served: Provider, portals: Any) -> None:
    served.spoil, served.claims = {}, {"sub": "77", "preferred_username": "lin", "groups": ["release-ops"]}
    env = {
        "OIDC_ISSUER": served.issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET, "OIDC_LABEL": "Example",
        "OIDC_GROUP_TEAMS": "release-ops=ops", "OIDC_TIMEOUT_S": "120",
    }  # fmt: skip
    portal: Portal = portals(env=env).start()
    with httpx.Client(base_url=portal.url, follow_redirects=True, timeout=120) as browser:
        page = browser.get("/sign-in/?next=/projects/")
        assert "Sign in with Example" in page.text
        href = page.text.split('href="/sign-in/oidc/')[1].split('"')[0].replace("&amp;", "&")
        answer = browser.get(f"/sign-in/oidc/{href}")
        assert answer.url.path == "/projects/"
        me = browser.get("/api/me/").json()
        assert (me["username"], me["is_ops"]) == ("lin", True)
    with httpx.Client(base_url=portal.url, timeout=120) as local:
        token = local.get("/sign-in/").cookies["csrftoken"]
        form = {"username": "admin", "password": portal.credentials()["users"]["admin"], "csrfmiddlewaretoken": token}
        assert local.post("/sign-in/", data=form, headers={"Referer": portal.url}).status_code == 302
    assert SECRET not in portal.log()
