"""The sweeper: finds due rows every second, rings again, and works itself when nobody answers.

With no broker at all, or a queue that looks healthy and runs nothing, everything still moves.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections

from . import runs
from .engines import Engine, drive, engines
from .queue import ring

RING_AGAIN_S = 5.0
PATIENCE_S = 2.0  # unclaimed for so long after a ring: do it here


class Sweeper:
    """Holds only hints (which row was seen due since when); losing it loses nothing."""

    def __init__(self, hands: int = 2) -> None:
        self._seen: dict[tuple[str, int], tuple[float, float]] = {}
        self._pool = ThreadPoolExecutor(max_workers=hands, thread_name_prefix="sweeper")
        self._busy: set[tuple[str, int]] = set()
        self.oldest_wait_s = 0.0

    def sweep(self) -> int:
        """One pass; returns the number of due rows. `oldest_wait_s` tells how long the oldest has been seen unclaimed."""
        now = time.monotonic()
        due_now: dict[tuple[str, int], tuple[float, float]] = {}
        for engine in engines().values():
            ids = engine.mine(runs.due(engine.model)).order_by("next_at").values_list("pk", flat=True)[:200]
            for pk in ids:
                key = (engine.kind, pk)
                first, rung = self._seen.get(key, (now, 0.0))
                if now - rung > RING_AGAIN_S:
                    ring(engine.kind, pk)
                    rung = now
                if now - first > PATIENCE_S and key not in self._busy:
                    self._do(engine, pk)
                due_now[key] = (first, rung)
        self._seen = due_now
        self.oldest_wait_s = max((now - first for first, _ in due_now.values()), default=0.0)
        return len(due_now)

    def _do(self, engine: Engine, pk: int) -> None:
        key = (engine.kind, pk)
        self._busy.add(key)

        def work() -> None:
            try:
                drive(engine, pk)
            finally:
                self._busy.discard(key)
                close_old_connections()

        self._pool.submit(work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
