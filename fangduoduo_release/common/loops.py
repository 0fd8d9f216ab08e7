"""A thread with an event loop that a duty keeps going: it tends what it looks after at every tick, and ends by itself when the
duty renews it no more, or lost its lease.

Whoever derives from it says what is tended (`tend`) and how all of it is ended (`leave`), in the loop. Django-free.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

from .hands import AWAY, Hands

logger = logging.getLogger(__name__)


class Loop:
    """Begun by the duty, which renews it. `hands` are closed at its end. `daemon`: it has no leases to give back."""

    tick_s = 2.0
    step_s = 0.2
    grace_s = 60.0  # without a call of the duty for so long, the process is thought to be ending

    def __init__(self, name: str, lost: threading.Event, hands: Sequence[Hands], *, daemon: bool = False) -> None:
        self._all_hands = hands
        self._away = False
        self.renew(lost)
        self._thread = threading.Thread(target=self._run, name=name, daemon=daemon)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def renew(self, lost: threading.Event) -> None:
        self._lost, self._until = lost, time.monotonic() + self.grace_s

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    async def tend(self) -> None:
        """Called at every tick. The database being away (`AWAY`) is told once and waited for."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Called at the end."""
        raise NotImplementedError

    def _over(self) -> bool:
        return self._lost.is_set() or time.monotonic() > self._until

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            for hands in self._all_hands:
                hands.close()

    async def _main(self) -> None:
        looked = -self.tick_s
        while not self._over():
            if time.monotonic() - looked >= self.tick_s:
                looked = time.monotonic()
                await self._tend_once()
            await asyncio.sleep(self.step_s)
        await self.leave()

    async def _tend_once(self) -> None:
        try:
            await self.tend()
            self._away = False
        except AWAY as error:
            if not self._away:
                logger.warning("%s cannot reach its database: %s", self._thread.name, error)
            self._away = True
