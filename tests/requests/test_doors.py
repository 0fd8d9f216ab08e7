"""The doors: pages as requester, owner, ops and stranger, and the API. No id and no body opens more."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from clusters.models import Machine
from permissions.models import User
from projects import grants, requests
from projects.models import AccessRequest, Project, RoleGrant
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def api(person: User, path: str, body: Any = None) -> Any:
    if body is None:
        return browser(person).get(f"/api/{path}")
    return browser(person).post(f"/api/{path}", json.dumps(body), content_type="application/json")


def seen(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, address
    return answer.content.decode()


# --- pages -----------------------------------------------------------------------------------------------------------
def test_a_refusal_leads_to_the_form_and_the_form_to_a_decision(
    project: Project, dev: User, olga: User, prod: Machine
) -> None:
    client = browser(dev)
    panel = seen(client, "/projects/shop/change/?action=deploy", 403)
    link = re.search(r'href="(/requests/new/[^"]+)"', panel)
    assert link
    form = seen(client, link[1].replace("&amp;", "&") + "prod")
    assert "This is production" in form
    assert "olga" in form, "who will decide"
    wish = {"project": "shop", "kind": "machine", "machine": "prod", "days": "30", "reason": "the launch"}
    answer = client.post("/requests/new/", wish)
    made = AccessRequest.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/requests/{made.pk}/")
    own = seen(client, f"/requests/{made.pk}/")
    assert "Nobody decides their own request" in own
    assert 'value="approve"' not in own
    assert "request waits for your decision" in seen(browser(olga), "/")
    page = seen(browser(olga), f"/requests/{made.pk}/")
    for words in ("the launch", "It reaches production", "first production machine", made.asked_sha256):
        assert words in page
    assert (
        browser(olga).post(f"/requests/{made.pk}/", {"do": "approve", "sha256": made.asked_sha256}).status_code == 302
    )
    assert grants.has_machine(project, prod)


def test_a_stranger_sees_the_same_pages_for_a_project_and_for_none(project: Project, zoe: User) -> None:
    client = browser(zoe)
    said = []
    for slug in ("shop", "nope"):
        form = seen(client, f"/requests/new/?project={slug}&kind=role&role=viewer")
        answer = client.post("/requests/new/", {"project": slug, "kind": "role", "role": "viewer", "reason": "please"})
        assert answer.status_code == 302
        made = AccessRequest.objects.get(slug=slug)
        page = seen(client, f"/requests/{made.pk}/")
        assert ">ann<" not in page
        said.append([_plain(text, slug) for text in (form, page)])
    assert said[0] == said[1]
    assert client.get("/requests/new/?project=shop&kind=machine").status_code == 404
    assert client.get("/requests/new/?project=nope&kind=machine").status_code == 404


def _plain(text: str, slug: str) -> str:
    """A page's own part without what must differ: the typed name, the number, times and tokens."""
    text = text[text.index("<main") : text.index("</main>")].replace(slug, "SLUG")
    return re.sub(r'<time.*?</time>|value="[^"]*"|\d+', "", text)


@pytest.mark.parametrize("who", ["zoe", "dev", "viewer"])
def test_no_id_opens_a_request_to_those_it_is_not_for(
    who: str, project: Project, dev: User, zoe: User, ask: Ask
) -> None:
    yan = world.person("yan")
    made = ask(yan, role="owner")
    person = {"zoe": zoe, "dev": dev}.get(who) or world.member(project, "viewer")
    client = browser(person)
    seen(client, f"/requests/{made.pk}/", 404)
    for wish in ("approve", "alone", "reject", "withdraw", "review"):
        answer = client.post(f"/requests/{made.pk}/", {"do": wish, "sha256": made.asked_sha256, "note": "x"})
        assert answer.status_code == 404, wish
        if wish != "alone":
            assert api(person, f"requests/{made.pk}/{wish}/", {"note": "x"}).status_code == 404, wish
    assert api(person, f"requests/{made.pk}/").status_code == 404
    assert api(person, "requests/").json()["results"] == []
    grant = RoleGrant.objects.get(user__username="ann")
    assert client.post(f"/requests/renew/role/{grant.pk}/").status_code == 404
    assert api(person, f"role-grants/{grant.pk}/renew/", {}).status_code == 404
    made.refresh_from_db()
    assert made.state == "pending"


