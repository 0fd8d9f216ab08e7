"""Where one is signed in: listed, ended one by one or all at once, and by themselves when idle or old."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as portal
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import Conflict, Denied
from fangduoduo_release.common.session_age import BEGAN
from fangduoduo_release.common.sockets.identity import Caller, user_of
from permissions import actions, sessions
from permissions.models import ApiToken, SignedIn, User
from permissions.retention import tidy_people
from permissions.views.agents import agent_words
from tests import world

from .conftest import PASSWORD, sign_in, signed_in

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"


def browser(agent: str = FIREFOX, address: str = "10.1.1.1") -> Client:
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    assert sign_in(client).status_code == 302
    return client


def by_socket(client: Client) -> Any:
    """Who a socket with this browser's cookie would be."""
    return user_of(Caller(session=client.cookies[portal.SESSION_COOKIE_NAME].value))


def turn_back(client: Client, name: str, seconds: float) -> None:
    session = client.session
    session[name] = session[name] - seconds
    session.save()


def test_each_browser_is_listed_with_what_one_knows_it_by(ann: User) -> None:
    one, _other = browser(FIREFOX, "10.1.1.1"), browser(EDGE, "10.2.2.2")
    text = one.get("/me/sessions/").content.decode()
    for words in ("Firefox · Linux", "Edge · Windows", "10.1.1.1", "10.2.2.2"):
        assert words in text
    assert text.count("this browser") == 1
    for row in SignedIn.objects.all():
        assert row.key not in text, "the key is the session"


def test_other_peoples_sessions_are_not(ann: User) -> None:
    browser()
    zoe = Client()
    zoe.force_login(world.person("zoe"))
    assert "10.1.1.1" not in zoe.get("/me/sessions/").content.decode()
    assert zoe.post(f"/me/sessions/{SignedIn.objects.get(user=ann).pk}/end/").status_code == 404
    assert SignedIn.objects.filter(user=ann).exists()


def test_one_is_ended_and_the_others_live(ann: User) -> None:
    here, there = browser(), browser(EDGE)
    row = SignedIn.objects.get(user_agent=EDGE)
    assert here.post(f"/me/sessions/{row.pk}/end/")["Location"] == "/me/sessions/"
    assert by_socket(there) is None
    assert not signed_in(there)
    assert signed_in(here)
    assert AuditEntry.objects.filter(verb="person.end_session", actor="ann").exists()
    assert "Edge · Windows" not in here.get("/me/sessions/").content.decode()


def test_ending_this_one_leads_to_the_door(ann: User) -> None:
    here = browser()
    answer = here.post(f"/me/sessions/{SignedIn.objects.get().pk}/end/")
    assert answer["Location"] == "/sign-in/"
    assert not signed_in(here)


def test_signing_out_everywhere_ends_all_and_keeps_tokens(ann: User) -> None:
    clients = [browser(), browser(EDGE), browser(address="10.3.3.3")]
    _, text = ApiToken.make(ann, "script")
    assert clients[0].post("/me/sessions/")["Location"] == "/sign-in/"
    assert [signed_in(client) for client in clients] == [False] * 3
    assert [by_socket(client) for client in clients] == [None] * 3
    assert ApiToken.find(text) is not None
    assert AuditEntry.objects.get(verb="person.sign_out_everywhere").after == {"ended": 3}


def test_also_a_session_that_nobody_noted(ann: User) -> None:
    """The epoch is in every session's hash: what our rows do not know ends all the same."""
    client = Client()
    client.force_login(ann)
    assert not SignedIn.objects.exists()
    actions.sign_out_everywhere(actor=ann, user=ann)
    assert by_socket(client) is None
    assert not signed_in(client)


def test_an_unused_session_ends(ann: User) -> None:
    client = browser()
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert by_socket(client) is None
    assert not signed_in(client)


def test_using_it_keeps_it(ann: User) -> None:
    client = browser()
    turn_back(client, sessions.SEEN, 120)
    Session.objects.update(expire_date=timezone.now() + timedelta(seconds=300))
    assert signed_in(client)
    left = Session.objects.get().expire_date - timezone.now()
    assert left > timedelta(seconds=portal.SESSION_COOKIE_AGE - 300)


def test_an_old_session_ends_however_much_it_is_used(ann: User) -> None:
    client = browser()
    turn_back(client, BEGAN, portal.SESSION_ABSOLUTE_S - 600)
    assert signed_in(client)
    turn_back(client, BEGAN, 601)
    assert by_socket(client) is None
    assert not signed_in(client)
    assert not Session.objects.filter(session_key=client.cookies[portal.SESSION_COOKIE_NAME].value).exists()


def test_a_clock_that_goes_back_ends_no_session_and_keeps_none_for_ever(ann: User) -> None:
    client = browser()
    turn_back(client, BEGAN, -3600)
    turn_back(client, sessions.SEEN, -3600)
    assert signed_in(client)
    assert abs(client.session[sessions.SEEN] - time.time()) < 600, "seen again, on today's clock"


