"""What listening costs while nothing happens: the watch process, and what the server is asked by the comparisons."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Number
from tests.portal import Portal, cpu_seconds, pss_mb

from .ground import Gerrit, connect

PROJECTS = 200
ALONE_S = 60.0
WINDOW_S, LONG_WINDOW_S = 180.0, 530.0  # one comparison of everything, and three
MOST_CPU, MOST_MB = 10, 300


def idle(gerrit: Gerrit, scratch: Path, long: bool) -> Iterator[Number]:
    projects = gerrit.projects(PROJECTS)
    window = LONG_WINDOW_S if long else WINDOW_S
    with Portal(scratch / "idle") as portal:
        time.sleep(10)
        base, base_mb, _ = _watched(portal, gerrit, ALONE_S)
        for count in (1, 10):
            connect(portal, gerrit, projects, count)
            time.sleep(15)  # a connection that is new is compared at once
            used, memory, asked = _watched(portal, gerrit, window)
            name = f"idle, {count} connection{'s' if count > 1 else ''}, {PROJECTS} projects"
            note = f"without any connection {base:.1f} % and {base_mb:.0f} MB; over {window:.0f} s"
            yield Number(f"{name}: the watch process", used, "% of a core", limit=MOST_CPU, note=note)
            yield Number("… its memory (PSS)", memory, "MB", limit=MOST_MB)
            yield Number("… requests to Gerrit", asked, "per minute")


def _watched(portal: Portal, gerrit: Gerrit, seconds: float) -> tuple[float, float, float]:
    """Processor in % of a core, memory in MB, requests a minute."""
    watch = portal.tree("watch")
    gerrit.do("clear")
    used, began = cpu_seconds(watch), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return (cpu_seconds(watch) - used) / took * 100, pss_mb(watch), gerrit.do("asked") / took * 60
