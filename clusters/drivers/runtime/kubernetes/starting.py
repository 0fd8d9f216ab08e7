"""How long pods have been getting ready, by this process's own clock.

A Deployment's deadline begins when its pods are made, and an image that no node has yet may take minutes to fetch; so it
has room for that (`spec.FETCH_S`), and what `start_deadline_s` means is told here: from the moment a pod's containers
were seen to run. One that fits on no node has that room too, from when it was seen not to fit: where nodes are made when
they are needed, a new one is there after a minute or more. Clocks of nodes and of this host need not agree for it, and a
process that begins anew only waits longer.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from clusters.drivers.runtime.spec import FETCH_S

from .pods import Object, is_leaving, is_ready, path, statuses
from .troubles import newest, refused_by_nodes, when

KEPT = 5000


class Starting:
    """Pods on their way, of all services. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[tuple[Any, ...], float] = {}

    def overdue(self, pods: Iterable[Object], seconds: float, events: Iterable[Object] = ()) -> frozenset[str]:
        """The uids of those that should be ready by now. Call it with each look."""
        now, known = self._clock(), tuple(events)
        with self._lock:
            if len(self._since) > KEPT:
                self._since.clear()
            begun = [(pod, key) for pod in pods if (key := _started(pod))]
            for pod, key in begun:
                if not is_ready(pod):
                    self._since.setdefault(key, now)
                elif key in self._since:
                    self._since[key] = math.inf  # it got ready: what comes later is no start
            return frozenset(
                str(key[0])
                for pod, key in begun
                if now - self._since.get(key, now) > seconds + _for_a_node_s(pod, known)
            )


def _started(pod: Object) -> tuple[Any, ...] | None:
    """What tells one start from the next; None while its node prepares it, and once it leaves."""
    if is_leaving(pod):
        return None
    uid = path(pod, "metadata", "uid")
    if refused_by_nodes(pod) is not None:
        return (uid,)
    running = [path(one, "state", "running", "startedAt") for one in statuses(pod)]
    return (uid, *running) if running and all(running) else None


def _for_a_node_s(pod: Object, events: tuple[Object, ...]) -> float:
    """What a pod that no node takes may wait for one, besides its start: nothing more once an autoscaler said last that it
    makes none for it."""
    if refused_by_nodes(pod) is None:
        return 0.0
    made, not_made = (newest(pod, events, reason) for reason in ("TriggeredScaleUp", "NotTriggerScaleUp"))
    in_vain = not_made is not None and (made is None or when(not_made) > when(made))
    return 0.0 if in_vain else FETCH_S


def allowed_s(deployment: Object, start_deadline_s: float) -> float:
    """How long a start may take: what the spec says, or more where the manifest itself gives more."""
    deadline = path(deployment, "spec", "progressDeadlineSeconds")
    return max(start_deadline_s, deadline - FETCH_S if isinstance(deadline, int) else 0.0)
