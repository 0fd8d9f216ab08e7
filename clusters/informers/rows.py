"""What is written of a cluster, in one transaction each, by whoever holds its lease and by nobody else."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from clusters.drivers.runtime.kubernetes.seen import Key, Seen
from clusters.drivers.runtime.kubernetes.sink import Known
from clusters.models import Cluster, ClusterFeed, ClusterObject
from fangduoduo_release.common.models import Lease

from .ledger import Batch

UNIQUE = ("cluster_id", "resource", "namespace", "name")
CHANGING = ("uid", "service_key", "about_uid", "resource_version", "seq", "gone", "body", "changed_at")


class Lost(Exception):
    """The cluster is another's by now, or there is no such cluster any more."""


@dataclass(slots=True)
class Hold:
    """By what right rows of a cluster are written. `fence` grows when the lease had run out and nobody else took it: by one,
    which may have happened already without being known here."""

    cluster: int
    lease: str
    owner: str
    fence: int

    def require(self) -> None:
        """Within a transaction: nobody can take the lease before it ends. Raises Lost."""
        mine = Lease.objects.filter(name=self.lease, owner=self.owner, fence__in=(self.fence, self.fence + 1))
        if not mine.select_for_update(no_key=True).values_list("pk", flat=True):
            raise Lost(self.lease)


def begin(hold: Hold, resources: Iterable[str]) -> dict[str, ClusterFeed]:
    """The rows of the feeds, made where they are missing. Raises Lost."""
    try:
        with transaction.atomic():
            hold.require()
            if not Cluster.objects.filter(pk=hold.cluster).exists():
                raise Lost(hold.lease)
            wanted = [ClusterFeed(cluster_id=hold.cluster, resource=key) for key in resources]
            ClusterFeed.objects.bulk_create(wanted, ignore_conflicts=True)
            return {row.resource: row for row in ClusterFeed.objects.filter(cluster=hold.cluster)}
    except IntegrityError as error:
        raise Lost(hold.lease) from error


def known(cluster: int, resource: str, namespace: str) -> dict[Key, Known]:
    """What is stored of a resource, in one namespace or ("") in all."""
    rows = ClusterObject.objects.filter(cluster=cluster, resource=resource)
    rows = rows.filter(namespace=namespace) if namespace else rows
    found = rows.values_list("namespace", "name", "uid", "resource_version", "gone")
    return {(row[0], row[1]): Known(row[2], row[3], row[4]) for row in found.iterator(chunk_size=2000)}


def services(cluster: int) -> dict[str, str]:
    """The uids of objects that belong to services, and whose they are."""
    rows = ClusterObject.objects.filter(cluster=cluster, gone=False).exclude(service_key="")
    return dict(rows.values_list("uid", "service_key"))


def store(hold: Hold, batch: Batch, beats: Mapping[str, datetime]) -> None:
    """Objects, their feeds, and when feeds were seen alive, all or nothing. Raises Lost."""
    try:
        with transaction.atomic():
            hold.require()
            _hold_feeds(hold.cluster)
            _store_objects(hold.cluster, batch)
            _store_feeds(hold.cluster, batch)
            _store_beats(hold.cluster, beats)
    except IntegrityError as error:  # the cluster was deleted meanwhile
        raise Lost(hold.lease) from error


def _hold_feeds(cluster: int) -> None:
    """First of all and all at once, as who deletes the cluster does: else each could wait for what the other has."""
    feeds = ClusterFeed.objects.filter(cluster=cluster).order_by().select_for_update(no_key=True)
    list(feeds.values_list("pk", flat=True))


def _store_objects(cluster: int, batch: Batch) -> None:
    if not batch.seen:
        return
    now, adapted = timezone.now(), connection.ops.adapt_datetimefield_value
    stamp = adapted(now)  # once: of most rows it is the same
    last = {told.resource: int(told.values["seq"]) for told in batch.feeds}
    sizes = Counter(one.resource for one in batch.seen)
    seqs = {key: last[key] - size for key, size in sizes.items()}
    rows = []
    for one in batch.seen:
        seqs[one.resource] += 1
        if one.body is None:
            _end(cluster, one, seqs[one.resource], now)
        else:
            at = (
                adapted(min(now, datetime.fromtimestamp(one.at, UTC))) if one.at is not None and not one.gone else stamp
            )
            rows.append(_row(cluster, one, seqs[one.resource], at))
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_upsert(), rows)


def _upsert() -> str:
    """By hand, because model instances cost four times as much, and a list of a large cluster has 10,000 of them."""
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, (*UNIQUE, *CHANGING)))
    marks = ", ".join(["%s"] * (len(UNIQUE) + len(CHANGING)))
    changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in CHANGING)
    unique = ", ".join(map(quote, UNIQUE))
    table = quote(ClusterObject._meta.db_table)
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({unique}) DO UPDATE SET {changes}"  # noqa: S608 - our own names


def _row(cluster: int, one: Seen, seq: int, changed_at: Any) -> tuple[Any, ...]:
    """In the order of UNIQUE and CHANGING."""
    return (
        cluster, one.resource, one.namespace, one.name,
        one.uid, one.service, one.about, one.version, seq, one.gone, one.body, changed_at,
    )  # fmt: skip


def _end(cluster: int, one: Seen, seq: int, now: datetime) -> None:
    """It was found gone; its last state stays for those who have not heard of it."""
    rows = ClusterObject.objects.filter(cluster=cluster, resource=one.resource, namespace=one.namespace, name=one.name)
    rows.filter(gone=False).update(gone=True, seq=seq, resource_version=one.version, changed_at=now)


def _store_feeds(cluster: int, batch: Batch) -> None:
    oldest: dict[str, float] = {}
    for one in batch.seen:
        oldest[one.resource] = min(one.read_at, oldest.get(one.resource, one.read_at))
    for told in batch.feeds:
        values = dict(told.values)
        values |= {name: F(name) + number for name, number in told.more.items()}
        if told.resource in oldest:
            values["lag_ms"] = int((time.monotonic() - oldest[told.resource]) * 1000)
        ClusterFeed.objects.filter(cluster=cluster, resource=told.resource).update(**values)


def _store_beats(cluster: int, beats: Mapping[str, datetime]) -> None:
    """Most are seen alive at nearly the same moment, and one statement does for them."""
    groups: dict[int, list[str]] = defaultdict(list)
    for resource, at in beats.items():
        groups[int(at.timestamp() // 3)].append(resource)
    for resources in groups.values():
        at = min(beats[resource] for resource in resources)
        ClusterFeed.objects.filter(cluster=cluster, resource__in=resources).update(seen_at=at)
