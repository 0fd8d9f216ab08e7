"""A cluster that nobody follows is told: to ops on their pages and by a message an outage, and in the numbers."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clusters import informing, observed
from clusters.models import Cluster, ClusterFeed, ClusterObject
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications.models import Channel, Delivery
from tests import world

from .ground import State, connect

pytestmark = pytest.mark.django_db
AWAY = S("The API server does not answer.").as_json()


def long_ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def cluster() -> Cluster:
    """One that was made a while ago."""
    made = connect("http://127.0.0.1:9")
    Cluster.objects.update(created_at=long_ago(900))
    Connection.objects.update(changed_at=long_ago(900))
    return Cluster.objects.get(pk=made.pk)


def feeds(cluster: Cluster, resource: str = "", **facts: Any) -> None:
    """Every feed as it should be, and one (or all) as the facts say."""
    fine = {
        "state": State.LIVE,
        "seen_at": timezone.now(),
        "synced_at": long_ago(60),
        "down_since": None,
        "trouble": None,
    }
    for key in (*observed.NEEDED, "nodes"):
        values = {**fine, **(facts if resource in {"", key} else {})}
        ClusterFeed.objects.update_or_create(cluster=cluster, resource=key, defaults=values)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


class TestAlarms:
    def test_a_cluster_that_is_followed_is_in_order(self, cluster: Cluster) -> None:
        feeds(cluster)
        assert observed.alarms() == []
        assert observed.trouble_of(cluster) is None

    def test_one_resource_that_is_down_for_a_while_is_told_with_the_reason_and_since_when(
        self, cluster: Cluster
    ) -> None:
        since = long_ago(100)
        feeds(cluster, "events", state=State.DOWN, down_since=since, trouble=AWAY)
        (alarm,) = observed.alarms()
        assert (alarm.cluster, alarm.since, str(alarm.sentence)) == (cluster, since, "The API server does not answer.")

    def test_one_that_is_down_for_a_moment_is_not(self, cluster: Cluster) -> None:
        feeds(cluster, state=State.DOWN, down_since=long_ago(1), trouble=AWAY)
        assert observed.alarms() == []
        assert str(observed.trouble_of(cluster)) == "The API server does not answer."

    def test_nodes_that_may_not_be_seen_alarm_nobody(self, cluster: Cluster) -> None:
        feeds(cluster, "nodes", state=State.DOWN, down_since=long_ago(1000), trouble=AWAY, seen_at=None)
        assert observed.alarms() == []

    def test_rows_that_nobody_has_kept_alive_are_told_whatever_was_said_last(self, cluster: Cluster) -> None:
        seen = long_ago(90)
        feeds(cluster, seen_at=seen)
        (alarm,) = observed.alarms()
        assert "the watch is not running" in str(alarm.sentence)
        assert alarm.since == seen

    def test_a_cluster_that_was_never_followed_is_told_after_a_minute(self, cluster: Cluster) -> None:
        (alarm,) = observed.alarms()
        assert "is not followed" in str(alarm.sentence)
        Connection.objects.update(changed_at=long_ago(1))
        assert observed.alarms() == [], "its connection was just changed"

    def test_other_kinds_of_clusters_are_not_followed(self, cluster: Cluster) -> None:
        cluster.delete()
        local = world.machine().cluster
        Cluster.objects.update(created_at=long_ago(900))
        assert observed.alarms() == []
        assert observed.trouble_of(local) is None


def seconds(age: float | None) -> float:
    assert age is not None
    return age


class TestAges:
    def test_the_age_of_a_cluster_is_that_of_its_oldest_resource(self, cluster: Cluster) -> None:
        feeds(cluster, "services", seen_at=long_ago(2000))
        assert 2000 <= seconds(observed.ages([cluster])[cluster.pk]) < 3000
        assert seconds(observed.age_of(cluster, ["pods"])) < 1000

    def test_what_was_never_read_has_no_age(self, cluster: Cluster) -> None:
        feeds(cluster, "pods", synced_at=None)
        assert observed.ages([cluster]) == {cluster.pk: None}
        assert observed.age_of(cluster, ["pods"]) is None
        assert seconds(observed.age_of(cluster, ["services"])) < 1000


class TestPages:
    def test_ops_see_it_on_their_pages_with_the_reason(self, cluster: Cluster) -> None:
        feeds(cluster, state=State.DOWN, down_since=long_ago(100), trouble=AWAY)
        ops = signed_in(world.ops())
        start = ops.get(reverse("admin:index")).content.decode()
        assert "data-unfollowed" in start
        assert "The API server does not answer." in start
        page = ops.get(reverse("admin:clusters_cluster_change", args=[cluster.pk])).content.decode()
        assert "The API server does not answer." in page
        assert "deployments.apps" in page
        assert cluster.connection is not None
        behind = ops.get(reverse("admin:common_connection_change", args=[cluster.connection.pk])).content.decode()
        assert "The API server does not answer." in behind
        assert "1 cluster is not followed" in ops.get("/").content.decode()

    def test_nothing_is_said_while_all_is_well(self, cluster: Cluster) -> None:
        feeds(cluster)
        ops = signed_in(world.ops())
        assert "data-unfollowed" not in ops.get(reverse("admin:index")).content.decode()
        assert "not followed" not in ops.get("/").content.decode()
        assert "✓" in ops.get(reverse("admin:clusters_cluster_change", args=[cluster.pk])).content.decode()

    def test_others_are_not_bothered_with_it(self, cluster: Cluster) -> None:
        assert "not followed" not in signed_in(world.person()).get("/").content.decode()

    def test_the_table_of_feeds_shows_trouble_and_hides_no_number(self, cluster: Cluster) -> None:
        feeds(cluster, "pods", state=State.DOWN, trouble=AWAY, drift=3, objects_count=4711)
        text = signed_in(world.ops()).get(reverse("admin:clusters_clusterfeed_changelist")).content.decode()
        assert "The API server does not answer." in text
        assert "4711" in text.replace(",", "")

    def test_the_numbers_name_no_cluster(self, cluster: Cluster) -> None:
        began = time.monotonic()
        feeds(cluster, "pods", objects_count=7, drift=2, lag_ms=55, state=State.DOWN, down_since=long_ago(99))
        text = Client().get("/metrics").content.decode()
        took = time.monotonic() - began
        assert "fdd_clusters_unfollowed 1\n" in text
        assert f'fdd_cluster_objects{{cluster="{cluster.pk}"}} 7\n' in text
        assert f'fdd_cluster_drift{{cluster="{cluster.pk}"}} 2\n' in text
        assert f'fdd_cluster_lag_ms{{cluster="{cluster.pk}"}} 55\n' in text
        age = re.search(rf'fdd_cluster_age_seconds{{cluster="{cluster.pk}"}} ([0-9.]+)\n', text)
        assert age is not None
        assert 0 <= float(age[1]) <= took + 0.1
        assert cluster.name not in text


@pytest.fixture
def channel() -> Channel:
    events = ["cluster.down", "cluster.back"]
    return Channel.objects.create(name="ops room", kind="webhook", config={"url": "http://127.0.0.1:9/"}, events=events)


def told() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("event", flat=True))


class TestMessages:
    def test_ops_are_told_once_of_an_outage_and_once_that_it_is_over(self, cluster: Cluster, channel: Channel) -> None:
        feeds(cluster, state=State.DOWN, down_since=long_ago(61), trouble=AWAY)
        assert informing.tell_ops() == 0
        feeds(cluster, state=State.DOWN, down_since=long_ago(130), trouble=AWAY)
        assert [informing.tell_ops() for _ in range(3)] == [1, 0, 0]
        assert told() == ["cluster.down"]
        params = Delivery.objects.get().sentence["params"]
        assert (params["name"], params["minutes"]) == ("k8s", 2)
        assert "does not answer" in params["reason"]
        feeds(cluster)
        assert [informing.tell_ops() for _ in range(3)] == [1, 0, 0]
        feeds(cluster, state=State.DOWN, down_since=long_ago(130), trouble=AWAY)
        informing.tell_ops()
        assert told() == ["cluster.down", "cluster.back", "cluster.down"]

    def test_ops_are_told_of_a_cluster_nobody_ever_followed(self, cluster: Cluster, channel: Channel) -> None:
        assert [informing.tell_ops() for _ in range(2)] == [1, 0]


def test_what_has_been_gone_for_long_and_old_events_are_forgotten(cluster: Cluster) -> None:
    def row(name: str, resource: str, seconds: float, gone: bool) -> None:
        ClusterObject.objects.create(
            cluster=cluster, resource=resource, namespace="shop", name=name, uid=name, resource_version="1", seq=1,
            gone=gone, body=b"", changed_at=long_ago(seconds),
        )  # fmt: skip

    row("here", "pods", 90_000, gone=False)
    row("just gone", "pods", 301, gone=True)
    row("long gone", "pods", 400, gone=True)
    row("new event", "events", 3000, gone=False)
    row("old event", "events", 3700, gone=False)
    assert informing.tidy() == 2
    assert set(ClusterObject.objects.values_list("name", flat=True)) == {"here", "just gone", "new event"}
