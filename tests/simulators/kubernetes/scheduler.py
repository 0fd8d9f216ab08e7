"""The scheduler: a node for each pod, by what it requests; and why there is none."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import clock
from .admission import needed
from .kinds import NODES, PODS, Object
from .store import Key
from .validation import quantity

if TYPE_CHECKING:
    from .server import Kubernetes

RESOURCES = ("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu")


class Scheduler:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.store = kubernetes.store
        self._placed: dict[str, tuple[str, dict[str, float]]] = {}
        self._used: dict[str, Counter[str]] = {}
        self._freed = asyncio.Event()

    def freed(self, uid: str) -> None:
        if uid in self._placed:
            node, needs = self._placed.pop(uid)
            self._used[node].subtract(needs)
            self.again()

    def again(self) -> None:
        """There may be room now."""
        self._freed.set()
        self._freed = asyncio.Event()

    def taken(self, uid: str, node: str, obj: Object) -> None:
        needs = _needs(obj)
        self._placed[uid] = (node, needs)
        self._used.setdefault(node, Counter()).update(needs)

    def address(self, node: str) -> str:
        stored = self.store.get(NODES, "", node)
        addresses = (stored.obj["status"].get("addresses") if stored else None) or [{"address": "10.77.0.1"}]
        return str(addresses[0]["address"])

    async def place(self, key: Key, current: Callable[[], Object]) -> str:
        while True:
            obj = current()
            node, why = self._choose(obj)
            if node:
                self.taken(obj["metadata"]["uid"], node, obj)
                self._bind(key, node)
                return node
            self._unschedulable(key, why)
            await self._freed.wait()
            await asyncio.sleep(0)

    def _choose(self, obj: Object) -> tuple[str, str]:
        needs = _needs(obj)
        reasons: Counter[str] = Counter()
        best, most = "", -1.0
        nodes = self.store.tables[NODES]
        for (_, name), stored in nodes.items():
            if why := self._refuses(stored.obj, name, obj, needs):
                reasons[why] += 1
                continue
            left = quantity(stored.obj["status"]["allocatable"]["pods"]) - self._used.get(name, Counter())["pods"]
            if left > most:
                best, most = name, left
        if best:
            return best, ""
        total = len(nodes)
        said = (
            ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
            or "no nodes available to schedule pods"
        )
        preemption = f"preemption: 0/{total} nodes are available: {total} No preemption victims found for incoming pod."
        return "", f"0/{total} nodes are available: {said}. {preemption}"

    def _refuses(self, node: Object, name: str, obj: Object, needs: dict[str, float]) -> str:
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        labels = node["metadata"].get("labels") or {}
        selector = obj["spec"].get("nodeSelector") or {}
        if any(labels.get(key) != value for key, value in selector.items()):
            return "node(s) didn't match Pod's node affinity/selector"
        used = self._used.get(name, Counter())
        allocatable = node["status"]["allocatable"]
        if used["pods"] + 1 > quantity(allocatable["pods"]):
            return "Too many pods"
        for resource in RESOURCES:
            if needs.get(resource) and used[resource] + needs[resource] > quantity(allocatable.get(resource, 0)):
                return f"Insufficient {resource}"
        return ""

    def _bind(self, key: Key, node: str) -> None:
        stored = self.store.get(PODS, *key)
        assert stored is not None
        new = stored.thaw()
        new["spec"]["nodeName"] = node
        new["status"]["conditions"] = [
            {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": clock.now()}
        ]
        self.store.put(PODS, new)
        said = f"Successfully assigned {key[0]}/{key[1]} to {node}"
        self.kubernetes.events.schedule(stored.obj, "Scheduled", said)

    def _unschedulable(self, key: Key, why: str) -> None:
        stored = self.store.get(PODS, *key)
        assert stored is not None
        known = stored.obj["status"].get("conditions") or [{}]
        if known[0].get("message") == why:
            return
        new = stored.thaw()
        new["status"]["conditions"] = [
            {"type": "PodScheduled", "status": "False", "lastProbeTime": None, "lastTransitionTime": clock.now(),
             "reason": "Unschedulable", "message": why}
        ]  # fmt: skip
        self.store.put(PODS, new)
        self.kubernetes.events.schedule(stored.obj, "FailedScheduling", why, warning=True)


def _needs(obj: Object) -> dict[str, float]:
    needs: dict[str, float] = {"pods": 1}
    for container in obj["spec"].get("containers") or []:
        for resource in RESOURCES:
            amount = needed(container, "requests", resource)
            if amount:
                needs[resource] = needs.get(resource, 0) + amount
    return needs
