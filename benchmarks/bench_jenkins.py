"""Builds on a Jenkins: what a start costs, how late lines are, a thousand builds at once, a hundred viewers of one log.

The Jenkins is the simulated one, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .measure import Number
from .remote.crowd import crowd


def measure(scratch: Path) -> Iterator[Number]:
    yield from crowd(scratch)
