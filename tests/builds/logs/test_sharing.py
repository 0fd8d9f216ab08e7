"""One upstream look however many people watch, and nobody waits for somebody else's database."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from builds.logs import tails
from builds.logs.store import LogWriter
from builds.logs.stream import LogStream
from builds.models import Build
from permissions.models import User
from tests.common.sockets import serving

from .conftest import typical

pytestmark = pytest.mark.django_db(transaction=True)
# Fixtures on a shared database that is not flushed between tests.
build, dev, guest, project = serving.build, serving.dev, serving.guest, serving.project
open_database, _django_db_helper = serving.open_database, serving._django_db_helper
call = sync_to_async(thread_sensitive=False)
EACH = 100  # lines at a time


class Line:
    """One connection to the application, without a server between: acknowledges what it gets."""

    def __init__(self, app: LogStream, build: Build, headers: dict[str, str]) -> None:
        self.got = 0
        self.code: int | None = None
        self.status: dict[str, Any] = {}
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": f"/ws/builds/{build.pk}/log/",
            "query_string": b"offset=0",
            "headers": [(b"host", b"testserver"), *((k.lower().encode(), v.encode()) for k, v in headers.items())],
        }
        self.task = asyncio.ensure_future(app(scope, self._inbox.get, self._take))

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            self.code = message["code"]
        elif message.get("bytes"):
            self.got += len(message["bytes"])
            self._inbox.put_nowait({"type": "websocket.receive", "text": json.dumps({"ack": self.got})})
        elif "total_lines" in (told := json.loads(message.get("text", "{}"))):
            self.status = told

    def leave(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1001})


async def cost(build: Build, headers: dict[str, str], viewers: int) -> tuple[int, int, float]:
    """(looks, loads, seconds) of a build's log that is written while so many watch it: the next piece when all have the last."""
    app = LogStream()
    sent = typical(4000)
    writer = await call(LogWriter)(build.pk)
    lines = [Line(app, build, headers) for _ in range(viewers)]
    async with app.hub.tail(build.pk) as tail:
        began = time.monotonic()
        size = 0
        for start in range(0, len(sent), EACH):
            piece = b"".join(sent[start : start + EACH])
            size += len(piece)
            await call(writer.append)(piece)
            await call(writer.flush)()
            async with asyncio.timeout(240):
                while {line.got for line in lines} != {size}:
                    await asyncio.sleep(0.01)
        await call(writer.finish)()
        await asyncio.wait_for(asyncio.gather(*(line.task for line in lines)), 240)
        assert {(line.got, line.code) for line in lines} == {(size, 1000)}
        return tail.looks, tail.loads, time.monotonic() - began


async def test_fifty_viewers_read_the_database_as_one_does(build: Build, dev: User) -> None:
    headers = await call(serving.bearer)(dev)
    other = await Build.objects.acreate(project=build.project, number=2, trigger="manual", ref="r", commit_sha="b")
    pieces = 4000 // EACH
    for one, viewers in ((build, 1), (other, 50)):
        looks, loads, seconds = await cost(one, headers, viewers)
        # A block for each piece, and perhaps once more when pieces are merged; a look at each beat of one clock.
        assert pieces <= loads <= 2 * pieces + 2
        assert looks <= seconds / tails.FAST_S + 2


async def test_a_finished_log_is_read_once_for_fifty(build: Build, dev: User) -> None:
    def write() -> None:
        writer = LogWriter(build.pk)
        writer.append(b"".join(typical(20_000)))
        writer.finish()

    await call(write)()
    headers = await call(serving.bearer)(dev)
    app = LogStream()
    async with app.hub.tail(build.pk) as tail:
        lines = [Line(app, build, headers) for _ in range(50)]
        await asyncio.wait_for(asyncio.gather(*(line.task for line in lines)), 240)
        assert len({line.got for line in lines}) == 1
        members = -(-lines[0].got // (128 * 1024))
        assert tail.loads <= members


async def test_the_last_viewer_turns_off_the_light(build: Build, dev: User) -> None:
    headers = await call(serving.bearer)(dev)
    app = LogStream()
    lines = [Line(app, build, headers) for _ in range(3)]
    while not all(line.status for line in lines):
        await asyncio.sleep(0.01)
    assert len(app.hub._tails) == 1
    for line in lines:
        line.leave()
    await asyncio.wait_for(asyncio.gather(*(line.task for line in lines)), 240)
    assert app.hub._tails == {}
    assert {line.code for line in lines} == {None}


async def test_a_blocked_call_holds_up_nobody_else(build: Build, dev: User) -> None:
    headers = await call(serving.bearer)(dev)
    writer = await call(LogWriter)(build.pk)
    app = LogStream()
    stuck = threading.Event()
    blocked = [asyncio.ensure_future(app._pool.run(stuck.wait, 280)) for _ in range(3)]
    line = Line(app, build, headers)
    await call(writer.append)(b"hello\n")
    try:
        async with asyncio.timeout(120):
            while line.got < 6:
                await asyncio.sleep(0.01)
        assert not any(one.done() for one in blocked)
    finally:
        stuck.set()
    await asyncio.gather(*blocked)
    line.leave()
    await line.task
    await call(writer.close)()
