"""The door: a new session for every sign-in, no way out to elsewhere, no form from elsewhere, cookies that stay home."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings as portal
from django.contrib.sessions.models import Session
from django.test import Client

from fangduoduo_release.audit.models import AuditEntry
from permissions.models import SignedIn, User
from tests import world
from tests.portal import ROOT

from .conftest import PASSWORD, sign_in, signed_in

pytestmark = pytest.mark.django_db
COOKIE = portal.SESSION_COOKIE_NAME


def test_signing_in_leads_home_and_is_in_the_audit(ann: User) -> None:
    client = Client()
    answer = sign_in(client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert signed_in(client)
    entry = AuditEntry.objects.get(verb="person.sign_in")
    assert (entry.actor, entry.after, entry.address) == ("ann", {"how": "password"}, "127.0.0.1")


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "///evil.example", "http:///evil.example", "/\\evil.example", "\\\\evil",
     "javascript:alert(1)", "data:text/html,x", "https:evil.example", "http://testserver@evil.example/", " //evil.example",
     "/\t/evil.example", "http://testserver.evil.example/", "ftp://testserver/", "\x08//evil.example"],
)  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(ann: User, elsewhere: str) -> None:
    for client in (Client(), Client()):
        assert client.get("/sign-in/", {"next": elsewhere}).status_code == 200
    client = Client()
    answer = sign_in(client, form={"next": elsewhere})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    again = client.get("/sign-in/", {"next": elsewhere})  # signed in already
    assert (again.status_code, again["Location"]) == (302, "/")


@pytest.mark.parametrize("inside", ["/projects/", "/me/?a=b", "/builds/1/#log"])
def test_one_is_led_back_to_where_one_wanted_to_go(ann: User, inside: str) -> None:
    assert sign_in(Client(), form={"next": inside})["Location"] == inside


def test_the_language_form_leads_nowhere_else_either(ann: User) -> None:
    answer = Client().post("/language/", {"language": "en", "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_a_session_planted_before_is_not_the_one_after(ann: User) -> None:
    planted = Client()
    planted.get("/sign-in/")
    session = planted.session
    session["planted"] = "yes"
    session.save()
    key = session.session_key
    victim = Client()
    victim.cookies[COOKIE] = key
    sign_in(victim)
    assert victim.cookies[COOKIE].value != key
    attacker = Client()
    attacker.cookies[COOKIE] = key
    assert not signed_in(attacker)
    assert signed_in(victim)


def test_another_person_in_the_same_browser_gets_nothing_of_the_first(ann: User) -> None:
    world.person("zoe", password=PASSWORD)
    client = Client()
    sign_in(client)
    session = client.session
    session["private"] = "of ann"
    session.save()
    client.post("/sign-out/")
    sign_in(client, "zoe")
    assert "private" not in client.session
    assert client.get("/api/me/").json()["username"] == "zoe"


def test_a_made_up_session_key_is_never_taken_over(ann: User) -> None:
    client = Client()
    client.cookies[COOKIE] = "a" * 32
    sign_in(client)
    assert client.cookies[COOKIE].value != "a" * 32
    assert not Session.objects.filter(session_key="a" * 32).exists()


def test_signing_in_needs_the_forms_own_token(ann: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client).status_code == 403
    client.get("/sign-in/")
    token = client.cookies["csrftoken"].value
    assert sign_in(client, form={"csrfmiddlewaretoken": token}).status_code == 302
    assert client.cookies["csrftoken"].value != token, "it changes with who one is"


def test_the_gateways_door_takes_no_form_from_a_browser_that_is_signed_in(ann: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    answer = client.post(
        "/api/auth/token/", f'{{"username": "ann", "password": "{PASSWORD}"}}', content_type="application/json"
    )
    assert answer.status_code == 403


def test_cookies_are_for_this_host_and_no_script(ann: User) -> None:
    client = Client()
    sign_in(client)
    cookie = client.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert client.cookies["csrftoken"]["samesite"] == "Lax"
    assert not cookie["domain"]


def test_in_production_they_are_secure_and_bound_to_the_host() -> None:
    """Asked of the settings as production reads them."""
    code = (
        "from django.conf import settings as s;"
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
    )
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "FDD_VAR"}}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240, check=True,
        env={**inherited, "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"},
    )  # fmt: skip
    assert done.stdout.split() == ["__Host-sessionid", "__Host-csrftoken", "True", "True"]


def test_a_service_account_has_no_door_even_with_a_password(ann: User) -> None:
    client = Client()
    sign_in(client)
    User.objects.filter(pk=ann.pk).update(is_service=True)
    assert not signed_in(client), "nor does a session from before go on"
    assert sign_in(Client()).status_code == 200


def test_an_inactive_persons_session_is_nobodys(ann: User) -> None:
    client = Client()
    sign_in(client)
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert not signed_in(client)


def test_signing_out_ends_the_session_for_good(ann: User) -> None:
    client = Client()
    sign_in(client)
    key = client.cookies[COOKIE].value
    assert client.get("/sign-out/").status_code == 405, "a link is no way out"
    assert signed_in(client)
    client.post("/sign-out/")
    copied = Client()
    copied.cookies[COOKIE] = key
    assert not signed_in(copied)


def test_the_admin_has_no_door_of_its_own(ann: User) -> None:
    client = Client()
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == "/sign-in/?next=%2Fadmin%2F"
    assert client.post("/admin/login/", {"username": "ann", "password": PASSWORD}).status_code == 302
    assert not SignedIn.objects.exists()
    client.force_login(ann)
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "Only ops may do this." in answer.content.decode()


def test_the_admins_door_leads_nowhere_else(ann: User) -> None:
    client = Client()
    answer = client.get("/admin/login/", {"next": "https://evil.example/"}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/")
    form = {"username": "ann", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/sign-in/", form)["Location"] == "/"


def test_no_button_leads_to_what_is_not_switched_on(ann: User) -> None:
    text = Client().get("/sign-in/").content.decode()
    assert "Sign in with" not in text
    assert "company account" not in text
    assert Client().get("/sign-in/oidc/").status_code == 404
