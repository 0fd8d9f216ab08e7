"""The containers of a pod as its object tells of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusters.drivers.runtime.streams import ALL

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
Pod = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """A container of a pod as it was last seen. `run` changes with every start of it; "" while it never began."""

    namespace: str
    pod: str
    container: str
    run: str
    ended: bool


def main_container(pod: Pod) -> str:
    """The one that is meant when none is named."""
    wanted = str((pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER) or "")
    names = [str(one.get("name")) for one in pod["spec"].get("containers") or ()]
    return wanted if wanted in names else (names[0] if names else "")


def sights(pod: Pod, container: str) -> list[Sight]:
    """The asked containers of a pod; none when it has no such container."""
    names = [str(one.get("name")) for kind in ("initContainers", "containers") for one in pod["spec"].get(kind) or ()]
    asked = names if container == ALL else [name for name in names if name == (container or main_container(pod))]
    status = pod.get("status") or {}
    known = {
        str(one.get("name")): one
        for kind in ("initContainerStatuses", "containerStatuses")
        for one in status.get(kind) or ()
    }
    meta = pod["metadata"]
    found = []
    for name in asked:
        one = known.get(name) or {}
        state = one.get("state") or {}  # one of waiting, running, terminated
        last = (one.get("lastState") or {}).get("terminated") or {}
        running = "running" in state
        run = str(one.get("containerID") or "") if running or "terminated" in state else ""
        run = run or str(last.get("containerID") or "")
        found.append(Sight(str(meta.get("namespace")), str(meta["name"]), name, run, ended=bool(run) and not running))
    return found
