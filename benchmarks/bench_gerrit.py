"""Pushes on a Gerrit: how soon they are builds in the queue, and what floods, repetitions, a dead listener and idling do.

The Gerrit is the simulated one, in a process of its own; the portal is whole, as `make run` starts it. Builds end at
once, since their pipeline cannot run. FDD_BENCH_LONG=1: the listener is dead for five minutes instead of half a one,
and idling is watched over three comparisons instead of one. FDD_BENCH_PARTS="calm flood": only these parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.portal import Portal

from .gerrit import calm, flood, gap, idle
from .gerrit.ground import Gerrit, connect
from .measure import Number

PROJECTS = 30
LONG = bool(os.environ.get("FDD_BENCH_LONG"))
PARTS = os.environ.get("FDD_BENCH_PARTS", "calm people others repeated gap flood idle").split()


def measure(scratch: Path) -> Iterator[Number]:
    with Gerrit() as gerrit:
        projects = gerrit.projects(PROJECTS)
        if {"calm", "people", "others", "repeated", "gap"} & set(PARTS):
            with Portal(scratch / "var") as portal:
                rows = connect(portal, gerrit, projects)
                if "calm" in PARTS:
                    yield from calm.lines(gerrit, rows, projects, scratch)
                if "people" in PARTS:
                    yield from calm.people(gerrit, rows, projects[-1], scratch)
                if "repeated" in PARTS:
                    yield flood.repeated(gerrit, rows, projects)
                if "gap" in PARTS:
                    yield from gap.killed(portal, gerrit, rows, projects[5:10], scratch, LONG)
                if "others" in PARTS:
                    yield from flood.others(gerrit, rows, projects)
        if "flood" in PARTS:
            yield from flood.sustained(gerrit, projects, scratch)
        if "idle" in PARTS:
            yield from idle.idle(gerrit, scratch, LONG)
