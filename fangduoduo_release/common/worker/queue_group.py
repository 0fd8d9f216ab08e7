"""The queue's process group: django-q2's sentinel as its leader, with the workers, the pusher and the monitor.

django-q2 replaces a dead member and goes on; but a member killed while it held one of the queue's locks leaves the
lock taken for ever, and the group then looks healthy and runs nothing. So any unclean death ends the whole group,
and the supervisor starts a new one: what was rung for is in the rows.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import uuid
from typing import Any

from django.db import connections
from django_q.cluster import Sentinel
from django_q.signals import post_execute_in_worker, pre_execute

from .children import Stop, bind_forks_to_parent
from .marks import Mark, marks

logger = logging.getLogger(__name__)
POISONED = 70


class Guard(Sentinel):  # type: ignore[misc]
    """A sentinel that gives the group up when one of its members died uncleanly."""

    def reincarnate(self, process: Any) -> None:
        if process.exitcode:
            logger.warning("a process of the queue died (%s); starting the whole group again", process.exitcode)
            os._exit(POISONED)
        super().reincarnate(process)


def _started(**_kwargs: object) -> None:
    marks.touch(Mark.STARTED)


def _finished(**_kwargs: object) -> None:
    marks.touch(Mark.FINISHED)


def run_queue() -> None:
    """The group's leader: runs until SIGTERM, then lets the workers finish what they hold."""
    bind_forks_to_parent()
    stop = Stop(on_wait=lambda: marks.touch(Mark.GUARD))
    guard = Guard(stop, multiprocessing.Event(), uuid.uuid4(), start=False)
    # After the sentinel's own choice: it ignores SIGINT, and programs started by a worker would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    stop.on_signals(signal.SIGTERM)
    pre_execute.connect(_started, weak=False)
    post_execute_in_worker.connect(_finished, weak=False)
    connections.close_all()
    guard.start()
