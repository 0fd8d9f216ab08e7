"""What goes on in a cluster by itself: a queue of things to look at again, and who looks at them."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .kinds import AUTOSCALERS, DEPLOYMENTS, PODS, QUOTAS, REPLICASETS, SERVICES
from .store import Change

if TYPE_CHECKING:
    from .server import Kubernetes

Work = tuple[str, Any]


class Controllers:
    """Follows the store. Each piece of work is done once, however often it was asked for meanwhile."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.workers: dict[str, Callable[..., None]] = {}
        self._queue: dict[Work, None] = {}
        self._news = asyncio.Event()
        self.failures: list[str] = []
        kubernetes.store.listeners.append(self.heard)

    def later(self, what: str, about: Any, seconds: float = 0.0) -> None:
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self.later, what, about)
            return
        self._queue[what, about] = None
        self._news.set()

    def heard(self, change: Change) -> None:
        if change.kind is DEPLOYMENTS:
            self.later("deployment", change.key)
        elif change.kind is REPLICASETS:
            self.later("replicaset", change.key)
            self._owner("deployment", change)
        elif change.kind is PODS:
            self._owner("replicaset", change)
            if change.type == "DELETED":
                self._pod_gone(change)
            self.later("services", change.key[0], self.kubernetes.pace.endpoints)
            if self.kubernetes.store.tables[QUOTAS]:
                self.later("quotas", change.key[0])
        elif change.kind is SERVICES:
            self.later("services", change.key[0])
        elif change.kind is QUOTAS and change.type == "ADDED":
            self.later("quotas", change.key[0])
        elif change.kind is AUTOSCALERS:
            self.later("autoscaler", change.key)

    def _owner(self, what: str, change: Change) -> None:
        for owner in change.stored.obj["metadata"].get("ownerReferences") or ():
            if owner.get("controller") and owner["kind"].lower() == what:
                self.later(what, (change.key[0], owner["name"]))

    def _pod_gone(self, change: Change) -> None:
        """What is recreated waits for the last of its pods."""
        for owner in change.stored.obj["metadata"].get("ownerReferences") or ():
            above = self.kubernetes.store.get(REPLICASETS, change.key[0], owner["name"])
            for each in (above.obj["metadata"].get("ownerReferences") or ()) if above is not None else ():
                self.later("deployment", (change.key[0], each["name"]))

    def everything(self) -> None:
        """Look at all of it again."""
        for kind, what in ((DEPLOYMENTS, "deployment"), (REPLICASETS, "replicaset")):
            for key in self.kubernetes.store.tables[kind]:
                self.later(what, key)
        self._news.set()

    async def run(self) -> None:
        pace = self.kubernetes.pace
        while True:
            await self._news.wait()
            await asyncio.sleep(pace.reaction)
            while pace.stuck:
                await asyncio.sleep(0.02)
            self._news.clear()
            work, self._queue = self._queue, {}
            # Deployments last: they then see at once what has become of all of their replica sets.
            for number, (what, about) in enumerate(sorted(work, key=lambda each: each[0] == "deployment")):
                self._do(what, about)
                if number % 50 == 49:
                    await asyncio.sleep(0)

    def _do(self, what: str, about: Any) -> None:
        try:
            self.workers[what](*about) if isinstance(about, tuple) else self.workers[what](about)
        except Exception:  # noqa: BLE001 - one bad object must not end the cluster; tests look at `failures`
            self.failures.append(traceback.format_exc())
