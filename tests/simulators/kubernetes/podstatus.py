"""The status of a pod, as a kubelet writes it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from . import clock
from .kinds import Object
from .programs import Program


@dataclass(eq=False)
class Container:
    """One container of a pod, as it is now."""

    name: str
    image: str
    mounts: list[Object]
    init: bool = False
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    identity: str = ""
    id: str = ""
    started_at: str = ""
    program: Program | None = None
    why: str = ""  # the reason that a test gave for its end

    def run(self, identity: str) -> None:
        self.id = f"containerd://{secrets.token_hex(32)}"
        self.identity, self.started_at = identity, clock.now()
        self.state = {"running": {"startedAt": self.started_at}}

    def end(self, code: int, reason: str = "") -> None:
        self.ready = False
        self.state = {
            "terminated": {
                "exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error"),
                "startedAt": self.started_at, "finishedAt": clock.now(), "containerID": self.id,
            }
        }  # fmt: skip

    def status(self) -> Object:
        found: Object = {
            "name": self.name, "state": self.state, "lastState": self.last, "ready": self.ready,
            "restartCount": self.restarts, "image": self.image, "imageID": self.identity,
        }  # fmt: skip
        if self.id:
            found["containerID"] = self.id
        found["started"] = "running" in self.state
        if self.id:
            found["resources"] = {}
        found["volumeMounts"] = [
            {"name": mount["name"], "mountPath": mount["mountPath"]}
            | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})
            for mount in self.mounts
        ]
        return found


def made_of(spec: Object) -> list[Container]:
    return [Container(each["name"], each["image"], each.get("volumeMounts") or []) for each in spec["containers"]]


def write(old: Object, containers: list[Container], *, address: str, host: str, done: bool = False) -> Object:
    """The next status. `done`: the pod has been ended."""
    unready = [each.name for each in containers if not each.ready]
    why: Object = {}
    if done:
        why = {"reason": "PodCompleted"}
    elif unready:
        why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    begun = any(each.id for each in containers) or bool(address)
    wanted = {
        "PodReadyToStartContainers": (begun and not done, {}),
        "Initialized": (True, {"reason": "PodCompleted"} if done else {}),
        "Ready": (not unready and not done, why),
        "ContainersReady": (not unready and not done, why),
        "PodScheduled": (True, {}),
    }
    before = {each["type"]: each for each in old.get("conditions") or []}
    conditions = [_condition(type_, value, more, before.get(type_)) for type_, (value, more) in wanted.items()]
    new: Object = {
        "phase": _phase(containers, done),
        "conditions": conditions,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
    }
    if address:
        new |= {"podIP": address, "podIPs": [{"ip": address}]}
    new["startTime"] = old.get("startTime") or clock.now()
    new["containerStatuses"] = [each.status() for each in containers]
    return new | {"qosClass": old["qosClass"]}


def _phase(containers: list[Container], done: bool) -> str:
    if done:
        codes = [each.state["terminated"]["exitCode"] for each in containers if "terminated" in each.state]
        return "Failed" if any(codes) else "Succeeded"
    if any("waiting" in each.state and not each.id for each in containers):
        return "Pending"
    return "Running"


def _condition(type_: str, value: bool, more: Object, before: Object | None) -> Object:
    said = "True" if value else "False"
    since = before["lastTransitionTime"] if before is not None and before["status"] == said else clock.now()
    return {"type": type_, "status": said, "lastProbeTime": None, "lastTransitionTime": since, **more}


def owned(status: Object) -> Object:
    """The fields of a status that a kubelet owns."""
    conditions: Object = {}
    for each in status["conditions"]:
        if each["type"] == "PodScheduled":
            continue
        names = ["lastProbeTime", "lastTransitionTime", *sorted({"message", "reason"} & set(each)), "status", "type"]
        conditions[f'k:{{"type":"{each["type"]}"}}'] = {".": {}, **{f"f:{name}": {} for name in names}}
    found: dict[str, Any] = {"f:conditions": conditions, "f:containerStatuses": {}, "f:hostIP": {}, "f:hostIPs": {}}
    if "podIP" in status:
        found |= {"f:podIP": {}} | ({} if status["phase"] == "Pending" else {"f:phase": {}})
        found["f:podIPs"] = {".": {}, f'k:{{"ip":"{status["podIP"]}"}}': {".": {}, "f:ip": {}}}
    return {"f:status": found | {"f:startTime": {}}}
