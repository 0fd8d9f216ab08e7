"""The log stream on real servers with real sockets: nothing lost, nobody unseen let in, nobody slow held in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import sync_to_async
from guardian.shortcuts import remove_perm
from websockets.exceptions import ConnectionClosed, InvalidStatus

from builds.logs.store import LogWriter
from builds.models import Build, BuildLog
from permissions.models import ApiToken, User
from tests.common.sockets import serving
from tests.common.sockets.serving import Server, bearer
from tests.waiting import until

from .conftest import sha, typical
from .watching import Watcher

pytestmark = pytest.mark.django_db(transaction=True)
# Fixtures on a shared database that is not flushed between tests.
build, dev, guest, project = serving.build, serving.dev, serving.guest, serving.project
server, open_database, _django_db_helper = serving.server, serving.open_database, serving._django_db_helper
WINDOW = 256 * 1024
PINGS = {  # every second, and nobody is too slow to answer
    "daphne": ["--ping-interval", "1", "--ping-timeout", "240"],
    "uvicorn": ["--ws-ping-interval", "1", "--ws-ping-timeout", "240"],
}
call = sync_to_async(thread_sensitive=False)


def path(build: Build, offset: int | str = 0) -> str:
    return f"/ws/builds/{build.pk}/log/?offset={offset}"


async def log_of(build: Build, data: bytes, *, finish: bool = True) -> LogWriter:
    def write() -> LogWriter:
        writer = LogWriter(build.pk)
        writer.append(data, stage="s1", step=1)
        writer.finish() if finish else writer.flush()
        return writer

    return await call(write)()


async def opened(server: Server, where: str, user: User | None, **options: object) -> object:
    """Connect; the session is made in the test's database."""
    return await (await call(server.socket)(where, user, **options))


async def code_of(server: Server, where: str, user: User | None, **options: object) -> int:
    watcher = Watcher()
    await watcher.watch(await opened(server, where, user, **options))
    return watcher.code


