"""Every push on a server that is listened to becomes one inbox item: heard at once, or found when nobody heard it."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from fangduoduo_release.common.models import Connection, InboxItem
from projects.models import Project
from tests.simulators.gerrit.events import batch_ref_updated, ref_updated
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

from .ground import Hubs, State, make_project, pushed, row, wait_listening, wait_row


def test_a_push_is_heard_at_once_and_taken_once(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    begun = time.time()
    sha = gerrit_rig.gerrit.push("team/app")
    until(lambda: pushed(app) == [sha], what="the inbox item")
    (item,) = InboxItem.objects.filter(kind="push")
    assert item.payload["via"] == "stream"
    assert begun <= item.payload["heard_at"] <= time.time()
    assert item.payload["actor"] == "admin"


def test_all_projects_on_one_repository_hear_of_it(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    other = make_project(gerrit_rig, connection, "team/app", slug="second")
    hubs.start()
    wait_listening(connection)
    sha = gerrit_rig.gerrit.push("team/app")
    until(lambda: pushed(app) == [sha] == pushed(other))


def test_events_told_twice_or_out_of_order_or_in_a_batch_are_taken_once(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit = gerrit_rig.gerrit
    gerrit.stream.twice(3)
    shas = [gerrit.push("team/app") for _ in range(3)]
    until(lambda: pushed(app) == shas)
    gerrit.batch = True
    gerrit.stream.hold()
    late = [gerrit.push("team/app") for _ in range(4)]
    gerrit.stream.release()
    until(lambda: sorted(pushed(app)[3:]) == sorted(late))
    sha = gerrit.push("team/app")
    until(lambda: pushed(app)[-1] == sha)
    assert len(pushed(app)) == 8


def test_branches_tags_and_deletions_are_heard_and_the_rest_is_not(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit = gerrit_rig.gerrit
    branch = gerrit.push("team/app", "release/1")
    tag = gerrit.tag("team/app", "v1", message="One")
    gerrit.delete_branch("team/app", "release/1")
    gerrit.upload("team/app")
    forced = gerrit.force_push("team/app")
    until(lambda: len(pushed(app)) == 4)
    assert sorted(pushed(app)) == sorted([branch, tag, "0" * 40, forced])  # of one ref in order, among refs in any
    (change,) = InboxItem.objects.filter(kind="change")
    assert (change.payload["number"], change.payload["patch_set"]) == (1, 1)


def test_a_push_between_two_connections_is_found_by_comparison(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit_rig.gerrit.faults.restart()
    wait_row(connection, state=State.DOWN)
    shas = [gerrit_rig.gerrit.push("team/app") for _ in range(3)]
    change = gerrit_rig.gerrit.upload("team/app")
    gerrit_rig.gerrit.faults.come_back()
    until(lambda: pushed(app) == shas)
    until(lambda: InboxItem.objects.filter(kind="change", payload__number=change.number).exists())
    assert {item.payload["via"] for item in InboxItem.objects.all()} == {"compare"}
    found = row(connection)
    assert found is not None
    assert found.reconnects == 1


def test_a_drop_in_the_middle_of_a_line_loses_nothing_and_takes_nothing_twice(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit = gerrit_rig.gerrit
    shas = [gerrit.push("team/app")]
    until(lambda: pushed(app) == shas)
    line = json.dumps({"type": "ref-updated", "refUpdate": {"project": "team/app"}}).encode()
    gerrit.stream.hold()
    shas.append(gerrit.push("team/app"))
    gerrit.stream.line(line[:20])
    gerrit.stream.forget()
    gerrit.daemon.loop.call_soon_threadsafe(gerrit.daemon.connections[0].abort)  # after the line, in the same loop
    until(lambda: pushed(app) == shas)
    shas.append(gerrit.push("team/app"))
    until(lambda: pushed(app) == shas)


@pytest.mark.parametrize("fault", ["garbage", "huge_event", "lose_output"])
def test_what_cannot_be_taken_is_counted_told_and_made_up_for(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs, fault: str
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit = gerrit_rig.gerrit
    gerrit.stream.hold()
    sha = gerrit.push("team/app")
    gerrit.stream.forget()
    if fault == "lose_output":
        gerrit_rig.emit({"type": "dropped-output", "eventCreatedOn": int(time.time())})
    else:
        getattr(gerrit.faults, fault)()
    until(lambda: pushed(app) == [sha], what="what was missed")
    found = until(lambda: (at := row(connection)) and at.unreadable == 1 and at)
    assert found.state == State.LISTENING
    assert found.trouble["msgid"]
    assert found.reconnects == 0
    after = gerrit.push("team/app")
    until(lambda: pushed(app) == [sha, after])


def test_an_event_that_lies_changes_nothing(gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs) -> None:
    """A forged old side is late by nature: the repository itself is asked."""
    hubs.start()
    wait_listening(connection)
    gerrit_rig.emit(ref_updated("team/app", ("refs/heads/master", "1" * 40, "2" * 40), gerrit_rig.account))
    gerrit_rig.emit(batch_ref_updated("team/other", [("refs/heads/master", "1" * 40, "2" * 40)], gerrit_rig.account))
    sha = gerrit_rig.gerrit.push("team/app")
    until(lambda: sha in pushed(app))
    tip = app.tips.get(ref="refs/heads/master")
    assert tip.sha == sha


def test_fifty_pushes_while_nobody_listens_are_fifty_items_and_none_twice(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hub = hubs.start()
    wait_listening(connection)
    hubs.stop(hub)
    shas = [gerrit_rig.gerrit.push("team/app") for _ in range(50)]
    assert pushed(app) == []
    hubs.start()
    until(lambda: len(pushed(app)) >= 50, 60)
    assert pushed(app) == shas


def test_a_flood_of_one_project_does_not_keep_another_waiting(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    quiet = make_project(gerrit_rig, connection, "team/quiet", slug="quiet")
    gerrit = gerrit_rig.gerrit
    hubs.start()
    wait_listening(connection)
    before = app.tips.get(ref="refs/heads/master").sha
    moves = [f"{number:040x}" for number in range(1, 501)]
    for old, new in zip([before, *moves], moves, strict=False):
        gerrit_rig.emit({**ref_updated("team/app", ("refs/heads/master", old, new), gerrit_rig.account)})
    sha = gerrit.push("team/quiet")
    until(lambda: pushed(quiet) == [sha])
    (item,) = InboxItem.objects.filter(topic=f"projects/{quiet.pk}")
    assert item.next_at <= timezone.now(), "its turn is at once"
    until(lambda: len(pushed(app)) >= 500)
    last = InboxItem.objects.filter(topic=f"projects/{app.pk}").latest("next_at")
    assert last.next_at >= last.received_at + timedelta(seconds=40), "the flood stands back"
