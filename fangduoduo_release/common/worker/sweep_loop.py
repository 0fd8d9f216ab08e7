"""The sweeper's process: a pass every second, a sign of life every five, through every outage of the database."""

from __future__ import annotations

import logging
import os
import signal
import time

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from fangduoduo_release.common import leases
from fangduoduo_release.common.models import Beat
from fangduoduo_release.common.sweeper import Sweeper

from .children import Stop
from .marks import Mark, marks

logger = logging.getLogger(__name__)
EVERY_S = 1.0
BUSY_S = 0.4  # while there is more than the queue was told of
BEAT_S = 5.0


def run_sweeper() -> None:
    """Sweep until SIGTERM."""
    stop = Stop()
    stop.on_signals(signal.SIGTERM)
    loop = SweepLoop(f"worker:{settings.HOST_ID}:{os.getppid()}")
    while not stop.wait(BUSY_S if loop.held_back else EVERY_S):
        loop.once()
    loop.close()


class SweepLoop:
    """One pass at a time; an error is told once, then waited out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sweeper = Sweeper()
        self._due = 0
        self._beat_at = 0.0
        self._trouble = ""
        self._started = time.time()

    @property
    def held_back(self) -> bool:
        return self._sweeper.held_back

    def once(self) -> None:
        marks.touch(Mark.SWEPT)
        try:
            close_old_connections()
            self._due = self._sweeper.sweep()
            marks[Mark.OLDEST_WAIT_S] = self._sweeper.oldest_wait_s
            if time.monotonic() - self._beat_at >= BEAT_S:
                self._beat()
            if self._trouble:
                logger.warning("the sweeper works again")
                self._trouble = ""
        except Exception as error:  # whatever it is (the database is away, an engine's `mine` fails): look again
            marks[Mark.OLDEST_WAIT_S] = 0.0
            connections.close_all()
            if repr(error) != self._trouble:
                self._trouble = repr(error)
                logger.exception("the sweeper cannot look; it tries again every second")

    def _beat(self) -> None:
        if not self._beat_at:
            leases.forget_old_beats()
        leases.beat(
            self._name,
            "worker",
            due=self._due,
            oldest_wait_s=round(self._sweeper.oldest_wait_s, 1),
            queue_restarts=int(marks[Mark.QUEUE_RESTARTS]),
            workers=settings.WORKERS,
            started_at=int(self._started),
        )
        self._beat_at = time.monotonic()

    def close(self) -> None:
        self._sweeper.close()
        try:
            Beat.objects.filter(name=self._name).delete()
        except DatabaseError:  # a last courtesy: the ops page shows an old beat instead
            logger.info("no goodbye: the database is away")
        connections.close_all()
