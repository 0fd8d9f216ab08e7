"""From an API server to rows: everything that is there, what changes and what goes, and who is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from clusters import observed
from clusters.drivers.runtime.kubernetes.names import DEPLOYMENTS, EVENTS, NODES, SERVICE
from clusters.models import Cluster, ClusterFeed, ClusterObject
from tests.waiting import until

from .ground import Hubs, State, feed, there, wait_feed, wait_live
from .raw import RawServer, pod

SHOP = "0f3e9c62-5f5e-4d51-9a58-0c53e5dcb001"
MINE = {"metadata": {"labels": {SERVICE: SHOP}}}


def flat(heard: Iterable[set[str]]) -> set[str]:
    return set().union(*heard)


def test_what_is_there_what_changes_and_what_goes_become_rows(server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
    began = time.monotonic()
    server.put_many(pod(f"p{number}", 0) for number in range(3))
    hubs.start()
    wait_live(cluster)
    assert set(there(cluster)) == {"p0", "p1", "p2"}
    changed = server.put(pod("p1", 0, status={"phase": "Running"}))
    until(lambda: there(cluster)["p1"] == changed["metadata"]["resourceVersion"])
    server.put(pod("p3", 0))
    server.remove("p0")
    until(lambda: set(there(cluster)) == {"p1", "p2", "p3"})
    gone = ClusterObject.objects.get(cluster=cluster, name="p0")
    assert (gone.gone, gone.resource_version) == (True, str(server.version))
    row = ClusterObject.objects.get(cluster=cluster, name="p1")
    assert observed.unpack(row.body)["status"] == {"phase": "Running"}
    told = feed(cluster)
    assert told
    assert (told.objects_count, told.drift) == (3, 0)
    assert 0 <= told.lag_ms <= (time.monotonic() - began) * 1000
    assert ClusterObject.objects.filter(cluster=cluster).latest("seq").seq == told.seq


def test_the_services_whose_objects_changed_are_told_after_they_are_stored(
    server: RawServer, cluster: Cluster, hubs: Hubs, heard: list[set[str]]
) -> None:
    server.put(pod("other", 0))
    server.put(pod("web", 0, **MINE))
    hubs.start()
    until(lambda: SHOP in flat(heard))
    wait_live(cluster)
    heard.clear()
    server.put(pod("other", 0, status={"phase": "Failed"}))
    until(lambda: there(cluster)["other"] == str(server.version))
    assert flat(heard) == set()
    server.put(
        {"kind": "Event", "metadata": {"name": "e1", "namespace": "shop"}, "involvedObject": {"uid": "uid-web"}}, EVENTS
    )
    until(lambda: flat(heard) == {SHOP})
    found = observed.of_service(cluster, SHOP, ["pods", "events"])
    assert {item["kind"] for item in found.objects} == {"Pod", "Event"}
    until(lambda: observed.of_service(cluster, SHOP, ["pods", "events"]).fresh)


def test_a_service_hears_of_an_object_that_goes(
    server: RawServer, cluster: Cluster, hubs: Hubs, heard: list[set[str]]
) -> None:
    server.put({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web", "namespace": "shop", **MINE["metadata"]}}, DEPLOYMENTS)  # fmt: skip
    hubs.start()
    wait_live(cluster)
    until(lambda: SHOP in flat(heard))
    heard.clear()
    server.remove("web", resource=DEPLOYMENTS)
    until(lambda: SHOP in flat(heard))
    assert there(cluster, DEPLOYMENTS.key) == {}


def test_managed_fields_and_the_images_of_nodes_are_not_kept(server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
    server.put(pod("web", 0, metadata={"managedFields": [{"manager": "x"}]}))
    server.put(
        {"kind": "Node", "metadata": {"name": "n1"}, "status": {"images": [{"names": ["a"]}], "phase": "x"}}, NODES
    )
    hubs.start()
    wait_live(cluster)
    node = until(lambda: ClusterObject.objects.filter(cluster=cluster, resource="nodes").first())
    assert observed.unpack(node.body)["status"] == {"phase": "x"}
    web = observed.unpack(ClusterObject.objects.get(name="web").body)
    assert "managedFields" not in web["metadata"]
    assert (web["kind"], web["apiVersion"]) == ("Pod", "v1")


def test_events_of_the_last_hour_are_kept_and_no_others(server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
    now = timezone.now()
    for name, minutes in (("new", 5), ("old", 75)):
        at = (now - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
        server.put({"kind": "Event", "metadata": {"name": name, "namespace": "shop"}, "lastTimestamp": at}, EVENTS)
    hubs.start()
    wait_live(cluster)
    assert set(there(cluster, "events")) == {"new"}
    assert abs((ClusterObject.objects.get(name="new").changed_at - now).total_seconds() + 300) < 2


def test_the_age_is_that_of_the_last_sign_of_life(server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
    hubs.start()
    wait_live(cluster)
    until(lambda: observed.age_of(cluster, ["pods"]) is not None)
    first = feed(cluster).seen_at
    until(lambda: feed(cluster).seen_at > first)
    server.silent = True
    server.cut()
    until(lambda: (observed.age_of(cluster, ["pods"]) or 0) > 4.5)
    server.silent = False
    until(lambda: (observed.age_of(cluster, ["pods"]) or 9) < 4)


def test_an_empty_cluster_is_followed_too(server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
    hubs.start()
    wait_live(cluster)
    row = wait_feed(cluster, objects_count=0, state=State.LIVE)
    assert row.resource_version
    assert row.synced_at
    assert row.trouble is None
    assert ClusterFeed.objects.filter(cluster=cluster).count() == 6


def test_a_write_waits_until_it_is_to_be_read(server: RawServer, cluster: Cluster, hubs: Hubs) -> None:
    hubs.start()
    wait_live(cluster)
    version = server.put(pod("web", 0))["metadata"]["resourceVersion"]
    assert observed.wait_for(cluster, "pods", "shop", "web", version, 60)
    assert there(cluster)["web"] == version
    began = time.monotonic()
    assert not observed.wait_for(cluster, "pods", "shop", "web", str(server.version + 1000), 0.3)
    assert time.monotonic() - began < 30, "it will never be there"
    server.remove("web")
    assert observed.wait_for(cluster, "pods", "shop", "web", str(server.version), 60)
    assert there(cluster) == {}
