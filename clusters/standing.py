"""How well clusters are followed: the informers' rows in a word, an age and what troubles them. Asks no server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from clusters.models import Cluster, ClusterFeed, ClusterObject, Machine
from clusters.observed import age, unpack
from clusters.placing import CONNECTED

# From good to bad. direct: on this host, looked at directly. waiting: nobody has begun. old: was followed a while ago.
STATES = ("direct", "live", "waiting", "syncing", "old", "down")
OLD_S = 60.0  # a watch is alive at least every some seconds; without a watch process nothing is
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|m)?\Z")
_UNITS = {
    "": 1,
    "m": 0.001,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
OPTIONAL = frozenset({"nodes"})  # an account that may not see nodes can still deploy


def look(state: str) -> str:
    """The state as pages draw it: “down” is a service's."""
    return "unreachable" if state == "down" else state


@dataclass(frozen=True, slots=True)
class Feed:
    """One resource of a cluster, as it is followed."""

    resource: str
    state: str
    seen_at: datetime | None  # when what is known was current; None: it never was
    trouble: Any
    count: int

    @property
    def look(self) -> str:
        return look(self.state)


@dataclass(frozen=True, slots=True)
class Following:
    """A cluster. `seen_at`: of what was looked at longest ago; `trouble`: a stored sentence."""

    state: str
    seen_at: datetime | None = None
    machines: int = 0
    feeds: tuple[Feed, ...] = ()

    @property
    def look(self) -> str:
        return look(self.state)

    @property
    def age_s(self) -> float | None:
        return None if self.seen_at is None else age(self.seen_at)

    @property
    def trouble(self) -> Any:
        return next((one.trouble for one in self.feeds if one.trouble and one.resource not in OPTIONAL), None)


def following(clusters: Iterable[Cluster]) -> dict[int, Following]:
    """By cluster, in two queries."""
    asked = list(clusters)
    counted = Machine.objects.filter(cluster__in=asked).order_by().values_list("cluster").annotate(Count("pk"))
    machines: dict[int, int] = dict(counted)
    feeds: dict[int, list[Feed]] = {}
    for row in ClusterFeed.objects.filter(cluster__in=asked).order_by("resource"):
        feeds.setdefault(row.cluster_id, []).append(_feed(row))
    return {one.pk: _summed(one, tuple(feeds.get(one.pk, ())), machines.get(one.pk, 0)) for one in asked}


def _feed(row: ClusterFeed) -> Feed:
    known = row.seen_at if row.synced_at is not None else None
    state = "old" if row.state == ClusterFeed.State.LIVE and (known is None or age(known) > OLD_S) else row.state
    return Feed(row.resource, state, known, row.trouble, row.objects_count)


def _summed(cluster: Cluster, feeds: tuple[Feed, ...], machines: int) -> Following:
    if cluster.kind not in CONNECTED:
        return Following("direct", machines=machines)
    weighty = [one for one in feeds if one.resource not in OPTIONAL]
    if not weighty:
        return Following("waiting", machines=machines, feeds=feeds)
    state = max((one.state for one in weighty), key=STATES.index)
    known = [one.seen_at for one in weighty if one.seen_at is not None]
    return Following(state, min(known) if len(known) == len(weighty) else None, machines, feeds)


@dataclass(frozen=True, slots=True)
class Node:
    """A node, and what it can hold in all."""

    name: str
    ready: bool
    closed: bool  # takes no new pods
    cpu: str
    memory: int | None  # bytes
    pods: str
    version: str
    platform: str


def nodes_of(cluster: Cluster) -> list[Node]:
    """The nodes as they were last seen."""
    rows = ClusterObject.objects.filter(cluster=cluster, resource="nodes", gone=False).order_by("name")
    return [_node(unpack(body)) for body in rows.values_list("body", flat=True)]


def _node(item: dict[str, Any]) -> Node:
    status, spec = item.get("status") or {}, item.get("spec") or {}
    holds, info = status.get("allocatable") or status.get("capacity") or {}, status.get("nodeInfo") or {}
    conditions = {one.get("type"): one.get("status") for one in status.get("conditions") or []}
    return Node(
        name=str((item.get("metadata") or {}).get("name") or ""),
        ready=conditions.get("Ready") == "True",
        closed=bool(spec.get("unschedulable")),
        cpu=_cores(str(holds.get("cpu") or "")),
        memory=_bytes(str(holds.get("memory") or "")),
        pods=str(holds.get("pods") or ""),
        version=str(info.get("kubeletVersion") or ""),
        platform=f"{info.get('operatingSystem') or ''}/{info.get('architecture') or ''}".strip("/"),
    )


def _bytes(text: str) -> int | None:
    found = _QUANTITY.match(text)
    return int(float(found[1]) * _UNITS[found[2] or ""]) if found else None


def _cores(text: str) -> str:
    """“3920m” as “3.92”."""
    found = _QUANTITY.match(text)
    return f"{float(found[1]) * _UNITS[found[2] or '']:g}" if found else text
