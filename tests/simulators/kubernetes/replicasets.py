"""The replica set controller: as many pods as wanted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import orjson

from . import clock
from .kinds import PODS, REPLICASETS, Object
from .objects import How
from .status import Refused
from .store import Stored

if TYPE_CHECKING:
    from .server import Kubernetes

BY = "replicaset-controller"


class ReplicaSets:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.objects = kubernetes.objects
        self.store = kubernetes.store
        self._failed: dict[str, tuple[str, float]] = {}

    def pods(self, uid: str, *, ending: bool = False) -> list[Stored]:
        """Those that count: not ended, and not about to, unless asked for."""
        found = self.kubernetes.deletion.of_kind(uid, PODS)
        return [
            pod for pod in found
            if (ending or "deletionTimestamp" not in pod.obj["metadata"])
            and (ending or pod.obj["status"].get("phase") not in ("Succeeded", "Failed"))
        ]  # fmt: skip

    def sync(self, namespace: str, name: str) -> None:
        live = self.store.get(REPLICASETS, namespace, name)
        if live is None or "deletionTimestamp" in live.obj["metadata"]:
            return
        uid = live.obj["metadata"]["uid"]
        pods = self.pods(uid)
        missing = live.obj["spec"]["replicas"] - len(pods)
        failure = self._failed.get(uid)
        if missing > 0:
            if failure is None or failure[1] <= time.monotonic():
                self._failed.pop(uid, None)
                failure = self._create(live.obj, missing)
        else:
            self._failed.pop(uid, None)
            failure = None
            for pod in sorted(pods, key=_spare)[:-missing]:
                self._delete(live.obj, pod)
        self._status(namespace, name, failure[0] if failure else "")

    def _create(self, obj: Object, missing: int) -> tuple[str, float] | None:
        metadata = obj["metadata"]
        template, head = obj["spec"]["template"], f"{metadata['name']}-"
        for _ in range(missing):
            pod = {
                "metadata": {
                    "generateName": head, "name": self.store.unused(PODS, metadata["namespace"], head),
                    "ownerReferences": [_owner(obj)],
                    **{name: value for name, value in template["metadata"].items() if name in ("labels", "annotations")},
                },
                "spec": template["spec"],
            }  # fmt: skip
            try:
                made = self.objects.create(
                    PODS, metadata["namespace"], orjson.loads(orjson.dumps(pod)), How("kube-controller-manager")
                )
            except Refused as refused:
                return self._refused(obj, refused)
            said = f"Created pod: {made.obj['metadata']['name']}"
            self.kubernetes.events.tell(REPLICASETS, obj, "SuccessfulCreate", said, by=BY)
        return None

    def _refused(self, obj: Object, refused: Refused) -> tuple[str, float]:
        message = refused.message
        self.kubernetes.events.tell(REPLICASETS, obj, "FailedCreate", f"Error creating: {message}", by=BY, warning=True)
        pause = self.kubernetes.pace.backoff
        failure = (message, time.monotonic() + pause)
        metadata = obj["metadata"]
        self._failed[metadata["uid"]] = failure
        self.kubernetes.controllers.later("replicaset", (metadata["namespace"], metadata["name"]), pause + 0.01)
        return failure

    def _delete(self, obj: Object, pod: Stored) -> None:
        metadata = pod.obj["metadata"]
        self.kubernetes.deletion.delete(PODS, (metadata["namespace"], metadata["name"]), {})
        said = f"Deleted pod: {metadata['name']}"
        self.kubernetes.events.tell(REPLICASETS, obj, "SuccessfulDelete", said, by=BY)

    def _status(self, namespace: str, name: str, failure: str) -> None:
        live = self.store.get(REPLICASETS, namespace, name)
        if live is None:
            return
        pods = self.pods(live.obj["metadata"]["uid"])
        ready = [pod for pod in pods if is_ready(pod.obj)]
        long_enough = [pod for pod in ready if self._for_long(live.obj, pod.obj)]
        counts = {
            "fullyLabeledReplicas": len(pods), "readyReplicas": len(ready), "availableReplicas": len(long_enough)
        }  # fmt: skip
        new = live.thaw()
        status: Object = {"replicas": len(pods)} | {key: value for key, value in counts.items() if value}
        status["observedGeneration"] = live.obj["metadata"]["generation"]
        if failure:
            known = next(iter(live.obj["status"].get("conditions") or []), None)
            since = known["lastTransitionTime"] if known else clock.now()
            status["conditions"] = [
                {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "lastTransitionTime": since,
                    "reason": "FailedCreate",
                    "message": failure,
                }
            ]
        new["status"] = status
        self.objects.write(REPLICASETS, new, subresource="status")

    def _for_long(self, obj: Object, pod: Object) -> bool:
        wanted = obj["spec"].get("minReadySeconds", 0) * self.kubernetes.pace.second
        if not wanted:
            return True
        since = self.kubernetes.kubelet.ready_since(pod["metadata"]["uid"])
        left = since + wanted - time.monotonic()
        if left > 0:
            metadata = obj["metadata"]
            self.kubernetes.controllers.later("replicaset", (metadata["namespace"], metadata["name"]), left + 0.005)
        return left <= 0


def is_ready(pod: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions") or ())


def _spare(pod: Stored) -> tuple[bool, bool, float]:
    """Those that can be done without come first: nowhere yet, not ready, the youngest."""
    return bool(pod.obj["spec"].get("nodeName")), is_ready(pod.obj), -pod.revision


def _owner(obj: Object) -> Object:
    metadata = obj["metadata"]
    return {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": metadata["name"], "uid": metadata["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
