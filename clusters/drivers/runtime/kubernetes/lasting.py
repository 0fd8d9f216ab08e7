"""How long troubles have lasted that may pass by themselves, by this process's own clock.

A registry that was busy is asked again by the node after ten seconds and more; only what lasts is for good. It is counted
from when it was first seen: a pod's age says nothing of it where fetching a large image took minutes before. And a quota that
is used up has room again once the pods that are on their way out are gone. Clocks of the server and of this host need not
agree for it, and a process that begins anew only waits longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusters.drivers.runtime.spec import FETCH_S

from .failing import QUOTA, condition, refusal_of
from .pods import Object, path, statuses
from .troubles import hitch_of

KEPT = 5000
PATIENCE_S = {"fetch": FETCH_S, "make": 30.0}  # with what a node may yet get done
QUOTA_S = 30.0  # at least, for a controller to try again once there may be room


@dataclass(frozen=True, slots=True)
class Waited:
    """For what was waited long enough. `overdue`: uids of pods that should be ready by now. `stuck`: (pod's uid, container)
    of those whose trouble has lasted. `refused`: uids of ReplicaSets for whose pods a quota will have no room."""

    overdue: frozenset[str] = frozenset()
    stuck: frozenset[tuple[str, str]] = frozenset()
    refused: frozenset[str] = frozenset()

    def stuck_in(self, uid: str) -> frozenset[str]:
        """The containers of that pod."""
        return frozenset(name for of, name in self.stuck if of == uid)


class Lasting:
    """Troubles of all services. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[tuple[Any, ...], float] = {}
        self._left: dict[tuple[Any, ...], float] = {}  # when a pod was last seen on its way out, during a refusal

    def stuck(self, pods: Iterable[Object]) -> frozenset[tuple[str, str]]:
        """(pod's uid, container) of those whose trouble has lasted. Call it with each look."""
        now = self._clock()
        with self._lock:
            if len(self._since) > KEPT:
                self._since.clear()
                self._left.clear()
            return frozenset(
                (uid, name)
                for uid, name, hitch, run in _hitches(pods)
                if now - self._since.setdefault((uid, name, hitch, run), now) > PATIENCE_S[hitch]
            )

    def refused(self, replicasets: Iterable[Object], pods: Iterable[Object]) -> frozenset[str]:
        """The uids of those for whose pods a quota has no room, and will have none. Call it with each look.

        A controller doubles its pause with each refusal: after the last pod is gone it tries again within the time that it
        has been refused for.
        """
        now, leaving = self._clock(), any(path(pod, "metadata", "deletionTimestamp") for pod in pods)
        found = set()
        with self._lock:
            if len(self._since) > KEPT:
                self._since.clear()
                self._left.clear()
            for one in replicasets:
                if QUOTA not in refusal_of(one):
                    continue
                key = (path(one, "metadata", "uid"), condition(one, "ReplicaFailure").get("lastTransitionTime"))
                begun = self._since.setdefault(key, now)
                left = self._left[key] = now if leaving else self._left.get(key, begun)
                if now - left > max(QUOTA_S, left - begun):
                    found.add(str(key[0]))
        return frozenset(found)


def _hitches(pods: Iterable[Object]) -> Iterable[tuple[str, str, str, Any]]:
    """Pod, container, what its node cannot get done, and before which run: one that ran in between begins anew."""
    for pod in pods:
        for one in (*statuses(pod, init=True), *statuses(pod)):
            if hitch := hitch_of(one):
                yield str(path(pod, "metadata", "uid")), str(one.get("name") or ""), hitch, one.get("restartCount")