def test_what_cannot_be_done_is_said_on_the_page(zoe: User, ann: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    client, address = browser(ann), f"/requests/{made.pk}/"
    for wish, status in (
        ({"do": "reject", "sha256": made.asked_sha256}, 422),
        ({"do": "approve", "sha256": "0" * 64}, 409),
        ({"do": "approve", "sha256": made.asked_sha256, "until": "2026-02-31"}, 422),
        ({"do": "approve", "sha256": made.asked_sha256, "until": "soon"}, 422),
        ({"do": "else"}, 422),
    ):
        answer = client.post(address, wish)
        assert answer.status_code == status, wish
        assert "problem-what" in answer.content.decode()


def test_the_list_has_tabs_and_filters_in_its_address(
    project: Project, ann: User, dev: User, zoe: User, ask: Ask, test_a: Machine
) -> None:
    role, machine = ask(zoe, role="viewer"), ask(dev, machine=test_a)
    client = browser(ann)
    both = seen(client, "/requests/?tab=waiting")
    assert both.count("Decide</a>") == 2
    assert seen(client, "/requests/?tab=waiting&kind=role").count("Decide</a>") == 1
    assert seen(client, "/requests/?tab=waiting&q=zoe").count("Decide</a>") == 1
    assert "You have asked for nothing yet" in seen(client, "/requests/?tab=mine")
    assert "Withdraw" in seen(browser(zoe), "/requests/")
    client.post(f"/requests/{role.pk}/", {"do": "reject", "sha256": role.asked_sha256, "note": "no"})
    assert f"/requests/{role.pk}/" in seen(client, "/requests/?tab=decided&state=rejected")
    assert f"/requests/{machine.pk}/" not in seen(client, "/requests/?tab=decided")
    assert seen(client, "/requests/?tab=odd&kind=odd&state=odd&before=x")


# --- API -------------------------------------------------------------------------------------------------------------
def test_the_api_asks_lists_and_decides(project: Project, ann: User, zoe: User) -> None:
    made = api(zoe, "projects/shop/access-requests/", {"role": "developer", "reason": "to help"})
    assert made.status_code == 201
    one = made.json()
    assert (one["project"], one["state"], one["requester"], one["may_decide"]) == ("shop", "pending", "zoe", False)
    nowhere = api(zoe, "projects/nope/access-requests/", {"role": "developer", "reason": "to help"}).json()
    differ = {"id", "project", "sha256", "created_at", "expires_at"}
    assert {k: v for k, v in one.items() if k not in differ} == {k: v for k, v in nowhere.items() if k not in differ}
    assert [row["id"] for row in api(ann, "requests/?state=pending").json()["results"]] == [one["id"]]
    assert api(ann, "requests/?mine=true").json()["results"] == []
    assert api(ann, "requests/?waiting=true").json()["results"][0]["may_decide"] is True
    own = api(zoe, f"requests/{one['id']}/approve/", {})
    assert (own.status_code, own.json()["rule"]) == (403, "not_your_own")
    stale = api(ann, f"requests/{one['id']}/approve/", {"sha256": "0" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "request_changed")
    done = api(ann, f"requests/{one['id']}/approve/", {"note": "fine"})
    assert (done.status_code, done.json()["decided_by"]) == (200, "ann")
    twice = api(ann, f"requests/{one['id']}/approve/", {})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_decided")


def test_a_body_names_nothing_but_what_is_asked(project: Project, dev: User, ann: User, prod: Machine) -> None:
    other = world.project(slug="other")
    body = {
        "machine": "prod", "reason": "x", "state": "approved", "requester": ann.pk, "decided_by": ann.pk,
        "project": other.pk, "slug": "other", "kind": "role", "role": "owner", "asked_sha256": "0" * 64,
        "decided_sha256": "0" * 64, "reviewed_by": ann.pk, "expires_at": "2099-01-01T00:00:00Z", "id": 1,
    }  # fmt: skip
    made = api(dev, "projects/shop/machine-requests/", body)
    assert made.status_code == 201
    row = AccessRequest.objects.get()
    assert (row.state, row.requester, row.decided_by, row.project, row.kind, row.role) == (
        "pending", dev, None, project, "machine", "",
    )  # fmt: skip
    assert row.asked_sha256 == requests.fingerprint(row)
    assert row.expires_at.year < 2099
    olga = world.ops("olga")
    done = api(
        olga, f"requests/{row.pk}/reject/", {"note": "no", "state": "approved", "decided_by": dev.pk, "role": "owner"}
    )
    assert done.json()["state"] == "rejected"
    row.refresh_from_db()
    assert row.decided_by == olga


def test_api_members_take_teams_and_ends(project: Project, ann: User) -> None:
    Group.objects.create(name="night")
    world.person("eve")
    body = {"team": "night", "role": "developer", "until": "2099-01-01T00:00:00Z"}
    assert api(ann, "projects/shop/members/", body).status_code == 200
    rows = api(ann, "projects/shop/members/", {"user": "eve", "role": "viewer"}).json()
    assert [(row["user"], row["team"], row["role"]) for row in rows] == [
        ("ann", None, "owner"), (None, "night", "developer"), ("eve", None, "viewer"),
    ]  # fmt: skip
    for wrong in ({"role": "viewer"}, {"user": "nobody", "role": "viewer"}, {"team": "no", "role": "viewer"}):
        assert api(ann, "projects/shop/members/", wrong).status_code == 422
