"""What is known of clusters without asking them: rows of objects, and how old that knowledge is."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from clusters.drivers.runtime.kubernetes.names import FOLLOWED, NODES, PODS
from clusters.drivers.runtime.kubernetes.seen import newer, pack, unpack
from clusters.kubernetes import KIND
from clusters.models import Cluster, ClusterFeed, ClusterObject
from fangduoduo_release.common.sentence import S, Sentence

__all__ = [
    "ALARM_S", "FRESH_S", "Alarm", "Sight", "age", "age_of", "ages", "alarms", "has_seen", "of_service", "pack", "rows_of",
    "trouble_of", "unfollowed", "unpack", "wait_for",
]  # fmt: skip
ALARM_S = 60.0
STALE_S = 30.0  # not seen alive for so long, it is not followed, whatever was said last
NEEDED = tuple(one.key for one in FOLLOWED if one is not NODES)  # many accounts may not see nodes, and need not
SHORTEST_POLL_S, LONGEST_POLL_S = 0.02, 0.2
FRESH_S = 10.0  # older than that, whoever must be sure asks the server


@dataclass(frozen=True, slots=True)
class Sight:
    """Objects as they were last seen, and since when nobody has looked: `age_s` is None when nobody ever has."""

    objects: tuple[dict[str, Any], ...]
    age_s: float | None

    @property
    def fresh(self) -> bool:
        return self.age_s is not None and self.age_s <= FRESH_S


@dataclass(frozen=True, slots=True)
class Alarm:
    """A cluster that nobody follows, or whose server is not reached."""

    cluster: Cluster
    since: datetime
    sentence: Sentence


def age_of(cluster: Cluster | int, resources: Iterable[str]) -> float | None:
    """Seconds since the rows of all these resources were known to be current; None when one of them never was."""
    pk = cluster if isinstance(cluster, int) else cluster.pk
    seen = seen_at([pk], resources)[pk]
    return None if seen is None else age(seen)


def seen_at(clusters: Iterable[int], resources: Iterable[str]) -> dict[int, datetime | None]:
    """When the rows of all these resources were last known to be current, for each cluster, by one question."""
    keys, wanted = set(resources), list(clusters)
    feeds = ClusterFeed.objects.filter(cluster__in=wanted, resource__in=keys).exclude(synced_at=None)
    found: dict[int, list[datetime]] = {pk: [] for pk in wanted}
    for pk, at in feeds.values_list("cluster_id", "seen_at"):
        if at is not None:
            found[pk].append(at)
    return {pk: min(seen) if seen and len(seen) == len(keys) else None for pk, seen in found.items()}


def age(then: datetime) -> float:
    return max(0.0, (timezone.now() - then).total_seconds())


def of_service(cluster: Cluster | int, key: str, resources: Iterable[str]) -> Sight:
    """Everything labelled with the service's key, of these resources, and the events about it."""
    keys = list(resources)
    pk = cluster if isinstance(cluster, int) else cluster.pk
    known = age_of(pk, keys)  # before the rows are read: they are at least so new
    found = rows_of(pk, key, keys)
    if "events" in keys and found:
        uids = [str(item["metadata"].get("uid", "")) for item in found]
        events = ClusterObject.objects.filter(cluster=pk, resource="events", about_uid__in=uids, gone=False)
        found += [unpack(body) for body in events.values_list("body", flat=True)]
    return Sight(tuple(found), known)


def rows_of(cluster: int, key: str, resources: Iterable[str]) -> list[dict[str, Any]]:
    """The same without events, for whom the age of what is known does not matter."""
    rows = ClusterObject.objects.filter(cluster=cluster, service_key=key, gone=False, resource__in=list(resources))
    return [unpack(body) for body in rows.values_list("body", flat=True)]


