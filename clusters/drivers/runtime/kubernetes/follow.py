"""Followed logs: the pods of a service merged, across restarts of containers and replacement of pods, until closed.

Which pods there are comes from whoever calls (rows, never the API server). A stream that ends is taken up again where it
ended, without repeating or losing a line. Whoever takes slowly holds the HTTP reads back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from clusters.drivers.runtime.base import LogLine, LogQuery
from clusters.drivers.runtime.streams import AWAY, BACK, JOINED, LEFT, NEWS, RESTARTED
from fangduoduo_release.common.errors import AppError, NotFound, Unavailable
from fangduoduo_release.common.sentence import S

from .api import Answer, judge
from .async_api import AsyncApi
from .box import Box
from .containers import Pod, Sight, sights
from .log_lines import Had, Splitter, Stamped, moment, zulu
from .names import PODS

LOOK_S = 1.0
SILENCE_S = 300.0  # then the stream is opened anew: a connection that nobody hears of may be none
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 15.0
WORTH_S = 3.0  # a stream that held so long is opened anew at once
GRACE_S = 1.0
ENDED_PAUSE_S = 60.0  # a container that has ended: another run will be seen in the rows
MOST = 100  # instances read at once
BACKLOGS_AT_ONCE = 8
BACKLOG_BYTES = 4 * 1024 * 1024  # of all of them

Look = Callable[[], Awaitable[Sequence[Pod]]]


@dataclass(slots=True)
class Source:
    """One container's log and how far it was read."""

    sight: Sight
    had: Had = field(default_factory=Had)
    opened: str = ""  # the run that was read last
    there: bool = True
    away: bool = False  # the server could not be asked
    limit: asyncio.Timeout | None = None  # of the stream that is read now

    @property
    def key(self) -> tuple[str, str]:
        return self.sight.pod, self.sight.container

    @property
    def path(self) -> str:
        return PODS.path(self.sight.namespace, self.sight.pod, "log")