def test_looking_writes_once_a_minute(ann: User, django_assert_num_queries: Any) -> None:
    browser(EDGE).get("/me/")  # the page is known now: what follows takes no minute
    client = browser()
    turn_back(client, sessions.SEEN, -30)
    seen = SignedIn.objects.filter(user_agent=FIREFOX)
    first = seen.get().seen_at
    for _ in range(3):
        client.get("/me/")
    assert seen.get().seen_at == first
    turn_back(client, sessions.SEEN, 91)
    client.get("/me/")
    assert seen.get().seen_at > first


def test_a_session_that_moves_is_seen_where_it_is_now(ann: User) -> None:
    client = browser()
    turn_back(client, sessions.SEEN, 61)
    client.get("/me/", REMOTE_ADDR="10.9.9.9")
    assert SignedIn.objects.get().address == "10.9.9.9"


def test_tidying_takes_what_is_over_and_nothing_else(ann: User) -> None:
    alive, over = browser(), browser(EDGE)
    Session.objects.filter(session_key=over.cookies[portal.SESSION_COOKIE_NAME].value).update(
        expire_date=timezone.now() - timedelta(days=1)
    )
    SignedIn.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    tidy_people()
    assert SignedIn.objects.get().user_agent == FIREFOX
    assert signed_in(alive)


# --- ops over others --------------------------------------------------------------------------------------------------
def test_ops_may_do_it_for_anybody_but_a_superuser(ann: User) -> None:
    ops, root = world.ops(), User.objects.create_superuser("root", password=None)
    client = browser()
    actions.sign_out_everywhere(actor=ops, user=ann)
    assert not signed_in(client)
    for refused in (actions.sign_out_everywhere,):
        with pytest.raises(Denied) as error:
            refused(actor=ops, user=root)
        assert error.value.rule == "superuser"
    with pytest.raises(Denied):
        actions.set_active(actor=ops, user=root, active=False)
    actions.sign_out_everywhere(actor=root, user=ops)
    with pytest.raises(Denied):
        actions.sign_out_everywhere(actor=world.person("zoe"), user=ann)


def test_deactivating_ends_everything_and_is_undone_without_bringing_it_back(ann: User) -> None:
    ops, client = world.ops(), browser()
    _, text = ApiToken.make(ann, "script")
    actions.set_active(actor=ops, user=ann, active=False)
    assert not signed_in(client)
    assert ApiToken.find(text) is None
    actions.set_active(actor=ops, user=ann, active=True)
    assert not signed_in(client), "that session is over"
    assert ApiToken.find(text) is not None, "tokens are for their owner to revoke"
    entries = AuditEntry.objects.filter(verb="person.active").order_by("id")
    assert [(entry.before, entry.after) for entry in entries] == [
        ({"active": True}, {"active": False}),
        ({"active": False}, {"active": True}),
    ]
    with pytest.raises(Conflict):
        actions.set_active(actor=ops, user=ops, active=False)
    with pytest.raises(Denied):
        actions.set_active(actor=ann, user=ops, active=False)


def test_ops_do_it_in_the_admin(ann: User) -> None:
    ops, client = Client(), browser()
    ops.force_login(world.ops())

    def bulk(screen: str, action: str, row: Any) -> None:
        form = {"action": action, "_selected_action": [row.pk]}
        assert ops.post(reverse(f"admin:{screen}_changelist"), form, follow=True).status_code == 200

    bulk("permissions_signedin", "end", SignedIn.objects.get(user=ann))
    assert not signed_in(client)
    again = browser()
    bulk("permissions_user", "sign_out_everywhere", ann)
    assert not signed_in(again)
    bulk("permissions_user", "deactivate", ann)
    assert sign_in(Client()).status_code == 200
    bulk("permissions_user", "activate", ann)
    assert sign_in(Client()).status_code == 302


@pytest.mark.parametrize(
    ("agent", "words"),
    [(FIREFOX, "Firefox · Linux"), (EDGE, "Edge · Windows"), ("curl/8.5.0", "curl/8.5.0"), ("", "–"), ("x" * 99, "x" * 40),
     ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604", "Safari · iPhone"),
     ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/537 Chrome/140 Safari/537", "Chrome · macOS"),
     ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537 Chrome/140 Mobile Safari/537", "Chrome · Android")],
)  # fmt: skip
def test_a_browser_is_named_as_people_name_it(agent: str, words: str) -> None:
    assert agent_words(agent) == words


def test_the_session_of_a_changed_password_goes_on_here_and_ends_elsewhere(ann: User) -> None:
    here, there = browser(), browser(EDGE)
    before = here.cookies[portal.SESSION_COOKIE_NAME].value
    new = "another-battery-staple"
    answer = here.post("/me/password/", {"old": PASSWORD, "new": new, "again": new})
    assert answer.status_code == 302
    assert signed_in(here)
    assert not signed_in(there)
    assert here.cookies[portal.SESSION_COOKIE_NAME].value != before, "under a new key"
    assert SignedIn.objects.get().key == here.cookies[portal.SESSION_COOKIE_NAME].value
    assert "this browser" in here.get("/me/sessions/").content.decode()
    assert sign_in(Client(), password=PASSWORD).status_code == 200
    assert sign_in(Client(), password=new).status_code == 302
