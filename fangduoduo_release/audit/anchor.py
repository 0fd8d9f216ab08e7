"""The highest place in the chain that this host saw, in a file outside the database.

Whoever can rewind the database, head and all, cannot rewind this. Best effort: it is written after the commit, a crash
in between leaves it a row behind, and nothing stops when the disk is full.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from django.conf import settings

from .chain import Point

logger = logging.getLogger(__name__)
ship = logging.getLogger("audit")  # one line per row, for whoever collects logs elsewhere


class Unreadable(Exception):
    """The file is there, but it is not what we wrote."""


def announce(point: Point) -> None:
    """After the commit: tell the log, move the anchor on."""
    ship.info("%s", point)
    try:
        move(point)
    except (OSError, Unreadable):
        logger.warning("the audit's anchor could not be moved to row %s", point.seq, exc_info=True)


def read() -> Point | None:
    """The place the anchor holds; None when there is none yet. Raises Unreadable."""
    try:
        text = Path(settings.AUDIT_ANCHOR).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Unreadable from error
    point = Point.parse(text)
    if point is None:
        raise Unreadable
    return point


def move(point: Point, *, back: bool = False) -> None:
    """Put the anchor there; backwards only when it is said so. Raises OSError, Unreadable."""
    path = Path(settings.AUDIT_ANCHOR)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path.parent / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel however this process ends
        if not back:
            known = read()
            if known is not None and known.seq >= point.seq:
                return
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(f"{point}\n", encoding="ascii")
        os.replace(fresh, path)  # noqa: PTH105 - atomically, whatever stood there
