"""The kinds of objects that the simulated API server keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """`model`: the official client's class, from which the schema is read; empty for custom resources."""

    group: str
    version: str
    plural: str
    name: str
    model: str = ""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    status: bool = False
    scale: bool = False
    generation: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def prefix(self) -> bytes:
        """What every object of this kind begins with; items of lists do without it."""
        return f'{{"kind":"{self.name}","apiVersion":"{self.api_version}",'.encode()


def _core(plural: str, name: str, *short: str, **more: Any) -> Kind:
    return Kind("", "v1", plural, name, f"V1{name}", short=short, **more)


NAMESPACES = _core("namespaces", "Namespace", "ns", namespaced=False, status=True)
NODES = _core("nodes", "Node", "no", namespaced=False, status=True)
PODS = _core("pods", "Pod", "po", status=True, generation=True)
SERVICES = _core("services", "Service", "svc", status=True)
ENDPOINTS = _core("endpoints", "Endpoints", "ep")
CONFIGMAPS = _core("configmaps", "ConfigMap", "cm")
SECRETS = _core("secrets", "Secret")
EVENTS = Kind("", "v1", "events", "Event", "CoreV1Event", short=("ev",))
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", "sa")
QUOTAS = _core("resourcequotas", "ResourceQuota", "quota", status=True)
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", "V1Deployment", True, ("deploy",), True, True, True)
REPLICASETS = Kind("apps", "v1", "replicasets", "ReplicaSet", "V1ReplicaSet", True, ("rs",), True, True, True)
STATEFULSETS = Kind("apps", "v1", "statefulsets", "StatefulSet", "V1StatefulSet", True, ("sts",), True, True, True)
INGRESSES = Kind("networking.k8s.io", "v1", "ingresses", "Ingress", "V1Ingress", True, ("ing",), True, False, True)
SLICES = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "V1EndpointSlice", generation=True)
AUTOSCALERS = Kind(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "V2HorizontalPodAutoscaler",
    short=("hpa",), status=True,
)  # fmt: skip
ROUTES = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", status=True, generation=True)
VIRTUAL_SERVICES = Kind(
    "networking.istio.io", "v1", "virtualservices", "VirtualService", short=("vs",), status=True, generation=True
)

ALL = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, EVENTS, SERVICE_ACCOUNTS, QUOTAS, DEPLOYMENTS,
    REPLICASETS, STATEFULSETS, INGRESSES, SLICES, AUTOSCALERS, ROUTES, VIRTUAL_SERVICES,
)  # fmt: skip
BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in ALL}
BY_NAME = {kind.name: kind for kind in ALL}
GROUPS = {kind.group: kind.version for kind in ALL if kind.group} | {"authorization.k8s.io": "v1"}


def named(text: str) -> Kind:
    """By plural, singular or kind: `deployments`, `Deployment`."""
    for kind in ALL:
        if text.lower() in (kind.plural, kind.name.lower(), *kind.short):
            return kind
    raise KeyError(text)
