"""What a duty is, and what its function may ask while it runs. Django-free: the settings import this."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Duty:
    """A plain function `path` (dotted, no arguments), called every `every_s` seconds by one process at a time.

    It must stand being called twice at once for a moment (a lease can be lost in the middle) and should end within
    `limit_s`; longer is reported, five times as long ends the process. `group`: sources, builders, clusters, portal.
    `everywhere`: every process calls it, also while the database is away; it shares its work out by leases of its own.
    """

    name: str
    path: str
    every_s: float
    group: str
    limit_s: float = 60.0
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Tenure:
    """A held duty: `fence` grows with every change of hands; `lost` is set when the work must stop."""

    name: str
    fence: int
    lost: threading.Event = field(default_factory=threading.Event)


_current: ContextVar[Tenure | None] = ContextVar("tenure", default=None)


def tenure() -> Tenure:
    """The tenure under which the calling duty runs; outside the watch one that is never lost."""
    return _current.get() or Tenure("", 0)


def begin(held: Tenure) -> None:
    """Say under which tenure the current context works."""
    _current.set(held)
