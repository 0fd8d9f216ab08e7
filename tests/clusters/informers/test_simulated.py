"""The simulated cluster, followed: a rollout, accounts that may see little, and a stream that is cut all the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.models import Cluster, ClusterObject
from fangduoduo_release.common.models import Connection
from tests.simulators.kubernetes_rig import ADMIN, Rig, Rule
from tests.waiting import until

from .ground import Hubs, State, feed, machine, there, wait_feed, wait_live

pytestmark = pytest.mark.slow


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as rig:
        rig.namespace("shop")
        yield rig


def connect(rig: Rig, user: str = ADMIN) -> Cluster:
    secrets = {"kubeconfig": rig.kubeconfig(user)}
    connection = Connection.objects.create(name="sim", kind="kubernetes", secrets=secrets)
    return Cluster.objects.create(name="sim", kind="kubernetes", connection=connection)


def versions(rig: Rig, kind: str, namespace: str = "shop") -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in rig.all(kind, namespace)}


def test_what_is_stored_is_what_is_there_while_much_changes_and_the_watch_is_cut(rig: Rig, hubs: Hubs) -> None:
    rig.fill("shop", 5, 20)
    cluster = connect(rig)
    with rig.faults.cut_watches(0.5):  # those that begin from now on
        hubs.start()
        wait_live(cluster)
        assert len(there(cluster)) == 100
        rig.churn(50, 4)
        until(lambda: feed(cluster).reconnects > 2, what="several cuts")  # type: ignore[union-attr]
    for kind, key in (("deployments", "deployments.apps"), ("replicasets", "replicasets.apps"), ("pods", "pods")):
        until(lambda: there(cluster, key) == versions(rig, kind), what=key)  # noqa: B023 - called at once
    found = feed(cluster)
    assert found is not None
    assert found.drift == 0
    pod = ClusterObject.objects.filter(cluster=cluster, resource="pods", gone=False).first()
    assert pod is not None
    assert ClusterObject.objects.get(cluster=cluster, uid=pod.about_uid).resource == "replicasets.apps"


def test_an_etcd_that_was_compacted_while_we_were_away_costs_a_list_and_nothing_else(rig: Rig, hubs: Hubs) -> None:
    rig.fill("shop", 1, 5)
    cluster = connect(rig)
    hubs.start()
    wait_live(cluster)
    rig.faults.go_away()
    wait_feed(cluster, state=State.DOWN)
    rig.faults.come_back()
    gone = next(iter(versions(rig, "pods")))
    rig.delete("pods", "shop", gone)
    rig.faults.compact()
    until(lambda: there(cluster) == versions(rig, "pods"))
    wait_live(cluster)
    assert feed(cluster).drift == 0


def test_an_account_that_sees_one_namespace_follows_that_one(rig: Rig, hubs: Hubs) -> None:
    rig.namespace("secret")
    rig.fill("shop", 1, 3)
    rig.fill("secret", 1, 3)
    rig.user("narrow", Rule(namespaces=("shop",)))
    cluster = connect(rig, "narrow")
    machine(cluster, "shop")
    hubs.start()
    wait_live(cluster)
    assert there(cluster) == versions(rig, "pods")
    assert "nodes is forbidden" in str(wait_feed(cluster, "nodes", state=State.DOWN).trouble)