def ages(clusters: Iterable[Cluster]) -> dict[int, float | None]:
    """How old the oldest of what deployments need is, by the clusters' keys; None where something was never seen."""
    wanted = {cluster.pk for cluster in clusters}
    seen: dict[int, list[datetime]] = {pk: [] for pk in wanted}
    feeds = ClusterFeed.objects.filter(cluster__in=wanted, resource__in=NEEDED).exclude(synced_at=None)
    for pk, at in feeds.values_list("cluster_id", "seen_at"):
        seen[pk] += [at] if at is not None else []
    return {pk: age(min(at)) if len(at) == len(NEEDED) else None for pk, at in seen.items()}


def wait_for(
    cluster: Cluster | int, resource: str, namespace: str, name: str, resource_version: str, timeout_s: float = 2.0
) -> bool:
    """Whether what was just written at this version is to be read here, waiting for it a while. Not in a transaction."""
    pk = cluster if isinstance(cluster, int) else cluster.pk
    until = time.monotonic() + timeout_s
    pause = SHORTEST_POLL_S
    while not has_seen(pk, resource, namespace, name, resource_version):
        if time.monotonic() + pause > until:
            return False
        time.sleep(pause)
        pause = min(LONGEST_POLL_S, pause * 1.5)
    return True


def has_seen(cluster: int, resource: str, namespace: str, name: str, resource_version: str) -> bool:
    """Whether the object's row, or everything of its kind, is at least as new as this version."""
    rows = ClusterObject.objects.filter(cluster=cluster, resource=resource, namespace=namespace, name=name)
    feeds = ClusterFeed.objects.filter(cluster=cluster, resource=resource)
    found = [*rows.values_list("resource_version", flat=True), *feeds.values_list("resource_version", flat=True)]
    return any(one == resource_version or newer(one, resource_version) for one in found)


def unfollowed(seconds: float) -> QuerySet[Cluster]:
    """Clusters that have not been followed for so long; one that was just made or connected is given time."""
    then = timezone.now() - timedelta(seconds=seconds)
    stale = timezone.now() - timedelta(seconds=max(seconds, STALE_S))
    feeds = ClusterFeed.objects.filter(cluster=OuterRef("pk"), resource__in=NEEDED)
    lost = feeds.filter(Q(seen_at=None, down_since=None) | Q(seen_at__lt=stale) | Q(down_since__lt=then))
    found = Cluster.objects.filter(Exists(lost) | ~Exists(feeds.filter(resource=PODS.key)), kind=KIND)
    return found.filter(Q(connection=None) | Q(connection__changed_at__lt=then), created_at__lt=then)


def alarms(seconds: float = ALARM_S) -> list[Alarm]:
    """Clusters that have not been followed for so long, longest first."""
    found = []
    for cluster in unfollowed(seconds).select_related("connection").defer("connection__secrets"):
        sentence, since = _trouble(cluster) or (_unfollowed(cluster), cluster.created_at)
        found.append(Alarm(cluster, since, sentence))
    return sorted(found, key=lambda alarm: alarm.since)


def trouble_of(cluster: Cluster) -> Sentence | None:
    """What ails the following of this cluster, or None."""
    told = _trouble(cluster) if cluster.kind == KIND else None
    return told[0] if told else None


def _trouble(cluster: Cluster) -> tuple[Sentence, datetime] | None:
    """What ails it and since when."""
    if cluster.connection is None:
        return S("The cluster “%(name)s” has no connection to a Kubernetes.", name=cluster.name), cluster.created_at
    began = max(cluster.created_at, cluster.connection.changed_at)
    feeds = [feed for feed in cluster.feeds.all() if feed.resource in NEEDED]
    seen = [feed.seen_at or feed.down_since or began for feed in feeds]
    said = [feed for feed in feeds if feed.trouble]
    if said:
        return Sentence.from_json(said[0].trouble or {}), min(feed.down_since or began for feed in said)
    if len(feeds) < len(NEEDED) or age(min(seen)) > STALE_S:
        return _unfollowed(cluster), min(seen, default=began)
    return None


def _unfollowed(cluster: Cluster) -> Sentence:
    return S(
        "The cluster “%(name)s” is not followed: the watch is not running, or has not read it yet.", name=cluster.name
    )
