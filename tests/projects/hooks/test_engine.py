"""From a stored delivery to builds: the repository itself is asked, each push builds once, and everything is said in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.errors import Conflict, Denied
from fangduoduo_release.common.models import Connection, InboxItem
from projects.hooks import actions, retention
from projects.hooks.engine import HookEngine
from projects.hooks.hearing import meant, place
from projects.hooks.shown import pretty, webhooks_of
from projects.models import BranchTip, HookDelivery, Project
from tests import world
from tests.projects.git.conftest import Server, commit, git

from . import letters
from .ground import MAIN, Bound, bound, built, deliver, forge, remote, said, work
from .letters import SECRET

__all__ = ["bound", "forge", "remote"]
pytestmark = pytest.mark.django_db


# -- whose repository -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "https://git.example/team/Shop.git",
        "http://git.example:3000/team/shop",
        "ssh://git@git.example:2222/team/shop.git/",
        "git@GIT.example:team/shop.git",
        "git://git.example/team/shop",
        "https://user:x@git.example./team/shop.git",
    ],
)
def test_a_repository_is_the_same_under_all_its_addresses(address: str) -> None:
    assert place(address) == "git.example/team/shop"


def test_other_repositories_and_other_servers_are_not_meant(forge: Connection) -> None:
    other = Connection.objects.create(name="other", kind="git")
    mine = Project.objects.create(
        slug="a", name="a", repository="https://git.example/team/shop.git", source_connection=forge
    )
    Project.objects.create(slug="b", name="b", repository="https://git.example/team/shop", source_connection=other)
    Project.objects.create(slug="c", name="c", repository="https://git.example/team/shopping", source_connection=forge)
    Project.objects.create(slug="d", name="d", repository="", source_connection=forge)
    Project.objects.create(
        slug="e", name="e", repository="https://git.example/team/shop", source_connection=forge, archived=True
    )
    assert meant(forge, {"git@git.example:team/shop.git", "https://elsewhere/x"}) == [mine]
    assert meant(forge, {"team/shop"}) == [mine]  # by its name alone
    assert meant(forge, {"", "/", "://", ":", "shop", "[::1"}) == []


# -- to builds --------------------------------------------------------------------------------------------------------
def test_a_push_that_is_told_becomes_a_build_of_that_commit(bound: Bound) -> None:
    before, after = bound.push("one")
    delivery = bound.told(before, after)
    work()
    assert built(bound.project) == [after]
    assert said(delivery) == f"{bound.project.slug}: New: 1."
    assert (delivery.state, delivery.result["found"]) == ("done", 1)
    item = InboxItem.objects.get()
    assert item.payload["via"] == "hook"
    assert abs(item.payload["heard_at"] - delivery.received_at.timestamp()) < 1


def test_a_thousand_deliveries_of_one_push_are_one_row_or_at_least_one_build(bound: Bound) -> None:
    before, after = bound.push("one")
    first = bound.told(before, after)
    for _ in range(500):
        assert bound.told(before, after).pk == first.pk
    for number in range(500):  # under names of their own, as from 500 webhooks
        bound.told(before, after, ident=f"d{number}")
    assert HookDelivery.objects.count() == 501
    work()
    assert built(bound.project) == [after]
    assert set(HookDelivery.objects.values_list("state", flat=True)) == {"done"}


def test_every_push_of_several_builds_although_they_are_heard_of_late_and_out_of_order(bound: Bound) -> None:
    moves = [bound.push(text) for text in ("one", "two", "three", "four")]
    for before, after in (moves[2], moves[0], moves[3], moves[1]):
        bound.told(before, after)
    work()
    assert sorted(built(bound.project)) == sorted(after for _, after in moves)
    assert BranchTip.objects.get(project=bound.project, ref=MAIN).sha == moves[-1][1]


def test_several_moves_in_one_delivery_build_one_by_one_and_in_order(bound: Bound) -> None:
    moves = [bound.push(text) for text in ("one", "two", "three")]
    body = [{"repository": bound.url, "ref": "main", "before": a, "after": b} for a, b in reversed(moves)]
    deliver(bound.forge, "generic", letters.ours(body))
    work()
    assert built(bound.project) == [after for _, after in moves]


def test_what_is_told_without_commits_is_found_by_looking(bound: Bound) -> None:
    _, after = bound.push("one")
    git("push", "--quiet", "origin", "HEAD:refs/heads/topic", "HEAD:refs/tags/v1", cwd=bound.clone)
    deliver(bound.forge, "generic", letters.ours({"repository": bound.url}))
    work()
    assert built(bound.project) == [after] * 3


def test_a_forged_or_outdated_push_moves_nothing(bound: Bound) -> None:
    first = bound.head
    forged = bound.told(first, "c" * 40)
    _, second = bound.push("one")
    bound.told(first, second)
    work()
    assert built(bound.project) == [second]
    assert forged.state == "new"
    assert "Nothing new" in said(forged) or "New: 1" in said(forged)  # it made us look, and that found the real one
    git("push", "--quiet", "--force", "origin", f"{first}:refs/heads/main", cwd=bound.clone)
    bound.told(second, first, forced=True)
    work()
    again = bound.told(first, second, ident="the same push, told once more")
    work()
    assert built(bound.project) == [second, first]
    assert "Nothing new" in said(again)
    assert BranchTip.objects.get(project=bound.project, ref=MAIN).sha == first


def test_a_commit_that_was_forced_away_before_we_looked_is_no_error(bound: Bound) -> None:
    first, gone = bound.push("one")
    git("reset", "--quiet", "--hard", first, cwd=bound.clone)
    kept = commit(bound.clone, "NOTES", "other")
    git("push", "--quiet", "--force", "origin", "HEAD:main", cwd=bound.clone)
    delivery = bound.told(first, gone)
    bound.told(gone, kept, forced=True)
    work()
    assert built(bound.project)[-1] == kept
    assert said(delivery).startswith(bound.project.slug)
    assert delivery.state == "done"


def test_a_deleted_branch_builds_nothing(bound: Bound) -> None:
    git("push", "--quiet", "origin", "HEAD:refs/heads/topic", cwd=bound.clone)
    deliver(bound.forge, "generic", letters.ours({"repository": bound.url}))
    work()
    count = len(built(bound.project))
    sha = bound.head
    git("push", "--quiet", "origin", ":refs/heads/topic", cwd=bound.clone)
    bound.told(sha, "0" * 40, ref="refs/heads/topic", deleted=True)
    work()
    assert len(built(bound.project)) == count
    assert BranchTip.objects.get(project=bound.project, ref="refs/heads/topic").sha == "0" * 40


def test_all_projects_of_the_repository_hear_of_it(bound: Bound) -> None:
    twin = world.project(owner=world.ops("twin"), slug="twin", starter="", repository=bound.url, connection=bound.forge)
    delivery = bound.told(*bound.push("one"))
    work()
    assert len(built(twin)) == len(built(bound.project)) == 1
    assert "twin" in said(delivery)
    assert bound.project.slug in said(delivery)


# -- in words ---------------------------------------------------------------------------------------------------------
def test_a_ping_is_answered_and_shown(forge: Connection) -> None:
    delivery = deliver(forge, "github", letters.github({"zen": "x"}, event="ping"))
    work()
    assert said(delivery) == "A greeting: the webhook is set up as it should be."


def test_events_that_build_nothing_and_strange_repositories_are_told_as_such(forge: Connection) -> None:
    other = deliver(forge, "gitlab", letters.gitlab({"object_kind": "issue"}))
    strange = deliver(forge, "gitlab", letters.gitlab(letters.gitlab_push(), ident="2"))
    work()
    assert said(other) == "There is nothing to build in this event."
    assert said(strange) == "No project here uses this repository with this connection."


def test_what_cannot_be_read_fails_with_the_reason_and_is_kept(forge: Connection) -> None:
    delivery = deliver(forge, "github", letters.github(b"{half"))
    work()
    assert said(delivery).startswith("It could not be read: it is not JSON")
    assert delivery.state == "failed"
    assert pretty(delivery) == "{half"


def test_a_broken_stored_body_fails_as_well(forge: Connection) -> None:
    delivery = deliver(forge, "github", letters.github({}))
    HookDelivery.objects.update(body=b"no deflate")
    work()
    assert "could not be read" in said(delivery)
    assert "cannot be unpacked" in pretty(delivery)


def test_a_server_that_is_away_is_tried_again_and_holds_up_nobody_else(bound: Bound, remote: Server) -> None:
    before, after = bound.push("one")
    other = Connection.objects.create(name="other", kind="git")
    Project.objects.filter(pk=bound.project.pk).update(repository="http://127.0.0.1:9/git/x.git")
    body = {"repository": "http://127.0.0.1:9/git/x.git", "ref": "main", "before": before, "after": after}
    waits = [deliver(bound.forge, "generic", letters.ours([body] * count)) for count in (1, 2)]
    goes_on = deliver(other, "github", letters.github({}, event="ping"))
    begun = timezone.now()
    work()
    assert "greeting" in said(goes_on)
    for one in waits:
        one.refresh_from_db()
        assert one.state == "new"
        assert one.next_at > begun, "it was due before"
    assert said(waits[0])  # what ails it, for whoever looks
    Project.objects.filter(pk=bound.project.pk).update(repository=bound.url)
    HookDelivery.objects.update(next_at=Now())
    work()
    HookDelivery.objects.filter(state="new").update(next_at=Now())
    work()
    assert {one.state for one in HookDelivery.objects.all()} == {"done"}


def test_patience_with_a_server_that_stays_away_ends(bound: Bound) -> None:
    Project.objects.filter(pk=bound.project.pk).update(repository="http://127.0.0.1:9/git/x.git")
    delivery = deliver(bound.forge, "generic", letters.ours({"repository": "http://127.0.0.1:9/git/x.git"}))
    HookDelivery.objects.update(received_at=timezone.now() - timedelta(hours=2))
    work()
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_deliveries_of_a_connection_are_worked_on_by_one_worker_at_a_time(forge: Connection) -> None:
    other = Connection.objects.create(name="other", kind="git")
    first, second = (deliver(forge, "github", letters.github({}, ident=name)) for name in "ab")
    free = deliver(other, "github", letters.github({}))
    runs.claim(HookDelivery, first.pk)
    mine = HookEngine().mine(runs.due(HookDelivery)).values_list("pk", flat=True)
    assert set(mine) == {free.pk}
    assert not engines.drive(HookEngine(), second.pk)


# -- ops --------------------------------------------------------------------------------------------------------------
def test_a_replay_works_once_more_and_changes_nothing_that_is_known(bound: Bound) -> None:
    ops = world.ops()
    delivery = bound.told(*bound.push("one"))
    work()
    actions.replay(actor=ops, delivery=delivery)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.replays) == ("new", 1)
    work()
    assert len(built(bound.project)) == 1
    assert "Nothing new" in said(delivery)
    assert AuditEntry.objects.get(verb="hook.replay").actor == "olga"


def test_a_delivery_that_failed_is_replayed_when_its_reason_is_gone(bound: Bound) -> None:
    before, after = bound.push("one")
    Project.objects.filter(pk=bound.project.pk).update(archived=True)
    delivery = bound.told(before, after)
    work()
    assert "No project" in said(delivery)
    Project.objects.filter(pk=bound.project.pk).update(archived=False)
    actions.replay(actor=world.ops(), delivery=delivery)
    work()
    assert built(bound.project) == [after]


def test_only_ops_replay_and_only_what_has_ended(forge: Connection) -> None:
    delivery = deliver(forge, "github", letters.github({}, event="ping"))
    with pytest.raises(Denied):
        actions.replay(actor=world.person("ann"), delivery=delivery)
    with pytest.raises(Conflict):
        actions.replay(actor=world.ops(), delivery=delivery)
    delivery.refresh_from_db()
    assert delivery.replays == 0


def test_deliveries_are_forgotten_after_their_days(forge: Connection, settings: Any) -> None:
    old = [deliver(forge, "github", letters.github({}, ident=str(number))).pk for number in range(5)]
    kept = deliver(forge, "github", letters.github({}, ident="kept"))
    HookDelivery.objects.filter(pk__in=old).update(received_at=timezone.now() - timedelta(days=8))
    assert retention.forget_old() == 5
    assert list(HookDelivery.objects.values_list("pk", flat=True)) == [kept.pk]
    settings.HOOK_KEEP_DAYS = 0
    assert retention.forget_old() == 1
    assert retention.forget_old() == 0


def test_the_ops_screen_shows_a_delivery_without_its_secrets_and_replays_it(forge: Connection) -> None:
    client = Client()
    client.force_login(world.ops())
    body = letters.gitea_push(token="t0ps3cret", zen="<script>alert(1)</script>")
    delivery = deliver(forge, "gitea", letters.gitea(body))
    work()
    page = client.get(f"/admin/projects/hookdelivery/{delivery.pk}/change/").content.decode()
    assert "told in the body by old versions" not in page
    assert "t0ps3cret" not in page
    assert "<script>alert" not in page
    assert "refs/heads/develop" in page
    assert "No project here uses this repository" in page
    assert "No project here uses this repository" in client.get("/admin/projects/hookdelivery/").content.decode()
    answer = client.post(f"/admin/projects/hookdelivery/{delivery.pk}/replay/", follow=True)
    assert "Queued again" in answer.content.decode()
    delivery.refresh_from_db()
    assert delivery.replays == 1
    again = client.post(f"/admin/projects/hookdelivery/{delivery.pk}/replay/", follow=True)
    assert "being worked on already" in again.content.decode()


def test_the_page_of_a_connection_says_where_to_send_and_what_came(forge: Connection) -> None:
    client = Client()
    client.force_login(world.ops())
    page = client.get(f"/admin/common/connection/{forge.pk}/change/").content.decode()
    for kind in ("github", "gitlab", "gitea", "generic"):
        assert f"/hooks/{kind}/forge/" in page
    assert SECRET not in page
    assert "no webhook secret" not in page
    assert "Nothing was delivered" in page
    deliver(forge, "github", letters.github({}, event="ping"))
    bare = Connection.objects.create(name="bare", kind="gerrit", secrets={"webhook_secret": "a\nb"})
    assert len(webhooks_of(forge)["deliveries"]) == 1
    assert webhooks_of(bare)["secrets"] == 2
    Connection.objects.filter(pk=bare.pk).update(secrets={})
    assert "no webhook secret" in client.get(f"/admin/common/connection/{bare.pk}/change/").content.decode()


# -- Gerrit -----------------------------------------------------------------------------------------------------------
def test_gerrits_events_reach_all_projects_by_the_name_on_the_server(forge: Connection) -> None:
    review = Connection.objects.create(name="review", kind="gerrit", secrets={"webhook_secret": SECRET})
    made = [
        Project.objects.create(
            slug=slug,
            name=slug,
            source_kind="gerrit",
            source_connection=review,
            repository=repository,
            tips_taken_at=timezone.now(),
        )
        for slug, repository in (("a", "demo/app"), ("b", "demo/app"), ("c", "demo/other"))
    ]
    Project.objects.create(slug="d", name="d", source_connection=forge, repository="demo/app")
    for project in made:
        BranchTip.objects.create(project=project, ref="refs/heads/master", sha=letters.OLD)
    lines = b"\n".join([letters.gerrit_line(), letters.gerrit_line(), b'{"type":"topic-changed"}'])
    delivery = deliver(review, "gerrit", letters.basic(lines))
    half = deliver(review, "gerrit", letters.ours(letters.gerrit_line(project="demo/other") + b'\n{"type"'))
    for one in (delivery, half):
        engines.drive(HookEngine(), one.pk)
    assert said(delivery) == "a, b: New: 2."
    assert said(half).startswith("It could not be read: line 2 of 2")  # and yet the first line was heard
    topics = InboxItem.objects.values_list("topic", flat=True)
    assert set(topics) == {f"projects/{project.pk}" for project in made}
    assert len(topics) == 3
