"""Objects of a service as a cluster would show them, made from recorded ones."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from clusters.drivers.runtime.kubernetes import names
from tests.clusters.drivers.kubernetes.goals import SERVICE, recorded

NOW = datetime(2026, 11, 23, 8, 25, 4, tzinfo=UTC)
DIGEST = "sha256:8b34c67a51dea7fa654755f5d87318d2adbb329c905679cafb4b198b1b5f590b"  # of the recorded image v3
Item = dict[str, Any]


def ours(item: Item) -> Item:
    """The object with our labels, as if we had made it."""
    found = copy.deepcopy(item)
    found["metadata"].setdefault("labels", {}).update({names.SERVICE: SERVICE.key, names.GROUP: SERVICE.group})
    if found["kind"] in {"Deployment", "ReplicaSet"}:
        found["spec"]["template"]["metadata"].setdefault("labels", {})[names.SERVICE] = SERVICE.key
        found["metadata"].setdefault("annotations", {})[names.GENERATION] = "2"
    return found


def deployment(name: str = "watch-deployment-rolling-update", number: int = -1) -> Item:
    """The Deployment as one event of a recorded watch shows it."""
    return ours(recorded(name)[number]["object"])


def replicasets() -> list[Item]:
    return [ours(one) for one in recorded("replicasets-revisions")]


def pod(set_: Item, name: str = "one", *, ready: bool = True, leaving: bool = False) -> Item:
    """A pod of that ReplicaSet, as the recorded ones that run."""
    found = ours(next(one for one in recorded("pods-crashloop") if one["status"]["containerStatuses"][0]["ready"]))
    found["metadata"] |= {"name": f"{set_['metadata']['name']}-{name}", "uid": f"uid-{set_['metadata']['name']}-{name}"}
    found["metadata"]["ownerReferences"][0] |= {"name": set_["metadata"]["name"], "uid": set_["metadata"]["uid"]}
    if leaving:
        found["metadata"]["deletionTimestamp"] = "2026-11-23T08:24:41Z"
    if not ready:
        unready(found)
    return found


def unready(found: Item) -> None:
    for one in found["status"]["conditions"]:
        if one["type"] in ("Ready", "ContainersReady"):
            one["status"] = "False"
    found["status"]["containerStatuses"][0]["ready"] = False


def waiting(found: Item, reason: str, message: str = "", **more: Any) -> Item:
    """Its container waits, for this reason."""
    unready(found)
    found["status"]["containerStatuses"][0] |= {"state": {"waiting": {"reason": reason, "message": message}}, **more}
    return found


def ended(reason: str = "Error", code: int = 1, **more: Any) -> Item:
    """A state or last state of a container that ended."""
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": "2026-11-23T08:24:49Z", **more}}


def event(about: Item, reason: str, message: str, at: str = "2026-11-23T08:24:50Z") -> Item:
    return {
        "kind": "Event", "metadata": {"name": "e", "creationTimestamp": at}, "reason": reason, "message": message,
        "involvedObject": {"kind": "Pod", "uid": about["metadata"]["uid"]}, "lastTimestamp": at, "type": "Warning",
    }  # fmt: skip
