"""The ops screen for requests: look at what one would change, decide one or many; never one's own."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from clusters.models import Machine
from permissions import policy
from permissions.models import User
from projects import actions, grants
from projects.models import AccessRequest, Project
from tests import world

from .conftest import Ask
from .test_doors import browser, seen

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(settings.PROCESS != "web", reason="only the web process knows the ops screen"),
]
ADMIN = "/admin/projects/accessrequest/"


def test_ops_decide_one_in_the_admin_seeing_what_it_changes(
    project: Project, dev: User, olga: User, ask: Ask, prod: Machine
) -> None:
    made = ask(dev, machine=prod)
    client, address = browser(olga), f"{ADMIN}{made.pk}/change/"
    page = seen(client, address)
    for words in ("It reaches production", made.asked_sha256, 'value="approve"', 'value="reject"'):
        assert words in page
    client.post(address, {"do": "approve", "sha256": "0" * 64})
    made.refresh_from_db()
    assert made.state == "pending"
    client.post(address, {"do": "approve", "sha256": made.asked_sha256, "state": "rejected"})
    assert grants.has_machine(project, prod)


def test_ops_decide_many_after_a_page_that_lists_each(
    project: Project, dev: User, olga: User, omar: User, zoe: User, ask: Ask, prod: Machine
) -> None:
    theirs, own, changed = ask(dev, machine=prod), ask(olga, role="owner"), ask(zoe, role="viewer")
    client = browser(olga)
    chosen = {"action": "approve_chosen", "_selected_action": [theirs.pk, own.pk, changed.pk]}
    page = client.post(ADMIN, chosen).content.decode()
    assert "your own request" in page
    assert f"sha256_{own.pk}" not in page
    hashes = dict(re.findall(r'name="(sha256_\d+)" value="(\w+)"', page))
    assert set(hashes) == {f"sha256_{theirs.pk}", f"sha256_{changed.pk}"}
    AccessRequest.objects.filter(pk=changed.pk).update(role="owner")
    hashes[f"sha256_{own.pk}"] = own.asked_sha256  # typed by hand
    said = client.post(ADMIN, {**chosen, **hashes, "confirm": "1", "note": "ok"}, follow=True).content.decode()
    states = dict(AccessRequest.objects.values_list("pk", "state"))
    assert states == {theirs.pk: "approved", own.pk: "pending", changed.pk: "pending"}
    assert "Nobody decides their own request" in said
    reject = {"action": "reject_chosen", "_selected_action": [own.pk], "confirm": "1", "note": "no"}
    browser(omar).post(ADMIN, {**reject, f"sha256_{own.pk}": own.asked_sha256})
    own.refresh_from_db()
    assert own.state == "rejected"


def test_a_superuser_does_not_decide_their_own_in_the_admin(ask: Ask) -> None:
    root = User.objects.create_superuser("root", password=None)
    made = ask(root, role="owner")
    address = f"{ADMIN}{made.pk}/change/"
    assert 'value="approve"' not in seen(browser(root), address)
    browser(root).post(address, {"do": "approve", "sha256": made.asked_sha256})
    made.refresh_from_db()
    assert made.state == "pending"


def test_the_admin_filters_and_gives_roles_through_the_action(
    project: Project, olga: User, dev: User, ask: Ask
) -> None:
    ask(dev, role="owner", emergency=True)
    client = browser(olga)
    for query in (
        "state__exact=pending",
        "emergency__exact=1",
        "review=due",
        "review=overdue",
        "review=done",
        "q=shop",
    ):
        seen(client, f"{ADMIN}?{query}")
    assert "Requests that wait" in seen(client, "/admin/")
    eve = world.person("eve")
    form = {
        "project": project.pk,
        "user": eve.pk,
        "team": "",
        "role": "viewer",
        "reason": "x",
        "until_0": "",
        "until_1": "",
    }
    assert client.post("/admin/projects/rolegrant/add/", form).status_code == 302
    assert policy.may(User.objects.get(pk=eve.pk), "view_project", project)
    actions.set_member(actor=olga, project=project, user=eve, role=None)
