"""Keep trying while the database is locked or away; for work that must not be lost because the database slept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connection

logger = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE_S = 180.0


def through_outages(action: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
    """Call `action` (one whole transaction) until the database answers; raises the last error after `patience_s`."""
    until = time.monotonic() + patience_s
    pause = 0.1
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            logger.warning("the database is away; trying again in %.1f s", pause)
            connection.close()
            close_old_connections()
            time.sleep(pause)
            pause = min(2.0, pause * 2)
