"""From lines to inbox rows: what was heard is read at once, kept in order, and stored in batches.

While the database is away it is kept here, within bounds; beyond them the ear hangs up, and what it then does not hear
is found by the comparison of tips.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from projects import naming, pushes
from projects.drivers.source.base import ChangeMoved, Moved, News
from projects.drivers.source.gerrit.events import Unreadable, parse
from projects.drivers.source.gerrit.lines import Half, Heard, Oversize

from .report import Report

logger = logging.getLogger(__name__)
GATHER_S, LONGEST_GATHER_S = 0.02, 0.25
CALM_S = 0.1  # after so long without storing, what comes is stored at once: it is hardly followed by more
BATCH = 100
MOST_KEPT = 10_000
MOST_BYTES = 64 << 20
LONGEST_PAUSE_S = 2.0
DROPPED, LONGEST_NOTE = b'"dropped-output"', 500


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    size: int
    news: Sequence[News]


class Taker:
    """Belongs to the loop. `damaged` is called when something may have been missed."""

    def __init__(self, connection: Connection, hands: Hands, report: Report, damaged: Callable[[], None]) -> None:
        self._connection = connection
        self._hands = hands
        self._report = report
        self._damaged = damaged
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def hear(self, heard: Sequence[Heard]) -> None:
        """Raises Unavailable `full` when no more can be kept."""
        at, clock, events = time.time(), 0.0, 0
        for line in heard:
            if not isinstance(line, bytes):
                self._spoiled(_told(line))
                continue
            try:
                news = parse(line)
            except Unreadable:
                self._spoiled(S("An event could not be read; branches were compared instead."))
                continue
            events += 1
            if len(line) < LONGEST_NOTE and DROPPED in line:
                self._spoiled(S("The server left events out, since they were read too slowly; branches were compared."))
            if news:
                clock = max(clock, *map(_clock, news))
                self._keep(_Kept(at, len(line), news))
        self._report.heard(events, clock, at)

    async def room(self) -> None:
        """Return when there is room for more."""
        await self._room.wait()

    def _keep(self, kept: _Kept) -> None:
        if len(self._kept) >= MOST_KEPT or self._bytes + kept.size > MOST_BYTES:
            self._room.clear()
            sentence = S("The database is away and no more events can be kept; branches will be compared instead.")
            raise Unavailable(sentence, code="full")
        self._kept.append(kept)
        self._bytes += kept.size
        self._some.set()

    def _spoiled(self, sentence: Sentence) -> None:
        logger.warning("%s: %s", self._connection.name, sentence)
        self._report.spoiled(sentence)
        self._damaged()

    async def run(self) -> None:
        """Store what is kept, in order, until cancelled."""
        stored = took = 0.0
        while True:
            await self._some.wait()
            if len(self._kept) < BATCH and time.monotonic() - stored < CALM_S:
                # Two thirds of the time are for others who write: workers that make builds of what was stored before.
                await asyncio.sleep(min(LONGEST_GATHER_S, max(GATHER_S, 2 * took)))
            batch = [self._kept[at] for at in range(min(BATCH, len(self._kept)))]
            began = time.monotonic()
            await self._store(batch)
            stored = time.monotonic()
            took = stored - began
            for kept in batch:
                self._bytes -= kept.size
                self._kept.popleft()
            if not self._kept:
                self._some.clear()
            if len(self._kept) < MOST_KEPT // 2:
                self._room.set()

    async def _store(self, batch: Sequence[_Kept]) -> None:
        news = [one for kept in batch for one in kept.news]
        heard = pushes.Heard(pushes.Via.STREAM, batch[0].at)
        pause = 0.1
        while True:
            try:
                return await self._hands.do(self._take, news, heard)
            except AWAY as error:
                if pause < LONGEST_PAUSE_S:
                    logger.warning("%s: what was heard waits for the database: %s", self._connection.name, error)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)
            except Exception:  # one event that cannot be stored must not stop all that follow: told, and compared
                logger.exception("%s: %s events could not be stored", self._connection.name, len(news))
                return self._damaged()

    def _take(self, news: Sequence[News], heard: pushes.Heard) -> None:
        pushes.take(self._connection, news, heard)
        naming.heed(self._connection, news)


def _clock(news: News) -> float:
    """When it happened by the server's clock; 0 where it does not say."""
    if isinstance(news, Moved):
        return news.event.happened_at
    return news.patch_set.happened_at if isinstance(news, ChangeMoved) else 0.0


def _told(line: Oversize | Half) -> Sentence:
    if isinstance(line, Oversize):
        return S(
            "An event of %(bytes)s bytes was too large and left out; branches were compared instead.", bytes=line.size
        )
    return S("The connection ended in the middle of an event; branches were compared instead.")
