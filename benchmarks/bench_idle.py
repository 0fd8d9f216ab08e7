"""An idle portal with the sample: processor time and proportional memory of all its processes, the supervisor too.

Deployed services and the proxy in front of them belong to their owners and are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tests.portal import Portal, cpu_seconds, pss_mb

from .measure import Number

SETTLE_S = 20.0
WATCH_S = 60.0


def measure(scratch: Path) -> Iterator[Number]:
    with Portal(scratch / "var") as portal:
        time.sleep(SETTLE_S)
        trees = {role: portal.tree(role) for role in portal.roles()}
        trees["supervisor"] = [portal.state()["pid"]]
        everyone = [pid for pids in trees.values() for pid in pids]
        cpu, began = cpu_seconds(everyone), time.monotonic()
        time.sleep(WATCH_S)
        used = (cpu_seconds(everyone) - cpu) / (time.monotonic() - began) * 100
        yield Number("idle portal, processor", used, "% of a core", limit=5)
        yield Number("idle portal, memory (PSS)", pss_mb(everyone), "MB", limit=450)
        for role, pids in trees.items():
            yield Number(f"… of that {role} ({len(pids)} processes)", pss_mb(pids), "MB")
        began = time.monotonic()
        portal.stop()
        yield Number("stop of everything", time.monotonic() - began, "s", limit=10)
        began = time.monotonic()
        portal.start()
        yield Number("second start until ready", time.monotonic() - began, "s", limit=10)
