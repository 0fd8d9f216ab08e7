"""Who can be killed by which name, and what is left of builds and services afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

from tests.faults.site import environment, marked
from tests.portal import Portal

LEASE_S = 10  # more than any step needs on a busy machine: whoever loses its lease five times in a row is given up
VICTIMS = ("web", "worker", "watch", "sentinel", "idle", "group", "sweeper", "agents")


class Ground:
    """Kills by the name a person would use, and looks what is left of builds."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal

    def kill(self, victim: str) -> int:
        """kill -9 of it, if it lives at this moment; how many processes it were."""
        killed = 0
        for pid in self.pids(victim):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def pids(self, victim: str) -> list[int]:
        if victim in {"web", "worker", "watch"}:
            return [pid for role, pid in self.portal.roles().items() if role == victim]
        children = self._children_of_worker()
        queue = children.get("fdd-queue", [])
        members = [child.pid for pid in queue for child in descendants(pid)]
        if victim == "sentinel":
            return queue
        if victim == "idle":
            return members[:1]
        if victim == "group":
            return [*members, *queue]
        return children.get(f"fdd-{victim}", [])

    def _children_of_worker(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for child in descendants(self.portal.roles().get("worker", 0), deep=False):
            try:
                name = Path(f"/proc/{child.pid}/comm").read_text().strip()
            except OSError:
                continue
            found.setdefault(name, []).append(child.pid)
        return found

    def agents(self, build: dict[str, object]) -> list[int]:
        """The build's agent: the parent of what carries the build's key, itself without it."""
        key = f"FDD_BUILD_KEY={build['key']}"
        found = set()
        for process in marked(key):
            try:
                parent = process.parent()
            except psutil.Error:
                continue
            if parent is not None and parent.pid > 1 and key not in environment(parent.pid):
                found.add(parent.pid)
        return list(found)

    def left_over(self) -> list[psutil.Process]:
        """Processes of this portal's builds."""
        mine = marked(f"FDD_PORTAL={self.portal.var}")
        return [p for p in mine if any(e.startswith("FDD_BUILD_KEY=") for e in environment(p.pid))]


def descendants(pid: int, deep: bool = True) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=deep)
    except (psutil.Error, ValueError):
        return []
