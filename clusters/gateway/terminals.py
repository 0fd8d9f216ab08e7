"""Who may open a terminal in a pod through the gateway, and that it is written down; the socket itself is somebody else's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusters.drivers.runtime.kubernetes.names import PODS, PROJECT
from clusters.drivers.runtime.streams import SHELL
from clusters.gateway import kinds, paths, reach, recording
from clusters.gateway.statuses import absent
from clusters.models import Cluster, ClusterObject
from clusters.observed import unpack
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import S

PATH = re.compile(
    r"/ws/clusters/(?P<cluster>[^/]{1,60})/k8s/(?P<path>api/v1/namespaces/[a-z0-9-]{1,63}/pods/[a-z0-9.-]{1,253}/exec)/?\Z"
)


@dataclass(frozen=True, slots=True)
class Seat:
    """The pod in which somebody may work."""

    cluster: Cluster
    namespace: str
    pod: str


def seat(actor: Any, cluster: str, path: str) -> Seat:
    """The pod of that path. Ask again while the terminal is open. Raises Refused (404), Denied."""
    row = reach.cluster_named(cluster)
    place = reach.place(actor, row, paths.namespace_in(path))
    target = paths.parse(path)
    rows = ClusterObject.objects.filter(
        cluster=row, resource=PODS.key, namespace=target.namespace, name=target.name, gone=False
    )
    body = rows.values_list("body", flat=True).first()
    if body is None:
        raise absent(PODS.plural, target.name)
    project = str(((unpack(body).get("metadata") or {}).get("labels") or {}).get(PROJECT) or "")
    if not place.everything and (not place.deploys or (project and project not in place.deploys)):
        raise Denied(
            S("A terminal in “%(pod)s” takes a role that may deploy its project there.", pod=target.name),
            rule="gateway_write",
        )
    return Seat(row, target.namespace, target.name)


def opened(actor: Any, it: Seat, container: str, argv: Sequence[str] = SHELL) -> None:
    """Write down that it is about to be opened. Raises chain.Broken: then it is not to be."""
    target = paths.parse(f"api/v1/namespaces/{it.namespace}/pods/{it.pod}")
    facts = {"container": container, "command": " ".join(argv)}
    recording.intend(actor, kinds.EXEC, recording.named(it.cluster, target, it.pod, ""), after=facts)
