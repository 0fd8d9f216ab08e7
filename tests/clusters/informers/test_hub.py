"""Who follows which cluster: one process each, shared out, followed anew when the connection changes, nothing written without the lease."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters import observed
from clusters.drivers.runtime.kubernetes.names import EVENTS, NODES
from clusters.informers import follower, rows
from clusters.informers import hub as hubs_module
from clusters.informers.hub import Shares, lease_of
from clusters.informers.ledger import Batch
from clusters.models import Cluster, ClusterFeed, ClusterObject
from fangduoduo_release.common import leases
from fangduoduo_release.common.models import Connection, Lease
from tests.waiting import until

from .ground import QUICK, Hubs, State, connect, feed, kubeconfig, machine, there, wait_feed, wait_live
from .raw import RawServer, Request, pod


def forbid_everything_but(*namespaces: str):  # type: ignore[no-untyped-def]
    def forbidden(request: Request) -> bool:
        return not any(f"/namespaces/{one}/" in request.path for one in namespaces)

    return forbidden


class TestSeeingSomeNamespacesOnly:
    def test_the_namespaces_of_its_machines_are_followed_one_by_one(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        for namespace in ("shop-test", "shop-prod", "other"):
            server.put(pod(f"in-{namespace}", 0, namespace=namespace))
        server.forbidden = forbid_everything_but("shop-test", "shop-prod")
        machine(cluster, "shop-test")
        machine(cluster, "shop-prod")
        hubs.start()
        wait_live(cluster)
        assert set(there(cluster)) == {"in-shop-test", "in-shop-prod"}
        server.put(pod("new", 0, namespace="shop-prod"))
        until(lambda: "new" in there(cluster))
        nodes = wait_feed(cluster, "nodes", state=State.DOWN)
        assert "/api/v1/nodes is forbidden" in str(nodes.trouble)
        assert observed.trouble_of(cluster) is None, "nodes are not needed"

    def test_a_machine_that_is_added_brings_its_namespace(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        server.put(pod("web", 0, namespace="late"))
        server.forbidden = forbid_everything_but("late")
        hubs.start()
        row = wait_feed(cluster, state=State.DOWN)
        assert "forbidden" in str(row.trouble)
        machine(cluster, "late")
        wait_live(cluster)
        assert set(there(cluster)) == {"web"}

    def test_what_may_not_be_seen_any_more_is_not_kept_as_if_it_were_there(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        server.put(pod("mine", 0, namespace="shop"))
        server.put(pod("theirs", 0, namespace="other"))
        machine(cluster, "shop")
        hubs.start()
        wait_live(cluster)
        server.forbidden = forbid_everything_but("shop")
        server.cut()
        until(lambda: set(there(cluster)) == {"mine"})
        wait_live(cluster)

    def test_one_namespace_that_is_forbidden_is_told(self, server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
        server.put(pod("web", 0, namespace="shop"))
        server.forbidden = forbid_everything_but("shop")
        machine(cluster, "shop")
        machine(cluster, "secret")
        hubs.start()
        row = wait_feed(cluster, state=State.DOWN)
        assert "secret" in str(row.trouble)
        until(lambda: set(there(cluster)) == {"web"})


class TestConnections:
    def test_a_connection_that_is_changed_is_followed_anew(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        server.put(pod("here", 0))
        hubs.start()
        wait_live(cluster)
        with RawServer() as other:
            other.put(pod("there", 0))
            connection = Connection.objects.get(pk=cluster.connection_id)
            connection.secrets = {"kubeconfig": kubeconfig(other.url)}
            connection.save()
            until(lambda: set(there(cluster)) == {"there"})

    def test_a_rotated_token_of_the_connection_is_used(self, server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
        server.token = "t0ken"
        hubs.start()
        wait_live(cluster)
        server.token = "next"
        connection = Connection.objects.get(pk=cluster.connection_id)
        connection.secrets = {"kubeconfig": kubeconfig(server.url, "next")}
        connection.save()
        server.cut()
        server.put(pod("new", 0))
        until(lambda: set(there(cluster)) == {"new"})

    def test_a_kubeconfig_that_is_refused_is_said_on_every_feed(self, cluster: Cluster, hubs: Hubs) -> None:
        connection = Connection.objects.get(pk=cluster.connection_id)
        connection.secrets = {"kubeconfig": "nonsense"}
        connection.save()
        hubs.start()
        for resource in observed.NEEDED:
            row = wait_feed(cluster, resource, state=State.DOWN)
            assert "kubeconfig" in str(row.trouble)

    def test_a_cluster_that_is_deleted_is_dropped(self, server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
        server.put(pod("web", 0))
        hub = hubs.start()
        wait_live(cluster)
        cluster.delete()
        server.put(pod("web2", 0))
        until(lambda: hub.follows == 0)
        assert not ClusterObject.objects.exists()
        assert hub.alive

    def test_a_server_that_is_away_is_said_with_since_when_and_found_again(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        port = int(server.url.rpartition(":")[2])
        hubs.start()
        wait_live(cluster)
        server.__exit__()
        row = wait_feed(cluster, state=State.DOWN)
        assert row.down_since is not None
        assert str(row.trouble["msgid"]) == "The API server does not answer."
        with RawServer(port) as back:
            back.put(pod("back", 0))
            wait_live(cluster)
            assert feed(cluster).down_since is None
            until(lambda: set(there(cluster)) == {"back"})

    def test_a_server_that_says_nothing_any_more_is_noticed_though_its_watch_is_open(
        self, server: RawServer, cluster: Cluster, hubs: Hubs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "PING_S", 1.0)
        monkeypatch.setattr(follower, "SILENT_S", 3.0)
        hubs.start()
        wait_live(cluster)
        server.frozen = True
        row = wait_feed(cluster, state=State.DOWN)
        assert str(row.trouble["msgid"]) == "The API server does not answer."
        server.frozen = False
        wait_live(cluster)


class TestSharing:
    def test_clusters_are_shared_out_and_those_of_one_that_ends_are_taken(
        self, server: RawServer, hubs: Hubs, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hubs_module, "EVEN_OUT_S", 0.5)
        clusters = [connect(server.url, f"k{number}") for number in range(4)]
        first, second = hubs.start(), hubs.start()
        until(lambda: (first.follows, second.follows) == (2, 2))
        for cluster in clusters:
            wait_live(cluster)
        hubs.stop(first)
        until(lambda: second.follows == 4)

    def test_one_that_comes_later_is_given_its_share(
        self, server: RawServer, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hubs_module, "EVEN_OUT_S", 0.0)
        monkeypatch.setattr(hubs_module, "LEASE_S", 600.0)
        monkeypatch.setattr(hubs_module, "LEFT_S", 600.0)
        for number in range(4):
            connect(server.url, f"k{number}")
        first, second = Shares("first"), Shares("second")
        assert len(first.mine()) == 4
        assert second.mine() == []
        first.mine()
        for _ in range(2):
            name = first.even_out()
            assert name is not None
            first.let_go(name)
            first.mine()
            second.mine()
        assert (len(first.mine()), len(second.mine())) == (2, 2)
        assert first.even_out() is None

    def test_those_of_a_dead_one_are_taken_when_its_leases_run_out(
        self, server: RawServer, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hubs_module, "LEASE_S", 600.0)
        for number in range(3):
            connect(server.url, f"k{number}")
        dead, alive = Shares("dead"), Shares("alive")
        assert len(dead.mine()) == 3
        Lease.objects.filter(owner="dead").update(until=timezone.now() - timedelta(seconds=1))
        assert len(alive.mine()) == 3
        assert dead.mine() == [], "and it learns that they are another's"
        alive.leave()
        assert not Lease.objects.filter(name__startswith="informing:alive").exists()


class TestFencing:
    def test_a_lease_that_ran_out_is_ours_when_we_took_it_again_and_not_when_another_had_it(
        self, cluster: Cluster
    ) -> None:
        name = lease_of(cluster.name)
        fence = leases.hold(name, "first", 600)
        assert fence is not None
        hold = rows.Hold(cluster.pk, name, "first", fence)
        rows.begin(hold, ["pods"])
        run_out = timezone.now() - timedelta(seconds=1)
        Lease.objects.filter(name=name).update(until=run_out)
        assert leases.hold(name, "first", 600) == fence + 1
        rows.store(hold, Batch([], [], 0), {"pods": timezone.now()})  # who writes was not told of the new fence yet
        hold.fence += 1
        for owner in ("second", "first"):
            Lease.objects.filter(name=name).update(until=run_out)
            assert leases.hold(name, owner, 600) is not None
        with pytest.raises(rows.Lost):
            rows.store(hold, Batch([], [], 0), {"pods": timezone.now()})

    def test_who_lost_the_lease_writes_nothing_more(self, cluster: Cluster) -> None:
        name = lease_of(cluster.name)
        fence = leases.hold(name, "first")
        assert fence is not None
        hold = rows.Hold(cluster.pk, name, "first", fence)
        rows.begin(hold, ["pods"])
        Lease.objects.filter(name=name).update(until=timezone.now() - timedelta(seconds=1))
        rows.store(hold, Batch([], [], 0), {"pods": timezone.now()})  # run out, but nobody took it
        assert leases.hold(name, "second") is not None
        before = ClusterFeed.objects.get(cluster=cluster, resource="pods").seen_at
        with pytest.raises(rows.Lost):
            rows.store(hold, Batch([], [], 0), {"pods": timezone.now()})
        with pytest.raises(rows.Lost):
            rows.begin(hold, ["pods"])
        assert ClusterFeed.objects.get(cluster=cluster, resource="pods").seen_at == before

    def test_a_hub_whose_lease_was_taken_stops_writing_and_following(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        hub = hubs.start()
        wait_live(cluster)
        Lease.objects.filter(name=lease_of(cluster.name)).update(
            owner="another", fence=99, until=timezone.now() + timedelta(seconds=60)
        )
        server.put(pod("late", 0))
        until(lambda: hub.follows == 0)
        assert there(cluster) == {}

    def test_a_lease_that_ran_out_and_was_taken_by_nobody_is_gone_on_with(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        hubs.start()
        wait_live(cluster)
        lists = len(server.lists())
        fence = Lease.objects.get(name=lease_of(cluster.name)).fence
        Lease.objects.filter(name=lease_of(cluster.name)).update(until=timezone.now() - timedelta(seconds=9))
        until(lambda: Lease.objects.get(name=lease_of(cluster.name)).fence > fence)
        server.put(pod("late", 0))
        until(lambda: set(there(cluster)) == {"late"})
        assert len(server.lists()) == lists


class TestDrift:
    def test_a_watch_that_is_cut_all_the_time_misses_nothing(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        server.watch_s = 0.3
        server.put_many(pod(f"p{number}", 0) for number in range(50))
        over = threading.Event()

        def change() -> None:
            number = 0
            while not over.wait(0.01):
                number += 1
                server.put(pod(f"p{number % 70}", 0, status={"n": number}))
                if number % 7 == 0:
                    server.remove(f"p{number % 70}")
                if number % 150 == 0:
                    server.compact()

        changing = threading.Thread(target=change)
        changing.start()
        try:
            hubs.start(replace(QUICK, compare=1.0, settle=75.0))
            until(lambda: (row := feed(cluster)) and row.reconnects >= 12, timeout=240)
        finally:
            over.set()
            changing.join()
        server.watch_s = None
        until(lambda: there(cluster) == server.versions())
        row = feed(cluster)
        assert row is not None
        assert row.drift == 0
        assert row.objects_count == len(there(cluster))

    def test_rows_that_somebody_spoiled_are_found_and_mended(
        self, server: RawServer, cluster: Cluster, hubs: Hubs
    ) -> None:
        server.put_many(pod(f"p{number}", 0) for number in range(5))
        hubs.start(replace(QUICK, compare=0.5, settle=0.5))
        wait_live(cluster)
        ClusterObject.objects.filter(name="p1").update(gone=True)
        ClusterObject.objects.filter(name="p2").delete()
        until(lambda: feed(cluster).drift >= 2)
        until(lambda: set(there(cluster)) == {f"p{number}" for number in range(5)})


def test_nodes_and_events_that_are_many_do_not_keep_pods_waiting(
    server: RawServer, cluster: Cluster, hubs: Hubs
) -> None:
    server.put_many(
        ({"kind": "Event", "metadata": {"name": f"e{n}", "namespace": "shop"}} for n in range(3000)), EVENTS
    )
    server.put_many(({"kind": "Node", "metadata": {"name": f"n{n}"}} for n in range(50)), NODES)
    server.put(pod("web", 0))
    hubs.start()
    until(lambda: set(there(cluster)) == {"web"})
    wait_live(cluster)
    wait_feed(cluster, "nodes", state=State.LIVE)
    assert feed(cluster, "events").objects_count == 3000
