"""What the gateway offers: which kinds, read from where, and what may be done to them. Data, and the only list of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusters.drivers.runtime.kubernetes import names
from clusters.drivers.runtime.kubernetes.names import Resource

APPLY, PATCH, CREATE, DELETE, SCALE, EXEC = "apply", "patch", "create", "delete", "scale", "exec"
_ALL = frozenset({APPLY, PATCH, CREATE, DELETE})

METADATA = ("metadata.name", "metadata.namespace")
_INVOLVED = tuple(
    f"involvedObject.{name}"
    for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)


@dataclass(frozen=True, slots=True)
class Kind:
    """`cached`: the informers follow it. `fields`: what field selectors may name. `ops`: for ops alone."""

    resource: Resource
    cached: bool = False
    writes: frozenset[str] = frozenset()
    fields: tuple[str, ...] = METADATA
    ops: bool = False


KINDS: tuple[Kind, ...] = (
    Kind(names.DEPLOYMENTS, cached=True, writes=_ALL | {SCALE}),
    Kind(names.REPLICASETS, cached=True, fields=(*METADATA, "status.replicas")),
    Kind(
        names.PODS,
        cached=True,
        writes=frozenset({DELETE, EXEC}),
        fields=(
            *METADATA, "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "status.phase", "status.podIP", "status.nominatedNodeName",
        ),
    ),
    Kind(names.SERVICES, cached=True, writes=_ALL, fields=(*METADATA, "spec.clusterIP", "spec.type")),
    Kind(names.EVENTS, cached=True, fields=(*METADATA, *_INVOLVED, "reason", "type", "reportingComponent")),
    Kind(names.NODES, cached=True, fields=("metadata.name", "spec.unschedulable"), ops=True),
    Kind(names.CONFIGMAPS, writes=_ALL),
    Kind(names.INGRESSES, writes=_ALL),
    Kind(names.AUTOSCALERS, writes=_ALL),
    Kind(names.STATEFULSETS, writes=_ALL | {SCALE}),
    Kind(names.JOBS),
    Kind(names.CRONJOBS),
)  # fmt: skip
BY_PATH: Mapping[tuple[str, str, str], Kind] = {
    (one.resource.group, one.resource.version, one.resource.plural): one for one in KINDS
}
SUBRESOURCES: Mapping[str, frozenset[str]] = {
    "log": frozenset({"pods"}),
    "exec": frozenset({"pods"}),
    "scale": frozenset({"deployments", "statefulsets"}),
}
