"""How well a cluster is followed is told by what is worst, as old as what is oldest, and never better than it is."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from clusters import numbers, standing
from clusters.drivers.runtime.kubernetes.names import NODES, PODS, SERVICES
from clusters.models import Cluster, ClusterFeed, Machine
from clusters.observed import NEEDED
from tests.clusters.gateway.rows import feed, put

pytestmark = pytest.mark.django_db
TROUBLE = {"text": "The server does not answer.", "values": {}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.objects.create(name="east", kind="kubernetes")


def seen(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def of(cluster: Cluster) -> standing.Following:
    return standing.following([cluster])[cluster.pk]


# -- in a word ----------------------------------------------------------------------------------------------------------


def test_this_host_is_looked_at_directly_whatever_rows_say() -> None:
    here = Cluster.objects.create(name="here", kind="local")
    Machine.objects.create(name="one", cluster=here, environment="test")
    feed(here, state="down")
    found = of(here)
    assert (found.state, found.machines, found.age_s, found.trouble) == ("direct", 1, None, None)


def test_one_that_nobody_has_begun_with_waits(cluster: Cluster) -> None:
    assert (of(cluster).state, of(cluster).age_s) == ("waiting", None)


def test_one_of_which_only_the_nodes_are_known_waits_still(cluster: Cluster) -> None:
    feed(cluster, NODES)
    assert of(cluster).state == "waiting"
    assert [one.resource for one in of(cluster).feeds] == ["nodes"]


@pytest.mark.parametrize(
    ("age", "synced", "state"), [(0, True, "live"), (30, True, "live"), (70, True, "old"), (0, False, "old")]
)
def test_what_is_called_live_is_seen_to_live(cluster: Cluster, age: float, synced: bool, state: str) -> None:
    feed(cluster, seen_at=seen(age), synced_at=seen(age) if synced else None)
    assert of(cluster).state == state


@pytest.mark.parametrize("worse", ["syncing", "down"])
def test_a_cluster_is_as_well_as_what_is_worst_of_it(cluster: Cluster, worse: str) -> None:
    feed(cluster, PODS)
    assert of(cluster).state == "live"
    feed(cluster, SERVICES, state=worse)
    assert of(cluster).state == worse


def test_the_words_stand_from_good_to_bad(cluster: Cluster) -> None:
    ages = {"live": ("live", 0), "syncing": ("syncing", 0), "old": ("live", 300), "down": ("down", 0)}
    for better, worse in pairwise(ages):
        for resource, word in ((PODS, better), (SERVICES, worse)):
            state, age = ages[word]
            feed(cluster, resource, state=state, seen_at=seen(age))
        assert of(cluster).state == worse


def test_an_account_that_may_not_see_nodes_can_still_deploy(cluster: Cluster) -> None:
    feed(cluster, PODS)
    feed(cluster, NODES, state="down", trouble=TROUBLE, synced_at=None)
    found = of(cluster)
    assert (found.state, found.trouble) == ("live", None)
    assert [one.trouble for one in found.feeds if one.resource == "nodes"] == [TROUBLE]


def test_what_ails_it_is_told_in_its_words(cluster: Cluster) -> None:
    feed(cluster, PODS)
    feed(cluster, SERVICES, state="down", trouble=TROUBLE)
    assert of(cluster).trouble == TROUBLE


@pytest.mark.parametrize("state", standing.STATES)
def test_a_cluster_is_never_drawn_as_a_service_that_is_down(state: str) -> None:
    drawn = {standing.look(state), standing.Following(state).look, standing.Feed("pods", state, None, None, 0).look}
    assert drawn == {"unreachable" if state == "down" else state}


# -- how old ------------------------------------------------------------------------------------------------------------


def test_it_is_as_old_as_what_was_seen_longest_ago(cluster: Cluster) -> None:
    feed(cluster, PODS, seen_at=seen(5))
    feed(cluster, SERVICES, seen_at=seen(40))
    feed(cluster, NODES, seen_at=seen(4000))
    assert 40 <= (of(cluster).age_s or 0) < 4000


def test_no_age_is_told_where_something_was_never_read_to_its_end(cluster: Cluster) -> None:
    feed(cluster, PODS)
    feed(cluster, SERVICES, synced_at=None, state="syncing")
    assert of(cluster).age_s is None


def test_a_clock_that_was_set_back_makes_nothing_younger_than_now(cluster: Cluster) -> None:
    feed(cluster, PODS, seen_at=seen(-500))
    assert of(cluster).age_s == 0


def test_many_clusters_cost_two_questions_and_are_not_mixed_up(django_assert_num_queries: Any) -> None:
    clusters = [Cluster.objects.create(name=f"c{number}", kind="kubernetes") for number in range(5)]
    for number, one in enumerate(clusters):
        feed(one, PODS, state="down" if number == 3 else "live")
        for name in range(number):
            Machine.objects.create(
                name=f"m{number}-{name}", cluster=one, environment="test", placement={"namespace": f"n{name}"}
            )
    with django_assert_num_queries(2):
        found = standing.following(clusters)
    assert [found[one.pk].machines for one in clusters] == [0, 1, 2, 3, 4]
    assert [found[one.pk].state for one in clusters] == ["live", "live", "live", "down", "live"]


# -- nodes --------------------------------------------------------------------------------------------------------------


def node(name: str, **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **parts}


def test_a_node_is_told_with_what_it_holds(cluster: Cluster) -> None:
    put(
        cluster,
        node(
            "b", spec={"unschedulable": True},
            status={
                "allocatable": {"cpu": "3920m", "memory": "2Gi", "pods": "110"}, "capacity": {"cpu": "4", "memory": "4Gi"},
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "nodeInfo": {"kubeletVersion": "v1.33.1", "operatingSystem": "linux", "architecture": "arm64"},
            },
        ),
        node("a", status={"capacity": {"cpu": "4", "memory": "512Mi"}, "conditions": [{"type": "Ready", "status": "Unknown"}]}),
        resource=NODES,
    )  # fmt: skip
    put(cluster, node("c"), resource=NODES, gone=True)
    assert standing.nodes_of(cluster) == [
        standing.Node("a", False, False, "4", 512 * 2**20, "", "", ""),
        standing.Node("b", True, True, "3.92", 2 * 2**30, "110", "v1.33.1", "linux/arm64"),
    ]


@pytest.mark.parametrize(
    "parts", [{}, {"status": None, "spec": None}, {"status": {"conditions": None, "nodeInfo": None}}], ids=str
)
def test_a_node_that_says_nothing_is_one_that_is_not_ready(cluster: Cluster, parts: dict[str, Any]) -> None:
    put(cluster, node("a", **parts), resource=NODES)
    assert standing.nodes_of(cluster) == [standing.Node("a", False, False, "", None, "", "", "")]


@pytest.mark.parametrize(
    ("cpu", "cores"),
    [("4", "4"), ("3920m", "3.92"), ("500m", "0.5"), ("0.1", "0.1"), ("9m", "0.009"), ("many", "many"), ("", "")],
)
def test_cores_are_told_as_a_number_or_as_they_are_written(cluster: Cluster, cpu: str, cores: str) -> None:
    put(cluster, node("a", status={"allocatable": {"cpu": cpu}}), resource=NODES)
    (found,) = standing.nodes_of(cluster)
    assert found.cpu == cores


# -- for monitoring -----------------------------------------------------------------------------------------------------


def told() -> dict[str, str]:
    """The numbers by their names; comments are looked at on their own."""
    found = [line.rpartition(" ") for line in numbers.lines() if not line.startswith("#")]
    assert len({name for name, _, _ in found}) == len(found), "no number is told twice"
    return {name: value for name, _, value in found}


def test_without_a_cluster_only_that_none_is_unfollowed_is_told() -> None:
    Cluster.objects.create(name="here", kind="local")
    assert told() == {"fdd_clusters_unfollowed": "0"}
    assert not [line for line in numbers.lines() if "fdd_cluster_" in line], "no headings without numbers"


def test_the_numbers_of_a_cluster_are_sums_over_what_is_followed(cluster: Cluster) -> None:
    for number, resource in enumerate((PODS, SERVICES), 1):
        feed(
            cluster,
            resource,
            objects_count=10 * number,
            relists=number,
            reconnects=2 * number,
            drift=number,
            lag_ms=7 * number,
        )
    mine = f'{{cluster="{cluster.pk}"}}'
    found = told()
    sums = {name: found[f"fdd_cluster_{name}{mine}"] for name in numbers.SUMS}
    assert sums == {"objects": "30", "relists": "3", "reconnects": "6", "drift": "3", "lag_ms": "14"}


def test_how_late_nodes_come_in_concerns_nobody(cluster: Cluster) -> None:
    feed(cluster, PODS, lag_ms=5)
    feed(cluster, NODES, lag_ms=90_000)
    assert told()[f'fdd_cluster_lag_ms{{cluster="{cluster.pk}"}}'] == "5"


def test_an_age_is_told_only_once_everything_that_is_needed_was_read(cluster: Cluster) -> None:
    name = f'fdd_cluster_age_seconds{{cluster="{cluster.pk}"}}'
    for key in NEEDED[:-1]:
        ClusterFeed.objects.create(cluster=cluster, resource=key, state="live", seen_at=seen(3), synced_at=seen(3000))
    assert name not in told()
    ClusterFeed.objects.create(
        cluster=cluster, resource=NEEDED[-1], state="live", seen_at=seen(20), synced_at=seen(3000)
    )
    assert 20 <= float(told()[name]) < 3000


def test_one_that_nobody_follows_is_counted_and_named_to_nobody(cluster: Cluster) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(created_at=seen(600))
    assert told()["fdd_clusters_unfollowed"] == "1"
    assert cluster.name not in "\n".join(numbers.lines())


def test_every_number_is_announced_with_its_type_before_it_is_told(cluster: Cluster) -> None:
    for key in NEEDED:
        ClusterFeed.objects.create(cluster=cluster, resource=key, state="live", seen_at=seen(1), synced_at=seen(1))
    announced: dict[str, str] = {}
    for line in numbers.lines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            announced[name] = kind
        elif not line.startswith("#"):
            assert line.partition(" ")[0].partition("{")[0] in announced
    assert set(announced.values()) <= {"gauge", "counter"}
