"""Finds new events for the sockets of this process: one query for all of them, only while somebody listens.

Without a shared channel layer this is how wake-ups arrive; with one it is the net below it. An event is told by topic
and sequence; listeners ignore what they know, so telling twice is harmless and nothing is told by content.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Max

from fangduoduo_release.common.models import Event

from .pool import DatabasePool

logger = logging.getLogger(__name__)
EVERY_S = 0.2
NET_S = 1.0  # with a channel layer
OVERLAP_S = 3.0  # ids are given before the commit: on PostgreSQL a smaller one may become visible later
AWAY_S = 2.0
HOME = "home"  # the topic of everything; its sequence is the newest event's id

Listener = Callable[[int], None]


class EventPoller:
    """Calls `listener(seq)` on the event loop for every event of a topic. One per process."""

    def __init__(self, pool: DatabasePool) -> None:
        self._pool = pool
        self._listeners: dict[str, set[Listener]] = {}
        self._task: asyncio.Task[None] | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._ready = asyncio.Event()

    async def listen(self, topic: str, listener: Listener) -> None:
        """Return when everything that is committed from now on will be told."""
        self._listeners.setdefault(topic, set()).add(listener)
        if self._task is None or self._task.done():
            self._ready = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._poll())
        await self._ready.wait()

    def leave(self, topic: str, listener: Listener) -> None:
        listeners = self._listeners.get(topic, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(topic, None)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _poll(self) -> None:
        self._seen.clear()
        while True:
            try:
                newest, news = await self._pool.run(self._look)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("cannot look for events: %s", error)
                await asyncio.sleep(AWAY_S)
                continue
            self._remember(newest)
            self._ready.set()
            for topic, seq in news.items():
                for listener in list(self._listeners.get(topic, ())):
                    listener(seq)
            await asyncio.sleep(NET_S if settings.REDIS_URL else EVERY_S)

    def _look(self) -> tuple[int, dict[str, int]]:
        """(newest id, {topic: newest sequence}) of the events since the last looks; the first look tells no news."""
        if not self._seen:
            return Event.objects.aggregate(newest=Max("pk"))["newest"] or 0, {}
        low = self._seen[-1][1] if connection.vendor == "sqlite" else self._seen[0][1]
        found = Event.objects.filter(pk__gt=low).values_list("topic").annotate(seq=Max("seq"), newest=Max("pk"))
        news: dict[str, int] = {}
        newest = self._seen[-1][1]
        for topic, seq, pk in found:
            news[topic] = seq
            newest = max(newest, pk)
        if newest > self._seen[-1][1]:
            news[HOME] = newest
        return newest, news

    def _remember(self, newest: int) -> None:
        now = time.monotonic()
        self._seen.append((now, newest))
        while len(self._seen) > 1 and now - self._seen[1][0] > OVERLAP_S:
            self._seen.popleft()


pool = DatabasePool("wake", 4)
poller = EventPoller(pool)
