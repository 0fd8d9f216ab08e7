"""`/ws/builds/<id>/log/?offset=N`: a log as it grows, over a WebSocket. The protocol is written in static/js/logview.js.

A plain ASGI application, the same on daphne and uvicorn: no channel layer, its own bounded pool for the database. It
never has more than WINDOW bytes on their way to a viewer, because a server may take all one gives it into memory.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs

from fangduoduo_release.common.sockets.credit import (
    BAD_REQUEST,
    DONE,
    PARTING_S,
    PATIENCE_S,
    TOO_BIG,
    TOO_SLOW,
    WINDOW,
    Receive,
    Send,
    part,
)
from fangduoduo_release.common.sockets.guards import Guard, may_see
from fangduoduo_release.common.sockets.identity import Scope, is_our_origin
from fangduoduo_release.common.sockets.pool import DatabasePool

from .tails import Hub, Tail

PATH = re.compile(r"/ws/builds/([0-9]{1,18})/log/")
FRAME = 64 * 1024
STATUS_S = 0.2
KEEPALIVE_S = 20.0
MARKS_A_FRAME = 500
MESSAGE_MAX = 1000


class LogStream:
    """The ASGI application. One per process: its viewers share one tail per build."""

    def __init__(self, hands: int = 6) -> None:
        self._pool = DatabasePool("logs", hands)
        self.hub = Hub(self._pool)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = PATH.fullmatch(scope["path"])
        await receive()  # websocket.connect
        if found is None or not is_our_origin(scope):
            await send({"type": "websocket.close"})
            return
        build_id = int(found[1])
        guard = Guard(scope, may_see("builds", build_id), self._pool)
        code = await guard.admit()
        offset = offset_of(scope)
        if code is None and offset is None:
            code = BAD_REQUEST
        await send({"type": "websocket.accept"})
        if code is None and offset is not None:
            async with self.hub.tail(build_id) as tail:
                code = await Viewer(tail, offset, receive, send).serve(guard)
        if code is not None:
            await part(send, code)


def offset_of(scope: Scope) -> int | None:
    """The asked offset; None when it is not a number."""
    text = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("offset", ["0"])[0]
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


class Viewer:
    """One connection: what it was sent, what it has acknowledged."""

    def __init__(self, tail: Tail, offset: int, receive: Receive, send: Send) -> None:
        self._tail = tail
        self._offset = self._acked = offset
        self._receive, self._send = receive, send
        self._credit = asyncio.Event()
        self._mark = 0
        self._said: dict[str, Any] = {}
        self._said_at = self._sent_at = 0.0
        self._loop = asyncio.get_running_loop()

    async def serve(self, guard: Guard) -> int | None:
        """Send until the end; the code to close with, None when the viewer has gone."""
        tasks = [self._loop.create_task(work) for work in (self._listen(), self._feed(), guard.watch())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        except (RuntimeError, OSError):
            return None  # the server says so of a connection that has gone
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> int | None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return None
            text = message.get("text") or ""
            if len(text) > MESSAGE_MAX or len(message.get("bytes") or b"") > MESSAGE_MAX:
                return TOO_BIG
            self._take(text)

    def _take(self, text: str) -> None:
        """An acknowledgement; anything else is ignored."""
        try:
            ack = json.loads(text)["ack"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if type(ack) is int and self._acked < ack <= self._offset:
            self._acked = ack
            self._credit.set()

    async def _feed(self) -> int:
        """The code to close with once all is sent, or when the viewer takes nothing."""
        tail = self._tail
        await tail.ready()
        if self._offset > tail.now.size:
            return BAD_REQUEST
        self._mark = max(0, tail.marks.at_offset(self._offset))
        try:
            await self._say()
            while True:
                now = tail.now
                if self._offset < now.size:
                    await self._give(now.size)
                    await self._say()
                elif now.complete:
                    await self._say(sha256=now.sha256)
                    await self._last_ack()
                    return DONE
                else:
                    await self._wait_for_news()
        except TimeoutError:
            return TOO_SLOW

    async def _give(self, size: int) -> None:
        """Send one frame, as soon as the window allows. Raises TimeoutError."""
        while (room := WINDOW - (self._offset - self._acked)) <= 0:
            self._credit.clear()
            await asyncio.wait_for(self._credit.wait(), PATIENCE_S)
        block = await self._tail.block(self._offset)
        if block is None:
            return
        begin = self._offset - block.offset
        data = block.data[begin : begin + min(FRAME, room, size - self._offset)]
        await self._send_marks(self._offset + len(data))
        self._offset += len(data)
        await self._put(bytes=data)

    async def _send_marks(self, end: int) -> None:
        """The marks of the bytes before `end` that this viewer does not have."""
        table = self._tail.marks
        last = table.at_offset(end - 1) + 1
        while self._mark < last:
            until = min(last, self._mark + MARKS_A_FRAME)
            frame = [
                [table.offsets[index], table.times[index], owner.stage, owner.step]
                for index in range(self._mark, until)
                for owner in (table.owner(index),)
            ]
            self._mark = until
            await self._put(text=json.dumps({"marks": frame}))

    async def _say(self, *, sha256: str = "", again: bool = False) -> None:
        """The status: when it has changed, not too often; the last one (with `sha256`) always.

        `complete` is said only then: to this viewer the log is complete when all of it was sent."""
        status = self._status()
        if sha256:
            status.update(complete=True, sha256=sha256)
        elif not again and (status == self._said or self._loop.time() - self._said_at < STATUS_S):
            return
        self._said, self._said_at = status, self._loop.time()
        await self._put(text=json.dumps(status))

    def _status(self) -> dict[str, Any]:
        return {"total_lines": self._tail.now.lines, "total_bytes": self._tail.now.size, "complete": False}

    async def _wait_for_news(self) -> None:
        """Until the log grows. Says the status again now and then, so that nobody between takes us for dead."""
        fresh = self._status() == self._said
        rest = (self._sent_at + KEEPALIVE_S if fresh else self._said_at + STATUS_S) - self._loop.time()
        try:
            async with asyncio.timeout(max(0.0, rest)):
                await self._tail.news()
        except TimeoutError:
            await self._say(again=True)

    async def _last_ack(self) -> None:
        """Let slow lines run empty before we hang up: a server may throw away what it has not sent when it closes."""
        try:
            async with asyncio.timeout(PARTING_S):
                while self._acked < self._offset:
                    self._credit.clear()
                    await self._credit.wait()
        except TimeoutError:
            return

    async def _put(self, **payload: Any) -> None:
        """Raises TimeoutError when the server waits too long for the viewer to read."""
        async with asyncio.timeout(PATIENCE_S):
            await self._send({"type": "websocket.send", **payload})
        self._sent_at = self._loop.time()
