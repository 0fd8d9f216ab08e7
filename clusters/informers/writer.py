"""Empties the ledger of one cluster into rows, a batch at a time; and says whose objects changed. Belongs to the loop."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import datetime

from fangduoduo_release.common.hands import AWAY, Hands

from . import rows
from .ledger import Batch, Ledger
from .news import News

logger = logging.getLogger(__name__)
BATCH = 500
GATHER_S, LONGEST_GATHER_S = 0.02, 0.15
CALM_S = 0.1  # after so long without storing, what comes is stored almost at once
BEAT_S = 2.0
LONGEST_PAUSE_S = 2.0


class Writer:
    """One write at a time; what comes meanwhile is gathered."""

    def __init__(self, hold: rows.Hold, ledger: Ledger, hands: Hands, news: News) -> None:
        self._hold, self._ledger, self._hands, self._news = hold, ledger, hands, news
        self._beaten = 0.0

    async def begin(self) -> None:
        """Take over what the one before left. Raises Lost."""
        found = await self._patiently(rows.begin, self._hold, list(self._ledger.feeds))
        for key, feed in self._ledger.feeds.items():
            feed.taken_over(found[key])
        self._ledger.services |= await self._patiently(rows.services, self._hold.cluster)

    async def run(self) -> None:
        """Until cancelled. Raises Lost."""
        took = 0.0
        ended = 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ledger.some.wait(), self._until_beat())
            if self._ledger.count < BATCH and self._ledger.some.is_set():
                calm = time.monotonic() - ended > CALM_S
                await asyncio.sleep(GATHER_S if calm else min(LONGEST_GATHER_S, max(GATHER_S, 2 * took)))
            batch, beats = self._ledger.take(BATCH), self._beats()
            began = time.monotonic()
            await self._store(batch, beats)
            ended = time.monotonic()
            took = ended - began

    def _until_beat(self) -> float:
        return max(0.0, self._beaten + BEAT_S - time.monotonic())

    def _beats(self) -> dict[str, datetime]:
        if self._until_beat() > 0:
            return {}
        self._beaten = time.monotonic()
        found = {key: feed.seen_at() for key, feed in self._ledger.feeds.items()}
        return {key: at for key, at in found.items() if at is not None}

    async def _store(self, batch: Batch, beats: dict[str, datetime]) -> None:
        if not batch.seen and not batch.feeds and not beats:
            return
        keys = self._ledger.services_of(batch)  # before those that are gone are forgotten
        try:
            await self._hands.do(rows.store, self._hold, batch, beats)
        except AWAY as error:
            logger.warning("%s: what was seen waits for the database: %s", self._hold.lease, error)
            self._ledger.give_back(batch)
            await asyncio.sleep(LONGEST_PAUSE_S / 2)
        else:
            await self._ledger.stored(batch)
            self._news.hear(keys)

    async def _patiently(self, work, *given):  # type: ignore[no-untyped-def]
        pause = 0.1
        while True:
            try:
                return await self._hands.do(work, *given)
            except AWAY as error:
                logger.warning("%s: its feeds wait for the database: %s", self._hold.lease, error)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)