async def ended(socket: object) -> int:
    """Read without a word until the server closes; its code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(socket.recv(), 240)
    return socket.close_code


async def test_a_finished_log_arrives_whole_and_says_its_sum(server: Server, build: Build, dev: User) -> None:
    data = b"".join(typical(9000))
    await log_of(build, data)
    watcher = Watcher()
    async with await opened(server, path(build), dev) as socket:
        await watcher.watch(socket)
    assert bytes(watcher.data) == data
    assert watcher.code == 1000
    assert watcher.statuses[-1] == {
        "total_lines": 9000,
        "total_bytes": len(data),
        "complete": True,
        "sha256": sha(data),
    }
    assert watcher.marks[0][0] == 0
    assert watcher.marks[0][2:] == ["s1", 1]


async def test_a_growing_log_is_followed_to_its_end(server: Server, build: Build, dev: User) -> None:
    sent = typical(400)
    watcher = Watcher()
    writer = await call(LogWriter)(build.pk)

    def feed() -> None:
        for number, line in enumerate(sent):
            writer.append(line, stage=f"s{number // 100}", step=number // 100)
            time.sleep(0.002)
        writer.finish()

    with ThreadPoolExecutor(1) as hand:
        feeding = hand.submit(feed)
        async with await opened(server, path(build), dev) as socket:
            await watcher.watch(socket)
        await asyncio.wrap_future(feeding)
    data = b"".join(sent)
    assert watcher.code == 1000
    assert bytes(watcher.data) == data
    assert watcher.statuses[-1]["sha256"] == sha(data)
    borders = {mark[2]: mark[0] for mark in reversed(watcher.marks)}
    assert borders == {f"s{number}": len(b"".join(sent[: 100 * number])) for number in range(4)}


async def test_an_idle_log_opens_at_once_and_a_line_comes_soon(server: Server, build: Build, dev: User) -> None:
    writer = await log_of(build, b"first\n", finish=False)
    watcher = Watcher(6)
    async with await opened(server, path(build, 6), dev) as socket:
        assert await watcher.one(socket) == {"total_lines": 1, "total_bytes": 6, "complete": False}
        await call(writer.append)(b"second\n")
        await watcher.watch(socket, until=13)
    assert bytes(watcher.data) == b"second\n"
    await call(writer.close)()


async def test_marks_come_before_their_bytes(server: Server, build: Build, dev: User) -> None:
    def write() -> None:
        writer = LogWriter(build.pk)
        for number in range(1500):
            writer.append(b"x" * 100, stage=f"s{number % 2}", step=number)
        writer.finish()

    await call(write)()
    known: list[int] = []
    watcher = Watcher()
    async with await opened(server, path(build), dev) as socket:
        while not (watcher.statuses and watcher.statuses[-1]["complete"]):
            before = watcher.offset
            told = await watcher.one(socket)
            if isinstance(told, bytes):
                known = [mark[0] for mark in watcher.marks]
                wanted = [offset for offset in range(0, 1500 * 101, 101) if before <= offset < watcher.offset]
                assert set(wanted) <= set(known)
    assert known == sorted(known)
    assert len(known) == 1500


async def test_the_asked_offset_is_kept_exactly(server: Server, build: Build, dev: User) -> None:
    data = b"".join(typical(4000))
    await log_of(build, data)
    for offset in (1, 99_999, len(data) - 1, len(data)):
        watcher = Watcher(offset)
        async with await opened(server, path(build, offset), dev) as socket:
            await watcher.watch(socket)
        assert bytes(watcher.data) == data[offset:]
        assert watcher.code == 1000


async def test_who_is_let_in(server: Server, build: Build, dev: User, guest: User) -> None:
    await log_of(build, b"secret\n")
    assert await code_of(server, path(build), None) == 4401
    assert await code_of(server, path(build), guest) == 4404
    assert await code_of(server, f"/ws/builds/{build.pk + 999}/log/?offset=0", dev) == 4404
    assert await code_of(server, path(build), dev) == 1000
    headers = await call(bearer)(dev)
    assert await code_of(server, path(build), None, origin=None, additional_headers=headers) == 1000
    wrong = {"Authorization": "Bearer fdd_0123456789_nothing"}
    assert await code_of(server, path(build), None, origin=None, additional_headers=wrong) == 4401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None, "http://127.0.0.1:1", "https://127.0.0.1"])
async def test_other_origins_are_refused_before_the_handshake(
    server: Server, build: Build, dev: User, origin: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await opened(server, path(build), dev, origin=origin)
    assert refused.value.response.status_code == 403


def test_who_is_slow_to_say_goodbye_is_not_cut_off(server: Server, build: Build) -> None:
    """A connection that is cut takes with it what was on its way, the reason of its end too."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(
            f"GET {path(build)} HTTP/1.1\r\nHost: {server.address}\r\nOrigin: http://{server.address}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        goodbye = b"\x88\x02" + (4401).to_bytes(2, "big")
        until(lambda: line.recv(65536, socket.MSG_PEEK).endswith(goodbye), what="the server's goodbye")
        time.sleep(3)  # three times what daphne's library waits for ours
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        line.sendall(b"\x88\x82\0\0\0\0" + goodbye[2:])
        assert line.recv(65536).endswith(goodbye)


@pytest.mark.parametrize("offset", ["x", "-1", "99999999", "9" * 40])
async def test_offsets_that_cannot_be_are_refused(server: Server, build: Build, dev: User, offset: str) -> None:
    await log_of(build, b"short\n")
    assert await code_of(server, path(build, offset), dev) == 4400


async def test_unknown_addresses_are_refused_quietly(server: Server, dev: User) -> None:
    for where in ("/ws/nothing/", "/ws/builds/x/log/", "/ws/", "/ws/secrets/1/"):
        with pytest.raises(InvalidStatus):
            await opened(server, where, dev)


async def test_what_a_viewer_sends_cannot_hurt(server: Server, build: Build, dev: User) -> None:
    data = b"".join(typical(3000))
    writer = await log_of(build, data, finish=False)  # nobody is sent away by its end before all is said
    async with await opened(server, path(build), dev) as socket:
        await socket.send("x" * 5000)
        assert await ended(socket) == 4413
    watcher = Watcher()
    async with await opened(server, path(build), dev) as socket:
        for rubbish in (
            '{"ack":',
            "[]",
            "null",
            "[" * 900,
            '{"ack": "5"}',
            '{"ack": -5}',
            '{"ack": true}',
            b"\x00\xff",
        ):
            await socket.send(rubbish)
        await socket.send(json.dumps({"ack": 10**30}))
        await call(writer.finish)()
        await watcher.watch(socket)
    assert bytes(watcher.data) == data


async def test_without_acknowledgements_only_the_window_is_sent(server: Server, build: Build, dev: User) -> None:
    await log_of(build, b"".join(typical(30_000)))
    async with await opened(server, path(build), dev) as socket:

        async def taken() -> int:
            """How much the next frame brings."""
            while isinstance(message := await asyncio.wait_for(socket.recv(), 240), str):
                pass
            return len(message)

        got = 0
        for acked in (0, 1000, 3000):  # what comes next is what was made room for, so nothing else had been sent
            await socket.send(json.dumps({"ack": acked}))
            while got < WINDOW + acked:
                got += await taken()
            assert got == WINDOW + acked


