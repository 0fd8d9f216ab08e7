"""What is known of clusters without asking them: rows of objects, and how old that knowledge is."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.utils import timezone

from clusters.models import Cluster, ClusterFeed, ClusterObject

LEVEL = 1
FRESH_S = 10.0  # older than that, whoever must be sure asks the server


@dataclass(frozen=True, slots=True)
class Sight:
    """Objects as they were last seen, and since when nobody has looked: `age_s` is None when nobody ever has."""

    objects: tuple[dict[str, Any], ...]
    age_s: float | None

    @property
    def fresh(self) -> bool:
        return self.age_s is not None and self.age_s <= FRESH_S


def pack(item: dict[str, Any]) -> bytes:
    """An object as rows hold it. Without managedFields, which are half of it and which nobody reads here."""
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return zlib.compress(orjson.dumps(item), LEVEL)


def unpack(body: bytes | memoryview) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(zlib.decompress(body))
    return found


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
    rows = ClusterObject.objects.filter(cluster=pk, service_key=key, gone=False)
    found = [unpack(body) for body in rows.filter(resource__in=keys).values_list("body", flat=True)]
    if "events" in keys and found:
        uids = [str(item["metadata"].get("uid", "")) for item in found]
        events = ClusterObject.objects.filter(cluster=pk, resource="events", about_uid__in=uids, gone=False)
        found += [unpack(body) for body in events.values_list("body", flat=True)]
    return Sight(tuple(found), known)
