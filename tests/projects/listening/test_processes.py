"""Real watch processes, really killed: somebody always listens, and what nobody heard is found."""

from __future__ import annotations

import signal
import sqlite3

import pytest
from django.db import connection as database

from fangduoduo_release.common.models import Beat, Connection, InboxItem, Lease
from projects.listener.hub import LEASE_S, Hub
from projects.models import Project
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

from .ground import STARTING_S, State, Watches, lapse, make_project, pushed, row, wait_listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a hang, also where processes start slowly


def test_who_died_is_followed_by_another_within_15_s() -> None:
    assert LEASE_S + Hub.tick_s + Hub.step_s < 15


def test_of_two_watches_one_listens_and_the_other_takes_over_after_its_death(
    gerrit_rig: Rig, connection: Connection, app: Project, watches: Watches
) -> None:
    first = watches.start()
    owner = wait_listening(connection, STARTING_S).owner
    second = watches.start()
    until(lambda: Beat.objects.filter(name__contains=f":{second.pid}:").exists(), STARTING_S, what="the second watch")
    assert f":{first.pid}:" in owner
    heard = gerrit_rig.gerrit.push("team/app")
    until(lambda: pushed(app) == [heard])
    assert len(gerrit_rig.gerrit.stream.listeners) == 1
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    missed = gerrit_rig.gerrit.push("team/app")
    lapse(connection)
    until(lambda: (at := row(connection)) and f":{second.pid}:" in at.owner and at.state == State.LISTENING)
    until(lambda: pushed(app) == [heard, missed])


def test_a_watch_killed_while_fifty_pushes_happen_misses_none(
    gerrit_rig: Rig, connection: Connection, app: Project, watches: Watches
) -> None:
    watch = watches.start()
    wait_listening(connection, STARTING_S)
    shas = [gerrit_rig.gerrit.push("team/app") for _ in range(10)]
    watch.send_signal(signal.SIGKILL)
    watch.wait(60)
    shas += [gerrit_rig.gerrit.push("team/app") for _ in range(50)]
    lapse(connection)
    watches.start()
    until(lambda: len(pushed(app)) >= 60, STARTING_S)
    assert sorted(pushed(app)) == sorted(shas)


def test_a_clean_stop_ends_by_itself_and_gives_the_listening_back(
    gerrit_rig: Rig, connection: Connection, app: Project, watches: Watches
) -> None:
    watch = watches.start()
    wait_listening(connection, STARTING_S)
    watch.send_signal(signal.SIGTERM)
    assert watch.wait(60) == 0
    given_back = Lease.objects.filter(name="listener:gerrit", owner="", until=None)
    assert given_back.exists(), "nobody has to wait for it to run out"
    watches.start()
    until(
        lambda: (at := row(connection)) and f":{watch.pid}:" not in at.owner and at.state == State.LISTENING,
        STARTING_S,
    )
    assert "Traceback" not in watches.log()


def test_what_is_heard_while_the_database_is_busy_is_kept_and_stored_afterwards(
    gerrit_rig: Rig, connection: Connection, app: Project, watches: Watches
) -> None:
    if database.vendor != "sqlite":
        pytest.skip("a lock on the whole database is SQLite's")
    watches.start(SQLITE_TIMEOUT_S="1")
    wait_listening(connection, STARTING_S)
    gerrit = gerrit_rig.gerrit
    lock = sqlite3.connect(database.settings_dict["NAME"], isolation_level=None, timeout=60)
    lock.execute("BEGIN IMMEDIATE")
    shas = [gerrit.push("team/app") for _ in range(20)]
    until(lambda: "waits for the database" in watches.log())
    assert gerrit.stream.listeners, "it goes on listening"
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: pushed(app) == shas)
    assert {item.payload["via"] for item in InboxItem.objects.filter(kind="push")} == {"stream"}


def test_many_projects_are_compared_after_a_restart(
    gerrit_rig: Rig, connection: Connection, app: Project, watches: Watches
) -> None:
    others = [make_project(gerrit_rig, connection, f"team/p{number}", slug=f"p{number}") for number in range(12)]
    shas = {project.pk: gerrit_rig.gerrit.push(project.repository) for project in others}
    watches.start()
    wanted = {pk: [sha] for pk, sha in shas.items()}
    until(lambda: {project.pk: pushed(project)[:1] for project in others} == wanted, STARTING_S)