@pytest.mark.slow
async def test_twenty_viewers_with_twenty_reconnects_each_end_with_the_stored_sum(
    server: Server, build: Build, dev: User
) -> None:
    sent = typical(20_000)
    headers = await call(bearer)(dev)
    writer = await call(LogWriter)(build.pk)

    def feed() -> None:
        for start in range(0, len(sent), 100):
            writer.append(b"".join(sent[start : start + 100]), stage="s", step=start)
            time.sleep(0.05)
        writer.finish()

    size = sum(map(len, sent))

    async def view(number: int) -> Watcher:
        luck = random.Random(number)
        stops = sorted(luck.randrange(1, size) for _ in range(20))
        watcher = Watcher(keep=False)
        for stop in stops:
            socket = await opened(server, path(build, watcher.offset), None, origin=None, additional_headers=headers)
            await watcher.watch(socket, until=stop)
            socket.transport.abort()  # as a broken line does
        async with await opened(
            server, path(build, watcher.offset), None, origin=None, additional_headers=headers
        ) as socket:
            await watcher.watch(socket)
        return watcher

    with ThreadPoolExecutor(1) as hand:
        feeding = hand.submit(feed)
        watchers = await asyncio.gather(*(view(number) for number in range(20)))
        await asyncio.wrap_future(feeding)
    stored = (await BuildLog.objects.aget(pk=build.pk)).sha256
    assert stored == sha(b"".join(sent))
    assert [watcher.sha.hexdigest() for watcher in watchers] == [stored] * 20
    assert {watcher.statuses[-1]["sha256"] for watcher in watchers} == {stored}
    assert {watcher.code for watcher in watchers} == {1000}


@pytest.fixture(scope="module", params=serving.KINDS)
def brisk(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A server that pings and asks by the second."""
    yield from serving.running(
        request.param, application=f"{__package__}.brisk:application", options=PINGS[request.param]
    )


@pytest.mark.slow
async def test_viewers_that_never_read_cost_no_memory_and_are_left(brisk: Server, build: Build, dev: User) -> None:
    await log_of(build, b"".join(typical(300_000)))
    async with await opened(brisk, path(build), dev) as socket:  # everything once: the caches are warm
        await Watcher(keep=False).watch(socket)
    before = highest = brisk.memory()
    began = time.monotonic()
    sockets = [await opened(brisk, path(build), dev, max_queue=1)]
    leaving = asyncio.create_task(ended(sockets[0]))
    sockets += [await opened(brisk, path(build), dev, max_queue=1) for _ in range(19)]
    while not leaving.done():  # time in which a server without a window takes everything into memory
        highest = max(highest, brisk.memory())
        await asyncio.sleep(0.1)
    assert highest - before < 20 * 0.6 + 8
    assert await leaving == 4408
    assert time.monotonic() - began >= 8
    for socket in sockets:
        socket.transport.abort()


@pytest.mark.slow
async def test_a_socket_without_news_stays_open(brisk: Server, build: Build, dev: User) -> None:
    """While the server pings, and says again and again how much there is."""
    writer = await log_of(build, b"first\n", finish=False)
    watcher = Watcher(6)
    began = time.monotonic()
    async with await opened(brisk, path(build, 6), dev) as socket:
        while time.monotonic() - began < 7:
            assert await watcher.one(socket) == watcher.statuses[0]  # said again: we are not dead
        await call(writer.append)(b"second\n")
        await watcher.watch(socket, until=13)
    await call(writer.close)()
    assert len(watcher.statuses) <= 2 + (time.monotonic() - began) / 1.0, "and not all the time"


@pytest.mark.slow
async def test_a_right_taken_away_ends_the_stream(brisk: Server, build: Build, dev: User) -> None:
    writer = await log_of(build, b"first\n", finish=False)
    headers = await call(bearer)(dev)
    by_right = await opened(brisk, path(build), dev)
    by_token = await opened(brisk, path(build), None, origin=None, additional_headers=headers)
    await ApiToken.objects.filter(user=dev).adelete()
    watcher = Watcher()
    await asyncio.wait_for(watcher.watch(by_token), 240)
    assert watcher.code == 4403
    await call(remove_perm)("view_project", dev, build.project)
    watcher = Watcher()
    await asyncio.wait_for(watcher.watch(by_right), 240)
    assert watcher.code == 4403
    await call(writer.close)()
