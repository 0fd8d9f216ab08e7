"""One following of a log for everybody in this process who watches it: the cluster is asked the same however many they are.

A tail keeps the last lines in a ring. It reads on as long as its quickest viewer takes; one that falls behind the ring is told
how many lines it has missed. Alone, a slow viewer misses none: it holds the reading back. Knows nothing of sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from clusters.drivers.runtime.base import LogLine, LogQuery, ServiceRef
from clusters.drivers.runtime.streams import Streams
from fangduoduo_release.common.errors import AppError

RING = 1024 * 1024
AHEAD = 256 * 1024  # unread by the quickest
A_LINE = 100  # what a line costs beside its text

Key = tuple[int, LogQuery]


@dataclass(slots=True)
class Viewer:
    """`next`: the number of the first line it has not taken."""

    next: int = 0


class Tail:
    """The lines of one query on one service. `over` once nothing will follow; `error` says why, if that was not meant."""

    def __init__(self, streams: Streams, service: ServiceRef, query: LogQuery) -> None:
        self._streams = streams
        self._service = service
        self._query = query
        self._lines: deque[LogLine] = deque()
        self._ends: deque[int] = deque()  # the bytes up to each line's end
        self._first = 0  # the number of the first line in the ring
        self._bytes = 0
        self._news = asyncio.Event()
        self._took = asyncio.Event()
        self.viewers: list[Viewer] = []
        self.over = False
        self.error: AppError | None = None

    @property
    def end(self) -> int:
        return self._first + len(self._lines)

    async def run(self) -> None:
        """Read until the end, or until nobody watches."""
        lines = self._streams.follow(self._service, self._query)
        try:
            async for line in lines:
                while self._unread() >= AHEAD:
                    self._took.clear()
                    await self._took.wait()
                self._keep(line)
        except AppError as error:
            self.error = error
        finally:
            self.over = True
            self._news.set()
            with contextlib.suppress(RuntimeError):
                await lines.aclose()  # type: ignore[attr-defined]

    def _keep(self, line: LogLine) -> None:
        self._bytes += len(line.data) + A_LINE
        self._lines.append(line)
        self._ends.append(self._bytes)
        while self._bytes - self._ends[0] > RING:
            self._lines.popleft()
            self._ends.popleft()
            self._first += 1
        self._news.set()

    def _unread(self) -> int:
        """Bytes that even the quickest viewer has not taken."""
        quickest = max((viewer.next for viewer in self.viewers), default=self.end)
        if quickest >= self.end:
            return 0
        behind = quickest - self._first - 1
        return self._bytes - (self._ends[behind] if behind >= 0 else self._ends[0])

    def join(self) -> Viewer:
        """A new viewer, who begins with the last lines that were asked for."""
        wanted = self._query.tail
        start = self._first if self._query.since is not None else max(self._first, self.end - wanted)
        viewer = Viewer(next=start)
        self.viewers.append(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self.viewers.remove(viewer)
        self._took.set()

    async def take(self, viewer: Viewer, limit: int) -> tuple[int, list[LogLine]]:
        """(how many were missed, the next lines, about `limit` bytes of them); nothing once it is over. Waits for some."""
        while viewer.next >= self.end and not self.over:
            self._news.clear()
            await self._news.wait()
        missed = max(0, self._first - viewer.next)
        begin = viewer.next + missed
        found: list[LogLine] = []
        size = 0
        for line in itertools.islice(self._lines, begin - self._first, None):
            size += len(line.data) + A_LINE
            found.append(line)
            if size >= limit:
                break
        viewer.next = begin + len(found)
        self._took.set()
        return missed, found


class Hub:
    """The tails of this process, each alive while it has viewers."""

    def __init__(self) -> None:
        self._tails: dict[Key, tuple[Tail, asyncio.Task[None]]] = {}

    @contextlib.asynccontextmanager
    async def tail(self, pk: int, query: LogQuery, make: Callable[[], Tail]) -> AsyncIterator[tuple[Tail, Viewer]]:
        """The tail of this query, begun when nobody watches it yet."""
        key = (pk, query)
        known = self._tails.get(key)
        if known is None or known[0].over:
            made = make()
            known = self._tails[key] = (made, asyncio.get_running_loop().create_task(made.run()))
        tail, task = known
        viewer = tail.join()
        try:
            yield tail, viewer
        finally:
            tail.leave(viewer)
            if not tail.viewers:
                task.cancel()
                if self._tails.get(key) is known:
                    del self._tails[key]
