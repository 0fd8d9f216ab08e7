"""The sweeper: finds due rows every second, rings again, and works itself when nobody answers.

With no broker at all, or a queue that looks healthy and runs nothing, everything still moves.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from . import runs
from .clock import Clock, Mender
from .engines import Engine, drive, engines
from .queue import ring

logger = logging.getLogger(__name__)
RING_AGAIN_S = 5.0
PATIENCE_S = 2.0  # unclaimed for so long after a ring: do it here
MEND_EVERY_S = 10.0
AT_ONCE = 200
RUNG_A_WORKER = 4  # so many rows of one engine may be rung for and not yet begun: later rings would only queue behind


class Sweeper:
    """Holds only hints (which row was seen due since when); losing it loses nothing."""

    def __init__(self, hands: int = 2) -> None:
        self._seen: dict[tuple[str, int], tuple[float, float]] = {}
        self._pool = ThreadPoolExecutor(max_workers=hands, thread_name_prefix="sweeper")
        self._hands = hands
        self._busy: set[tuple[str, int]] = set()
        self._broken: set[str] = set()
        self._clock = Clock()
        self._mender = Mender()
        self._mended_at = 0.0
        self._quiet_until = 0.0
        self.oldest_wait_s = 0.0
        self.held_back = False  # whether some were not rung for since enough others are

    def sweep(self) -> int:
        """One pass; returns the number of due rows. `oldest_wait_s` tells how long the oldest has been seen unclaimed."""
        now = time.monotonic()
        self.held_back = False
        moved = self._clock.jumped()
        if moved:
            logger.warning("the database's clock moved by %.0f s; leases get time to be renewed", moved)
            self._quiet_until = now + settings.LEASE_S
        if now < self._quiet_until:
            return 0
        due_now: dict[tuple[str, int], tuple[float, float]] = {}
        for engine in engines().values():
            due_now.update(self._look(engine, now))
        self._seen = due_now
        self.oldest_wait_s = max((now - first for first, _ in due_now.values()), default=0.0)
        if now - self._mended_at > MEND_EVERY_S:
            self._mended_at = now
            self._mender.mend({engine.model for engine in engines().values()})
        return len(due_now)

    def _look(self, engine: Engine, now: float) -> dict[tuple[str, int], tuple[float, float]]:
        try:
            ids = list(engine.mine(runs.due(engine.model)).order_by("next_at").values_list("pk", flat=True)[:AT_ONCE])
        except (DatabaseError, InterfaceError):
            raise
        except Exception:  # one engine's fault must not stop the others; told once, tried at every pass
            if engine.kind not in self._broken:
                self._broken.add(engine.kind)
                logger.exception("the engine %s cannot say what is due", engine.kind)
            return {}
        self._broken.discard(engine.kind)
        found = {}
        seen = {pk: self._seen.get((engine.kind, pk), (now, 0.0)) for pk in ids}
        room = RUNG_A_WORKER * settings.WORKERS - sum(rung > 0 for _, rung in seen.values())
        for pk, (first, rung) in seen.items():
            key = (engine.kind, pk)
            if now - rung > RING_AGAIN_S if rung else room > 0:
                room -= not rung
                ring(engine.kind, pk)
                rung = now
            self.held_back = self.held_back or not rung
            if now - first > PATIENCE_S and key not in self._busy and len(self._busy) < self._hands:
                self._do(engine, pk)
            found[key] = (first, rung)
        return found

    def _do(self, engine: Engine, pk: int) -> None:
        key = (engine.kind, pk)
        self._busy.add(key)

        def work() -> None:
            try:
                drive(engine, pk)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the database failed under %s %s: %s", engine.kind, pk, error)
            except Exception:  # nobody else would ever hear of it: this is a thread of a pool
                logger.exception("%s %s failed in the sweeper", engine.kind, pk)
            finally:
                connections.close_all()  # these threads rest for hours
                self._busy.discard(key)

        self._pool.submit(work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
