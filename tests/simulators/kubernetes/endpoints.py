"""Endpoints and endpoint slices of services, quotas' usage, autoscalers' status: what follows from pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import clock
from .kinds import AUTOSCALERS, DEPLOYMENTS, ENDPOINTS, PODS, QUOTAS, SERVICES, SLICES, Kind, Object
from .objects import How
from .replicasets import is_ready
from .store import Stored

if TYPE_CHECKING:
    from .server import Kubernetes


class Followers:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.objects = kubernetes.objects
        self.store = kubernetes.store

    def services(self, namespace: str) -> None:
        found = [each for each in self.store.all(SERVICES, namespace) if each.obj["spec"].get("selector")]
        if not found:
            return
        pods = list(self.store.all(PODS, namespace))
        for service in found:
            self._service(service, pods)

    def _service(self, service: Stored, pods: list[Stored]) -> None:
        metadata, spec = service.obj["metadata"], service.obj["spec"]
        selector = spec["selector"].items()
        chosen = [
            pod.obj for pod in pods
            if selector <= (pod.obj["metadata"].get("labels") or {}).items() and pod.obj["status"].get("podIP")
        ]  # fmt: skip
        alive = [pod for pod in chosen if "deletionTimestamp" not in pod["metadata"]]
        ready = [pod for pod in alive if is_ready(pod)]
        ports = [_port(port, chosen) for port in spec.get("ports") or []]
        subset: Object = {"ports": ports}
        if ready:
            subset["addresses"] = [_address(pod) for pod in ready]
        unready = [pod for pod in alive if not is_ready(pod)]
        if unready:
            subset["notReadyAddresses"] = [_address(pod) for pod in unready]
        base = {"namespace": metadata["namespace"], "labels": dict(metadata.get("labels") or {})}
        self._put(ENDPOINTS, {"metadata": {"name": metadata["name"], **base}, "subsets": [subset] if alive else []})
        owner = {
            "apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"],
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        labels = base["labels"] | {
            "kubernetes.io/service-name": metadata["name"],
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        piece = {
            "metadata": {"name": f"{metadata['name']}-slice", "namespace": metadata["namespace"], "labels": labels,
                         "ownerReferences": [owner]},
            "addressType": "IPv4", "endpoints": [_endpoint(pod) for pod in chosen], "ports": ports,
        }  # fmt: skip
        self._put(SLICES, piece)
        self.kubernetes.proxies.follow(service.obj, [pod["metadata"]["uid"] for pod in ready])

    def _put(self, kind: Kind, wanted: Object) -> None:
        metadata = wanted["metadata"]
        live = self.store.get(kind, metadata["namespace"], metadata["name"])
        if live is None:
            self.objects.create(kind, metadata["namespace"], wanted, How("kube-controller-manager"))
            return
        new = live.thaw()
        new |= {name: value for name, value in wanted.items() if name != "metadata"}
        self.objects.write(kind, new)

    def quotas(self, namespace: str) -> None:
        for quota in self.store.all(QUOTAS, namespace):
            new = quota.thaw()
            new["status"] = self.kubernetes.admission.quota_status(quota.obj)
            self.objects.write(QUOTAS, new, subresource="status")

    def autoscaler(self, namespace: str, name: str) -> None:
        """Holds replicas within its bounds, as one does that sees no load."""
        live = self.store.get(AUTOSCALERS, namespace, name)
        if live is None:
            return
        spec = live.obj["spec"]
        target = self.store.get(DEPLOYMENTS, namespace, spec["scaleTargetRef"]["name"])
        if target is None:
            return
        replicas = target.obj["spec"]["replicas"]
        wanted = replicas and min(max(replicas, spec["minReplicas"]), spec["maxReplicas"])
        if wanted != replicas:
            how = How("kube-controller-manager", subresource="scale")
            patch: Any = {"spec": {"replicas": wanted}}
            self.kubernetes.scales.patch(DEPLOYMENTS, namespace, spec["scaleTargetRef"]["name"], patch, how)
        new = live.thaw()
        new["status"] = {"currentReplicas": replicas, "desiredReplicas": wanted, "currentMetrics": None}
        new["status"] |= {"lastScaleTime": live.obj["status"].get("lastScaleTime") or clock.now()}
        self.objects.write(AUTOSCALERS, new, subresource="status")


def _address(pod: Object) -> Object:
    metadata = pod["metadata"]
    reference = {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": reference}


def _endpoint(pod: Object) -> Object:
    ending = "deletionTimestamp" in pod["metadata"]
    ready = is_ready(pod)
    address = _address(pod)
    conditions = {"ready": ready and not ending, "serving": ready, "terminating": ending}
    return {
        "addresses": [address["ip"]], "conditions": conditions, "nodeName": address["nodeName"],
        "targetRef": address["targetRef"],
    }  # fmt: skip


def _port(port: Object, pods: list[Object]) -> Object:
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        declared = [
            each for pod in pods for container in pod["spec"]["containers"] for each in container.get("ports") or []
        ]
        target = next((each["containerPort"] for each in declared if each.get("name") == target), port["port"])
    found = {"port": target, "protocol": port.get("protocol", "TCP")}
    return ({"name": port["name"]} if port.get("name") else {}) | found
