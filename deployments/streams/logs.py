"""`/ws/services/<id>/logs/?instance=&container=&since=&tail=&previous=`: lines as instances write them, over a WebSocket.

THE PROTOCOL. Text messages, each a JSON object.
  server  {"state": "open", "instances": [{"name", "state", "containers"}]}    at first
          {"lines": [[instance, container, time_ms, stream, text, partial], …], "upto": n}    at most 64 KiB or one line more
          {"news": [instance, container, time_ms, "joined" | "left" | "restarted"]}    what became of an instance
          {"state": "away"}, {"state": "back"}    the cluster does not answer, and does again; lines go on where they stopped
          {"missed": n}    lines that this viewer was too slow for, while others took them; one that is alone misses none
          {"state": "alive"}    after 20 s of silence
          {"state": "over"}    nothing will follow (of the run before), {"state": "refused", "sentence", "code"}
  client  {"ack": n}    all up to `upto` n was taken; the server keeps at most 256 KiB of text unacknowledged
No container is the main one, `*` all. Closed with 1000 after "over", 4400 a question that cannot be, 4401 not signed in,
4403 not allowed any more, 4404 absent, 4408 nothing was taken for 30 s, 4413 too much at once, 4502 the cluster refuses,
4503 try again later. Text is UTF-8, invalid bytes replaced; a line longer than 16 KiB comes in pieces (`partial`).
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.utils import translation
from django.utils.dateparse import parse_datetime

from clusters.drivers.runtime.base import LogLine, LogQuery
from clusters.drivers.runtime.streams import ALL, NEWS
from clusters.streams import streams_of
from clusters.terminals import NOT_STARTED
from deployments import wanted
from deployments.models import Service
from fangduoduo_release.common.errors import AppError, NotFound, TooMany, Unavailable
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sockets.credit import (
    BAD_REQUEST,
    DONE,
    PATIENCE_S,
    TOO_BIG,
    TOO_SLOW,
    Credit,
    Receive,
    Send,
    part,
)
from fangduoduo_release.common.sockets.guards import TRY_LATER, UNSEEN, Guard
from fangduoduo_release.common.sockets.identity import Scope, is_our_origin
from fangduoduo_release.common.sockets.language import language_of
from fangduoduo_release.common.sockets.places import Places
from fangduoduo_release.common.sockets.pool import DatabasePool
from permissions import policy

from .choosing import NAME, main_container, rows
from .tails import Hub, Tail, Viewer

PATH = re.compile(r"/ws/services/([0-9]{1,18})/logs/")
TAIL, MAX_TAIL = 500, 5000
FRAME = 48 * 1024  # of text; what JSON makes of it is a little more
KEEPALIVE_S = 20.0
GATHER_S = 0.03  # lines that come one by one go out together
MESSAGE_MAX = 1000


class LogSockets:
    """The ASGI application. One per process: viewers of the same lines share one following."""

    def __init__(self, hands: int = 4) -> None:
        self._pool = DatabasePool("service-logs", hands)
        self._places = Places()
        self.hub = Hub()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = PATH.fullmatch(scope["path"])
        await receive()  # websocket.connect
        if found is None or not is_our_origin(scope):
            await send({"type": "websocket.close"})
            return
        with translation.override(language_of(scope)):
            code = await self._serve(int(found[1]), scope, receive, send)
            if code is not None:
                await part(send, code)

    async def _serve(self, pk: int, scope: Scope, receive: Receive, send: Send) -> int | None:
        query = query_of(scope)
        seen: dict[str, Service] = {}

        def check(user: Any) -> object:
            return seen.setdefault("service", policy.fetch(user, rows(), pk=pk))

        guard = Guard(scope, check, self._pool)
        code = await guard.admit()
        if code is None and query is None:
            code = BAD_REQUEST
        await send({"type": "websocket.accept"})
        if code is not None or query is None:
            return code
        viewing = Viewing(receive, send)
        try:
            with self._places.one(guard.person, settings.STREAMS_PER_PERSON):
                wish, instances, make = await self._pool.run(prepared, seen["service"], query)
                async with self.hub.tail(pk, wish, make) as (tail, viewer):
                    return await viewing.serve(tail, viewer, instances, guard)
        except AppError as error:
            return await viewing.refuse(error)


def prepared(service: Service, query: LogQuery) -> tuple[LogQuery, list[dict[str, Any]], Any]:
    """The query with its container named, the instances as rows know them, and how a tail of it is made."""
    known = list(service.instances.all())
    if not query.container:
        container = main_container(known, query.instance)
        query = LogQuery(query.instance, query.tail, query.since, query.previous, container=container)
    instances = [{"name": one.name, "state": one.state, "containers": one.containers} for one in known]
    streams = streams_of(service.machine.cluster)
    return query, instances, partial(Tail, streams, wanted.ref_of(service), query)


def query_of(scope: Scope) -> LogQuery | None:
    """What an address asks for; None when it cannot be."""
    given = {name: values[-1] for name, values in parse_qs(scope.get("query_string", b"").decode("latin-1")).items()}
    instance, container = given.get("instance", ""), given.get("container", "")
    tail, since = given.get("tail", str(TAIL)), given.get("since", "")
    if not NAME.fullmatch(instance) or not (container == ALL or NAME.fullmatch(container)):
        return None
    if not re.fullmatch(r"[0-9]{1,4}", tail) or int(tail) > MAX_TAIL:
        return None
    moment: datetime | None = None
    if since:
        try:
            moment = parse_datetime(since)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            return None
    previous = given.get("previous", "") in {"1", "true"}
    return LogQuery(instance=instance, tail=int(tail), since=moment, previous=previous, container=container)


class Viewing:
    """One connection."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._credit = Credit()

    async def serve(self, tail: Tail, viewer: Viewer, instances: list[dict[str, Any]], guard: Guard) -> int | None:
        """Send until the end; the code to close with, None when the viewer has gone."""
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(work) for work in (self._listen(), self._feed(tail, viewer, instances), guard.watch())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        except TimeoutError:
            return TOO_SLOW
        except (RuntimeError, OSError):
            return None  # the server says so of a connection that has gone
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def refuse(self, error: AppError) -> int:
        await self._put({"state": "refused", "sentence": say(error.sentence), "code": error.code})
        if isinstance(error, NotFound):
            return UNSEEN
        return TRY_LATER if isinstance(error, Unavailable | TooMany) else NOT_STARTED

    async def _listen(self) -> int | None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return None
            text = message.get("text") or ""
            if len(text) > MESSAGE_MAX or len(message.get("bytes") or b"") > MESSAGE_MAX:
                return TOO_BIG
            try:
                self._credit.take(json.loads(text)["ack"])
            except (ValueError, TypeError, KeyError, RecursionError):
                continue

    async def _feed(self, tail: Tail, viewer: Viewer, instances: list[dict[str, Any]]) -> int:
        await self._put({"state": "open", "instances": instances})
        while True:
            await self._credit.wait()
            try:
                async with asyncio.timeout(KEEPALIVE_S):
                    missed, lines = await tail.take(viewer, min(FRAME, max(1, self._credit.room)))
            except TimeoutError:
                await self._put({"state": "alive"})
                continue
            if missed:
                await self._put({"missed": missed})
            if not lines:
                break
            await self._say(lines)
            await asyncio.sleep(GATHER_S)
        if tail.error is not None:
            return await self.refuse(tail.error)
        await self._put({"state": "over"})
        await self._credit.spent()
        return DONE

    async def _say(self, lines: list[LogLine]) -> None:
        """Lines and news in their order."""
        batch: list[list[Any]] = []
        for line in lines:
            if line.stream != NEWS:
                batch.append(shown(line))
                continue
            await self._lines(batch)
            batch = []
            what = line.data.decode()
            told = (
                {"news": [line.instance, line.container, millis(line.at), what]} if line.instance else {"state": what}
            )
            await self._put(told)
        await self._lines(batch)

    async def _lines(self, batch: list[list[Any]]) -> None:
        if batch:
            self._credit.sent += sum(len(line[4]) + 100 for line in batch)
            await self._put({"lines": batch, "upto": self._credit.sent})

    async def _put(self, told: dict[str, Any]) -> None:
        """Raises TimeoutError when the server waits too long for the viewer to read."""
        async with asyncio.timeout(PATIENCE_S):
            await self._send({"type": "websocket.send", "text": json.dumps(told, ensure_ascii=False)})


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def shown(line: LogLine) -> list[Any]:
    text = line.data.decode("utf-8", "replace").rstrip("\r\n")
    return [line.instance, line.container, millis(line.at), line.stream, text, line.partial]
