"""A post: one duty at one process. When it is due, whether it runs, how it went, how patient to be after failures."""

from __future__ import annotations

import logging
import random
import threading
import time
import traceback
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any

from django.db import DatabaseError, connections
from django.db.models import F
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from fangduoduo_release.common import leases
from fangduoduo_release.common.models import Beat

from .duty import Duty, Tenure, begin

logger = logging.getLogger(__name__)
LONGEST_BACKOFF_S = 300.0
TELL_EVERY_S = 5.0  # a duty every second does not write a row every second
_importing = threading.Lock()  # two threads that import packages which know each other would fail with a deadlock


class Post:
    """Belongs to the watch's main thread; only `_work` runs in the pool. Times are monotonic seconds."""

    def __init__(self, duty: Duty, owner: str) -> None:
        self.duty = duty
        self.tenure: Tenure | None = None
        self.running: Future[None] | None = None
        self.started = 0.0
        self.next_at = 0.0
        self._owner = owner
        self._failures = 0
        self._told_at = 0.0
        self._told_late = False

    @property
    def beat_name(self) -> str:
        return f"duty:{self.duty.name}"

    def take(self, fence: int) -> None:
        """The duty is ours from now on; the next call keeps the distance from the last one, whoever made it."""
        age = Beat.objects.filter(name=self.beat_name).values_list(Now() - F("seen_at"), flat=True).first()
        every = self.duty.every_s
        since = age.total_seconds() if age is not None else every
        self.next_at = time.monotonic() + min(max(every - since, 0.0), every) + random.uniform(0, min(every * 0.05, 2))  # noqa: S311
        self.tenure = Tenure(self.duty.name, fence)
        self._told_at = 0.0

    def lose(self) -> None:
        if self.tenure is not None:
            self.tenure.lost.set()
            self.tenure = None

    def tend(self, pool: Executor, now: float) -> None:
        """Start the duty when it is due, settle it when it has ended, report it when it takes too long."""
        if self.running is not None and self.running.done():
            self.running = None
            self.next_at = self.started + self._pause()
        if self.running is None and self.tenure is not None and now >= self.next_at:
            self.started, self._told_late = now, False
            self.running = pool.submit(copy_context().run, self._work, self.tenure)
        elif self.running is not None and now - self.started > self.duty.limit_s and not self._told_late:
            self._told_late = True
            logger.error("the duty %s takes longer than %g s", self.duty.name, self.duty.limit_s)
            self._tell(late=True)

    def is_stuck(self, now: float) -> bool:
        return self.running is not None and now - self.started > 5 * self.duty.limit_s

    def wakes_at(self) -> float:
        """When the main thread should look here again."""
        if self.running is not None:
            return self.started + (5 if self._told_late else 1) * self.duty.limit_s
        return self.next_at if self.tenure is not None else float("inf")

    def _pause(self) -> float:
        every = self.duty.every_s * random.uniform(0.95, 1.05)  # noqa: S311
        return min(every * 2**self._failures, max(every, LONGEST_BACKOFF_S)) if self._failures else every

    def _work(self, held: Tenure) -> None:
        begin(held)
        error = ""
        try:
            with _importing:
                work = import_string(self.duty.path)
            work()
        except Exception as trouble:  # a duty's failure is its own: told, shown, tried again later
            error = f"{type(trouble).__name__}: {trouble}"
            if self._failures in {0, 9}:
                logger.exception("the duty %s failed", self.duty.name)
            else:
                logger.warning("the duty %s failed again: %s", self.duty.name, error)
        was_failing, self._failures = bool(self._failures), self._failures + 1 if error else 0
        if not held.lost.is_set() and (error or was_failing or time.monotonic() - self._told_at >= TELL_EVERY_S):
            self._tell(took_s=round(time.monotonic() - self.started, 2), error=error or None)
        connections.close_all()

    def _tell(self, **info: Any) -> None:
        try:
            leases.beat(
                self.beat_name,
                "duty",
                owner=self._owner,
                group=self.duty.group,
                every_s=self.duty.every_s,
                failures=self._failures,
                **info,
            )
            self._told_at = time.monotonic()
        except DatabaseError:
            logger.warning("the duty %s cannot be shown: %s", self.duty.name, traceback.format_exc(limit=1))
