"""Builds on a Jenkins: what a start costs, how late lines are, a thousand builds at once, a hundred viewers of one log.

The Jenkins is the simulated one, in a process of its own; it flushes a log at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.portal import Portal

from .client import Project
from .measure import Number
from .remote.crowd import crowd
from .remote.lines import hundred, one_line
from .remote.served import Served
from .remote.starting import connect, step_alone, whole_portal


def measure(scratch: Path) -> Iterator[Number]:
    yield from step_alone(scratch)
    with Served() as jenkins, Portal(scratch / "var") as portal:
        project = Project(portal, scratch)
        project.finished("builds", 1)
        jenkins.do("adopt")
        connect(portal, jenkins, project.slug)
        yield from whole_portal(portal, project, jenkins)
        yield from one_line(portal, project, jenkins)
        yield hundred(portal, project, jenkins)
    yield from crowd(scratch)
