"""What tests of following stand on: rows of clusters, a hub in this process, and what is stored of it all."""

from __future__ import annotations

import threading
from typing import Any, Self

from clusters import observed
from clusters.drivers.runtime.kubernetes.pace import Pace
from clusters.informers.hub import Hub
from clusters.models import Cluster, ClusterFeed, ClusterObject, Machine
from fangduoduo_release.common.models import Connection
from tests.waiting import until

QUICK = Pace(first_pause=0.05, longest_pause=0.5, longest_after_cut=0.1, forbidden=0.5, between_lists=0.5)
State = ClusterFeed.State


def kubeconfig(url: str, token: str = "t0ken") -> str:
    return f"""
apiVersion: v1
kind: Config
current-context: it
contexts: [{{name: it, context: {{cluster: it, user: it}}}}]
clusters: [{{name: it, cluster: {{server: "{url}"}}}}]
users: [{{name: it, user: {{token: "{token}"}}}}]
"""


def connect(url: str, name: str = "k8s", token: str = "t0ken") -> Cluster:
    secrets = {"kubeconfig": kubeconfig(url, token)}
    connection = Connection.objects.create(name=name, kind="kubernetes", config={}, secrets=secrets)
    return Cluster.objects.create(name=name, kind="kubernetes", connection=connection)


def machine(cluster: Cluster, namespace: str) -> Machine:
    return Machine.objects.create(
        name=f"{cluster.name}-{namespace}", cluster=cluster, placement={"namespace": namespace}
    )  # fmt: skip


def feed(cluster: Cluster, resource: str = "pods") -> ClusterFeed | None:
    return ClusterFeed.objects.filter(cluster=cluster, resource=resource).first()


def wait_feed(cluster: Cluster, resource: str = "pods", timeout: float = 60, **facts: Any) -> ClusterFeed:
    """Until the feed has these values."""

    def right() -> ClusterFeed | None:
        found = feed(cluster, resource)
        return found if found and all(getattr(found, name) == value for name, value in facts.items()) else None

    try:
        return until(right, timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}; the row: {vars(feed(cluster, resource) or object)}") from None


def wait_live(cluster: Cluster, timeout: float = 60) -> None:
    """Until everything is followed."""
    for resource in observed.NEEDED:
        wait_feed(cluster, resource, timeout, state=State.LIVE)


def there(cluster: Cluster, resource: str = "pods") -> dict[str, str]:
    """The names and versions of what is stored as being there."""
    rows = ClusterObject.objects.filter(cluster=cluster, resource=resource, gone=False)
    return dict(rows.values_list("name", "resource_version"))


class Lasting(Hub):
    """Nobody renews it here: it lasts as long as the test."""

    grace_s = 3600.0


class Hubs:
    """Hubs in this process; gone at the end."""

    def __init__(self) -> None:
        self._hubs: list[tuple[Hub, threading.Event]] = []

    def start(self, pace: Pace = QUICK) -> Hub:
        lost = threading.Event()
        self._hubs.append((Lasting(lost, pace), lost))
        return self._hubs[-1][0]

    def stop(self, hub: Hub) -> None:
        for one, lost in self._hubs:
            if one is hub:
                lost.set()
                one.join(60)
                assert not one.alive

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hub, _lost in self._hubs:
            self.stop(hub)
