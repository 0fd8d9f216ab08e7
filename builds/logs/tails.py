"""One look at a growing log for everybody in this process who watches it.

A tail asks the database for the log's totals while somebody watches, and loads each block once however many viewers
want it. Knows nothing of sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from django.db import DatabaseError, InterfaceError

from builds.remote.watching import AGAIN_S, watched
from fangduoduo_release.common.sockets.pool import DatabasePool

from . import marks as marking
from .blocks import Block, Head, block_at, cache, head

logger = logging.getLogger(__name__)
FAST_S, SLOW_S = 0.1, 0.2
QUIET_S = 2.0  # without growth: look more slowly
AWAY_S = 1.0


class Tail:
    """The log of one build as its viewers see it. `now` and `marks` are as of the last look."""

    def __init__(self, build_id: int, pool: DatabasePool) -> None:
        self.build_id = build_id
        self.now = Head(build_id)
        self.marks = marking.MarkTable(build_id)
        self.viewers = 0
        self.looks = self.loads = 0
        self._pool = pool
        self._news = asyncio.Event()
        self._loading = asyncio.Lock()
        self._first = asyncio.Event()

    async def ready(self) -> None:
        """Return after the first look."""
        await self._first.wait()

    async def news(self) -> None:
        """Return when the totals have changed since this was called."""
        await self._news.wait()

    async def block(self, offset: int) -> Block | None:
        """The block with the byte at `offset`, below `now.size`; loaded by one viewer for all."""
        found = cache.find(self.build_id, offset)
        if found is None:
            async with self._loading:
                found = cache.find(self.build_id, offset)
                if found is None:
                    self.loads += 1
                    found = await self._pool.run(block_at, self.now, offset)
        return found

    async def follow(self) -> None:
        """Look until the log is complete."""
        grown = time.monotonic()
        said = 0.0
        while not self.now.complete:
            try:
                if time.monotonic() - said > AGAIN_S:
                    said = time.monotonic()
                    await self._pool.run(watched, self.build_id)
                fresh = await self._pool.run(self._look)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the log of build %s cannot be looked at: %s", self.build_id, error)
                await asyncio.sleep(AWAY_S)
                continue
            if fresh != self.now or not self._first.is_set():
                grown = time.monotonic()
                self.now = fresh
                self._first.set()
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(FAST_S if time.monotonic() - grown < QUIET_S else SLOW_S)

    def _look(self) -> Head:
        self.looks += 1
        fresh = head(self.build_id)
        if fresh.size != self.now.size:
            self.marks.refresh()
        return fresh


class Hub:
    """The tails of this process, each alive while it has viewers."""

    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool
        self._tails: dict[int, tuple[Tail, asyncio.Task[None]]] = {}

    @contextlib.asynccontextmanager
    async def tail(self, build_id: int) -> AsyncIterator[Tail]:
        known = self._tails.get(build_id)
        if known is None or known[1].cancelled():
            made = Tail(build_id, self._pool)
            known = self._tails[build_id] = (made, asyncio.get_running_loop().create_task(made.follow()))
        tail, task = known
        tail.viewers += 1
        try:
            yield tail
        finally:
            tail.viewers -= 1
            if not tail.viewers:
                task.cancel()
                del self._tails[build_id]
