"""The status of a deployment: counts, and the conditions that say how its rollout goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import clock
from .kinds import DEPLOYMENTS, Object
from .sizes import unavailable
from .store import Stored

if TYPE_CHECKING:
    from .server import Kubernetes

REVISION = "deployment.kubernetes.io/revision"
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def complete(obj: Object) -> bool:
    status, replicas = obj["status"], obj["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [replicas] * 3 and status.get("observedGeneration", 0) >= obj["metadata"]["generation"]


class Rollouts:
    """Remembers when each deployment last made progress."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self._progress: dict[str, float] = {}

    def began(self, live: Stored, revision: str, message: str, reason: str) -> None:
        """The deployment has the revision, and says that its replica set is there; its counts are not looked at yet."""
        current = self.kubernetes.store.get(
            DEPLOYMENTS, live.obj["metadata"]["namespace"], live.obj["metadata"]["name"]
        )
        new = (current or live).thaw()
        new["metadata"].setdefault("annotations", {})[REVISION] = revision
        self._progress[new["metadata"]["uid"]] = time.monotonic()
        _set(new["status"], "Progressing", "True", reason, message, fresh=True)
        self.kubernetes.objects.write(DEPLOYMENTS, new, subresource="status")

    def write(self, before: Stored, sets: list[Stored], newest: Stored | None) -> None:
        metadata = before.obj["metadata"]
        live = self.kubernetes.store.get(DEPLOYMENTS, metadata["namespace"], metadata["name"])
        if live is None:
            return
        obj = live.thaw()
        old = live.obj["status"]
        obj["status"] = status = self._counts(obj, sets, newest)
        status["conditions"] = [dict(each) for each in old.get("conditions") or []]
        self._available(obj)
        self._failure(status, sets)
        name = newest.obj["metadata"]["name"] if newest is not None else metadata["name"]
        self._progressing(obj, old, name, newest is not None)
        if not status["conditions"]:
            del status["conditions"]
        self.kubernetes.objects.write(DEPLOYMENTS, obj, subresource="status")

    def _counts(self, obj: Object, sets: list[Stored], newest: Stored | None) -> Object:
        total = sum(each.obj["status"].get("replicas", 0) for each in sets)
        serving = sum(each.obj["status"].get("availableReplicas", 0) for each in sets)
        wanted = sum(each.obj["spec"]["replicas"] for each in sets)
        found = {
            "observedGeneration": obj["metadata"]["generation"], "replicas": total,
            "updatedReplicas": newest.obj["status"].get("replicas", 0) if newest else 0,
            "readyReplicas": sum(each.obj["status"].get("readyReplicas", 0) for each in sets),
            "availableReplicas": serving, "unavailableReplicas": max(0, wanted - serving),
        }  # fmt: skip
        return {name: value for name, value in found.items() if value}

    def _available(self, obj: Object) -> None:
        least = obj["spec"]["replicas"] - unavailable(obj)
        if obj["status"].get("availableReplicas", 0) >= least:
            said = "Deployment has minimum availability."
            _set(obj["status"], "Available", "True", "MinimumReplicasAvailable", said)
        else:
            said = "Deployment does not have minimum availability."
            _set(obj["status"], "Available", "False", "MinimumReplicasUnavailable", said)

    def _failure(self, status: Object, sets: list[Stored]) -> None:
        for each in sets:
            for condition in each.obj["status"].get("conditions") or []:
                if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                    _set(status, "ReplicaFailure", "True", condition["reason"], condition["message"])
                    return
        status["conditions"] = [each for each in status["conditions"] if each["type"] != "ReplicaFailure"]

    def _progressing(self, obj: Object, old: Object, name: str, known: bool) -> None:
        status, uid = obj["status"], obj["metadata"]["uid"]
        word = f'ReplicaSet "{name}"' if known else f'Deployment "{name}"'
        current = next((each for each in status["conditions"] if each["type"] == "Progressing"), None)
        if obj["spec"].get("paused"):
            if current is None or current["reason"] != "DeploymentPaused":
                _set(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", fresh=True)
            return
        if current is not None and current["reason"] == "DeploymentPaused":
            self._progress[uid] = time.monotonic()
            _set(status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", fresh=True)
            current = next(each for each in status["conditions"] if each["type"] == "Progressing")
        reason = current["reason"] if current else ""
        if reason == "NewReplicaSetAvailable" and status.get("replicas") == status.get("updatedReplicas"):
            return  # no rollout is under way; another size is none
        if complete(obj):
            said = f"{word} has successfully progressed."
            _set(status, "Progressing", "True", "NewReplicaSetAvailable", said, fresh=True)
        elif _moved(old, status):
            self._progress[uid] = time.monotonic()
            _set(status, "Progressing", "True", "ReplicaSetUpdated", f"{word} is progressing.", fresh=True)
        elif reason not in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
            self._deadline(obj, word)

    def _deadline(self, obj: Object, word: str) -> None:
        since = self._progress.setdefault(obj["metadata"]["uid"], time.monotonic())
        left = since + obj["spec"]["progressDeadlineSeconds"] * self.kubernetes.pace.second - time.monotonic()
        if left <= 0:
            said = f"{word} has timed out progressing."
            _set(obj["status"], "Progressing", "False", "ProgressDeadlineExceeded", said, fresh=True)
            return
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        self.kubernetes.controllers.later("deployment", key, left + 0.01)


def _moved(old: Object, new: Object) -> bool:
    before, after = ({name: status.get(name, 0) for name in _COUNTS} for status in (old, new))
    aged = {
        "before": before["replicas"] - before["updatedReplicas"],
        "after": after["replicas"] - after["updatedReplicas"],
    }
    return (
        after["updatedReplicas"] > before["updatedReplicas"]
        or aged["after"] < aged["before"]
        or after["readyReplicas"] > before["readyReplicas"]
        or after["availableReplicas"] > before["availableReplicas"]
    )


def _set(status: Object, type_: str, value: str, reason: str, message: str, *, fresh: bool = False) -> None:
    """As the controller does: a condition that changes goes to the end."""
    conditions = status.setdefault("conditions", [])
    current = next((each for each in conditions if each["type"] == type_), None)
    if current is not None and (current["status"], current["reason"]) == (value, reason) and not fresh:
        return
    now = clock.now()
    since = current["lastTransitionTime"] if current is not None and current["status"] == value else now
    made = {
        "type": type_, "status": value, "lastUpdateTime": now, "lastTransitionTime": since, "reason": reason,
        "message": message,
    }  # fmt: skip
    status["conditions"] = [each for each in conditions if each["type"] != type_] + [made]
