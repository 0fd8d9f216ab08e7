"""Real watch processes, really killed: somebody always follows, and what happened meanwhile is seen."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection as database
from django.utils import timezone

from clusters.informers.hub import LEASE_S, LEFT_S, Hub
from clusters.models import Cluster
from fangduoduo_release.common.models import Beat, Lease
from tests.projects.listening.ground import Watches
from tests.waiting import until

from .ground import State, feed, there, wait_feed, wait_live
from .raw import RawServer, pod

pytestmark = pytest.mark.slow
PROCESS_S = 240.0  # in which a process begins or another takes over, on any machine


@pytest.fixture
def watches(transactional_db: None, tmp_path: Path) -> Iterator[Watches]:
    with Watches(tmp_path, group="clusters") as watches:
        yield watches


def owner(cluster: Cluster) -> str:
    return str(Lease.objects.filter(name=f"informer:{cluster.name}").values_list("owner", flat=True).first() or "")


def test_of_two_watches_one_follows_and_the_other_takes_over_within_15_s_of_its_death(
    server: RawServer, cluster: Cluster, watches: Watches
) -> None:
    server.put(pod("web", 0))
    pair = [watches.start()]
    wait_live(cluster, PROCESS_S)
    pair.append(watches.start())
    until(
        lambda: Beat.objects.filter(name__contains=f":{pair[1].pid}:").exists(),
        timeout=PROCESS_S,
        what="the second watch",
    )
    first, second = sorted(pair, key=lambda one: f":{one.pid}:" not in owner(cluster))
    first.send_signal(signal.SIGKILL)
    first.wait(PROCESS_S)
    server.put(pod("missed", 0))
    server.remove("web")
    until(lambda: set(there(cluster)) == {"missed"}, PROCESS_S)
    assert f":{second.pid}:" in owner(cluster)
    wait_live(cluster, PROCESS_S)
    assert LEASE_S + LEFT_S + Hub.tick_s <= 15, "its lease runs out, it is left to others, and the next look takes it"


def test_killed_again_and_again_while_much_changes_it_misses_nothing(
    server: RawServer, cluster: Cluster, watches: Watches
) -> None:
    for round_ in range(3):
        watch = watches.start()
        until(lambda: f":{watch.pid}:" in owner(cluster), PROCESS_S)  # noqa: B023 - called at once
        for number in range(200):
            server.put(pod(f"p{(round_ * 37 + number) % 90}", 0, status={"n": number}))
            if number % 5 == 0:
                server.remove(f"p{(round_ * 37 + number) % 90}")
        watch.send_signal(signal.SIGKILL)
        watch.wait(PROCESS_S)
        Lease.objects.update(until=timezone.now() - timedelta(seconds=1))  # time passes, and its leases run out
    watches.start()
    until(lambda: there(cluster) == server.versions(), PROCESS_S)
    wait_live(cluster, PROCESS_S)
    found = feed(cluster)
    assert found is not None
    assert (found.objects_count, found.drift) == (len(server.versions()), 0)


def test_a_clean_stop_gives_the_cluster_back_at_once(server: RawServer, cluster: Cluster, watches: Watches) -> None:
    watch = watches.start()
    wait_live(cluster, PROCESS_S)
    watch.send_signal(signal.SIGTERM)
    assert watch.wait(PROCESS_S) == 0
    assert owner(cluster) == ""
    assert "Traceback" not in watches.log()


def test_what_happens_while_the_database_is_busy_is_kept_and_stored_afterwards(
    server: RawServer, cluster: Cluster, watches: Watches
) -> None:
    if database.vendor != "sqlite":
        pytest.skip("a lock on the whole database is SQLite's")
    watches.start(SQLITE_TIMEOUT_S="1")
    wait_live(cluster, PROCESS_S)
    lists = len(server.lists())
    lock = sqlite3.connect(database.settings_dict["NAME"], isolation_level=None, timeout=120)
    lock.execute("BEGIN IMMEDIATE")
    for number in range(300):
        server.put(pod(f"p{number % 20}", 0, status={"n": number}))
    until(lambda: "waits for the database" in watches.log(), PROCESS_S)
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: there(cluster) == server.versions(), PROCESS_S)
    wait_feed(cluster, state=State.LIVE)
    assert len(server.lists()) == lists, "nothing had to be listed again"
