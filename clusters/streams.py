"""From a cluster to what flows from it: followed logs and terminals. For web processes; others need no sockets in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import DatabaseError, InterfaceError

from clusters import observed
from clusters.drivers.runtime.base import ServiceRef
from clusters.drivers.runtime.kubernetes.flow import KubernetesStreams
from clusters.drivers.runtime.local.flow import LocalStreams
from clusters.drivers.runtime.streams import Start, Streams
from clusters.kubernetes import KIND, access_of
from clusters.models import Cluster
from clusters.runtimes import local_runtime
from fangduoduo_release.common.errors import Invalid, Unavailable
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.sockets.pool import DatabasePool

_pool = DatabasePool("pods", 2)
_kept: dict[int, tuple[Any, KubernetesStreams]] = {}


@lru_cache(maxsize=1)
def _local() -> LocalStreams:
    return LocalStreams(local_runtime())


def streams_of(cluster: Cluster) -> Streams:
    """What the cluster's kind streams. Uses the database. Raises Invalid (a kind without, a bad connection)."""
    if cluster.kind == KIND:
        return _kubernetes(cluster)
    if cluster.kind == "local":
        return _local()
    raise Invalid(S("Clusters of kind “%(kind)s” have no logs or terminals to follow.", kind=cluster.kind))


def seat_in(cluster: Cluster, service: ServiceRef, instance: str, container: str) -> tuple[str, Start]:
    """The container that is meant, and what starts programs there. Uses the database, so that nobody has to go there
    once more to open a terminal. Raises as `streams_of`, and NotFound for what is no instance of the service."""
    return streams_of(cluster).seat(pods_of(cluster.pk, service), instance, container)


def pods_of(cluster: int, service: ServiceRef) -> list[dict[str, Any]]:
    """The service's pods as they were last seen. Uses the database."""
    found = observed.rows_of(cluster, service.key, ["pods"])
    # The mark is only a label: whoever may write elsewhere in the cluster could set it on pods of their own.
    where = service.where
    return [one for one in found if not where or one["metadata"].get("namespace") == where]


def _kubernetes(cluster: Cluster) -> KubernetesStreams:
    """Kept while the connection stays as it is: reading a kubeconfig takes longer than all the rest of opening a terminal."""
    pk, connection = cluster.pk, cluster.connection
    told = (connection.config, connection.secrets) if connection is not None else None
    kept = _kept.get(pk)
    if kept is None or kept[0] != told:

        async def pods(service: ServiceRef) -> Sequence[Mapping[str, Any]]:
            try:
                return await _pool.run(pods_of, pk, service)
            except (DatabaseError, InterfaceError) as error:
                raise Unavailable(S("The portal's database does not answer.")) from error

        kept = _kept[pk] = (told, KubernetesStreams(access_of(cluster), pods))
    return kept[1]