class Follower:
    """One following of one query. `lines` may be taken once."""

    def __init__(self, api: AsyncApi, look: Look, query: LogQuery) -> None:
        self._api = api
        self._look = look
        self._query = query
        self._box: Box[LogLine] = Box()
        self._sources: dict[tuple[str, str], Source] = {}
        self._news = asyncio.Event()

    async def lines(self) -> AsyncIterator[LogLine]:
        """Raises NotFound (no such instance or container), Rejected, Unavailable (only before the first line)."""
        await self._see(first=True)
        for line in await self._backlog():
            yield line
        if self._query.previous:
            return
        hand = asyncio.get_running_loop().create_task(self._read_all())
        hand.add_done_callback(self._over)
        try:
            while True:
                for line in await self._box.take():
                    yield line
        finally:
            hand.cancel()
            await asyncio.gather(hand, return_exceptions=True)

    def _over(self, hand: asyncio.Task[None]) -> None:
        if not hand.cancelled() and (error := hand.exception()) is not None:
            self._box.fail(error)

    # -- which there are --------------------------------------------------------------------------------------------

    async def _see(self, *, first: bool = False) -> list[Source]:
        """Look again; the sources that are new. Raises NotFound at first, for a named instance that is not there."""
        pods = [pod for pod in await self._look() if self._query.instance in ("", pod["metadata"]["name"])]
        pods = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))[-MOST:]
        seen = {(one.pod, one.container): one for pod in pods for one in sights(pod, self._query.container)}
        if first and self._query.instance and not pods:
            raise NotFound(S("There is no instance “%(name)s” any more.", name=self._query.instance))
        if first and pods and not seen:
            raise NotFound(S("The instances have no container “%(name)s”.", name=self._query.container))
        for key, source in self._sources.items():
            source.there = key in seen
            source.sight = seen.get(key, source.sight)
            self._doubt(source)
        fresh = {key: Source(sight) for key, sight in seen.items() if key not in self._sources}
        self._sources |= fresh
        news, self._news = self._news, asyncio.Event()
        news.set()
        return list(fresh.values())

    def _doubt(self, source: Source) -> None:
        """Another run began. A stream of the run before ends by itself; one that does not is the new run's already, and
        rows were late: begin again, so that the last words of the run before are had too."""
        limit = source.limit
        if limit is not None and limit.when() is None and source.sight.run not in ("", source.opened):
            limit.reschedule(asyncio.get_running_loop().time() + GRACE_S)

    async def _read_all(self) -> None:
        """Read every source there is, and look for new ones. The first that fails for good ends all."""
        try:
            async with asyncio.TaskGroup() as tasks:
                fresh = list(self._sources.values())
                while True:
                    for source in fresh:
                        tasks.create_task(self._read(source))
                    await asyncio.sleep(LOOK_S)
                    with contextlib.suppress(Unavailable):  # what was seen last stays true until somebody knows better
                        fresh = []
                        fresh = await self._see()
        except* AppError as group:
            self._box.fail(group.exceptions[0])

    # -- the last lines -----------------------------------------------------------------------------------------------

    async def _backlog(self) -> list[LogLine]:
        """The last lines of all, in order of time; and from there each is followed."""
        turn = asyncio.Semaphore(BACKLOGS_AT_ONCE)
        sources = [source for source in self._sources.values() if source.sight.run]
        limit = max(64 * 1024, BACKLOG_BYTES // max(1, len(sources)))

        async def one(source: Source) -> list[tuple[int, LogLine]]:
            async with turn:
                return await self._last_lines(source, limit)

        found = await asyncio.gather(*(one(source) for source in sources))
        merged = sorted((pair for lines in found for pair in lines), key=lambda pair: pair[0])
        return [line for _, line in merged[-self._query.tail :]] if self._query.tail > 0 else []

    async def _last_lines(self, source: Source, limit: int) -> list[tuple[int, LogLine]]:
        query = self._query
        asked: dict[str, str | int | bool] = {
            "container": source.sight.container,
            "timestamps": True,
            "limitBytes": limit,
        }
        # One more than wanted: following begins behind a line that was had, also when no line is wanted.
        asked |= {"tailLines": max(query.tail, 1)}
        asked |= {"sinceTime": zulu(query.since)} if query.since else {}
        asked |= {"previous": True} if query.previous else {}
        answer = await self._api.get(source.path, asked)
        if answer.status in {400, 404}:  # not begun yet, or gone already; following will see
            return []
        if not answer.ok:
            raise judge(answer)
        splitter, found = Splitter(), []
        lines = list(splitter.feed(answer.body))
        if len(answer.body) < limit:  # else the end is a line that was cut, which following brings whole
            lines += splitter.end()
        for line in lines:
            if source.had.is_new(line):
                found.append((line.ns, _told(source, line)))
        source.opened = source.sight.run
        return found

    # -- following one --------------------------------------------------------------------------------------------------

    async def _read(self, source: Source) -> None:
        """Until the pod is gone and all it wrote was read."""
        await self._tell(source, JOINED)
        pause = FIRST_PAUSE_S
        while source.there or source.sight.run != source.opened:
            run = source.sight.run
            if not run:  # it has not begun
                await self._news.wait()
                continue
            took = False
            try:
                if source.opened not in ("", run):
                    await self._tell(source, RESTARTED)
                    took = await self._take(source, previous=True)
                source.opened = run
                took = await self._take(source) or took
            except Unavailable:
                await self._missed(source)
            except NotFound:
                source.opened = run  # gone, which the rows will say soon
            pause = FIRST_PAUSE_S if took else min(pause * 2, LONGEST_PAUSE_S)
            await self._pause(source, run, ENDED_PAUSE_S if source.sight.ended and not source.away else pause)
        await self._tell(source, LEFT)
        self._sources.pop(source.key, None)
        await self._reached(source)

    async def _pause(self, source: Source, run: str, longest_s: float) -> None:
        """Return when another run is seen or the pod is gone; else after a while, since rows may be late."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s * random.uniform(0.7, 1.3)):  # noqa: S311 - spreads load, keeps no secret
                while source.there and source.sight.run == run:
                    await self._news.wait()

    async def _take(self, source: Source, *, previous: bool = False) -> bool:
        """Read one stream to its end; whether that was worth it. Raises NotFound, Rejected, Unavailable."""
        asked: dict[str, str | int | bool] = {"container": source.sight.container, "timestamps": True}
        asked |= {"previous": True} if previous else {"follow": True}
        since = source.had.since or (zulu(self._query.since) if self._query.since else "")
        asked |= {"sinceTime": since} if since else {}
        source.had.again()
        took = opened = False
        until = 0.0
        splitter = Splitter()
        try:
            async with (
                asyncio.timeout(None) as source.limit,
                self._api.open(source.path, asked, silence_s=SILENCE_S) as response,
            ):
                if response.status != 200:
                    await self._judge(response)
                    return False
                opened = True
                until = asyncio.get_running_loop().time() + WORTH_S
                await self._reached(source)
                async for chunk in response.content.iter_any():
                    took = await self._hand_on(source, splitter.feed(chunk)) or took
                took = await self._hand_on(source, splitter.end()) or took
        except TimeoutError:
            return True  # in doubt
        except Unavailable:
            if not opened:
                raise  # else it was cut, or silent for long, and is opened anew
        finally:
            source.limit = None
        return took or asyncio.get_running_loop().time() > until

    async def _judge(self, response: aiohttp.ClientResponse) -> None:
        """Raises what stands in the way for good or for now; 400 is a container that has (or had) no such run."""
        answer = Answer(response.status, {}, await response.read())
        if answer.status == 400:
            return
        raise judge(answer)

    async def _hand_on(self, source: Source, lines: Any) -> bool:
        """Whether one of them was new; waits while the box is full."""
        fresh = [_told(source, line) for line in lines if source.had.is_new(line)]
        if fresh:
            await self._box.put(fresh, sum(len(line.data) for line in fresh))
        return bool(fresh)

    # -- what became of them ----------------------------------------------------------------------------------------------

    async def _tell(self, source: Source | None, what: bytes) -> None:
        instance, container = (source.sight.pod, source.sight.container) if source else ("", "")
        line = LogLine(instance, datetime.now(UTC), NEWS, what, container=container)
        await self._box.put([line], len(what))

    async def _missed(self, source: Source) -> None:
        first = not any(one.away for one in self._sources.values())
        source.away = True
        if first:
            await self._tell(None, AWAY)

    async def _reached(self, source: Source) -> None:
        if source.away:
            source.away = False
            if not any(one.away for one in self._sources.values()):
                await self._tell(None, BACK)


def _told(source: Source, line: Stamped) -> LogLine:
    at = moment(line.ns) if line.ns else datetime.now(UTC)
    return LogLine(source.sight.pod, at, "stdout", line.data, line.partial, source.sight.container)
