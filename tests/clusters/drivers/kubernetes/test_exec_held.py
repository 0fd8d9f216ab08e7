"""The way to a program may be made while something is still written down; the program is asked for only after that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.exec import Pods, Program
from clusters.drivers.runtime.streams import Ended
from fangduoduo_release.common.errors import Unavailable

from .exec_server import TOKEN, door
from .test_exec import everything, hello


class NotWritten(Exception):
    """Stands for a database that is away."""


@dataclass
class Ear:
    """A port that only listens. `said` is all that came, once the caller has `gone`."""

    port: int = 0
    said: bytes = b""
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def access(self) -> Access:
        return Access(server=f"http://127.0.0.1:{self.port}", token=TOKEN)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.set()
        reading = asyncio.ensure_future(reader.read())
        leaving = asyncio.ensure_future(self.hang_up.wait())
        await asyncio.wait([reading, leaving], return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            with contextlib.suppress(ConnectionError):
                self.said = reading.result()
        for one in (reading, leaving):
            one.cancel()
        writer.close()
        self.gone.set()


@contextlib.asynccontextmanager
async def ear() -> AsyncIterator[Ear]:
    made = Ear()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


def starting(access: Access, after: asyncio.Future[None]) -> asyncio.Task[Program]:
    return asyncio.ensure_future(Pods(access).start("facts", "hello", ["sh"], size=(80, 24), after=after))


async def test_what_cannot_be_written_down_sends_the_cluster_no_byte() -> None:
    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with ear() as server:
        start = starting(server.access, after)
        await asyncio.wait_for(server.connected.wait(), 60)
        assert not start.done()
        after.set_exception(NotWritten())
        with pytest.raises(NotWritten):
            await start
        await asyncio.wait_for(server.gone.wait(), 60)
    assert server.said == b""


async def test_once_it_is_written_the_program_starts() -> None:
    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with door(hello) as server:
        start = starting(server.access, after)
        await asyncio.sleep(0.2)  # for a request that must not come
        assert server.asked == []
        after.set_result(None)
        assert await everything(await start) == (b"hi\n", b"", Ended(exit_code=0))
        assert len(server.asked) == 1


async def test_what_is_written_already_costs_nothing() -> None:
    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    after.set_result(None)
    async with door(hello) as server:
        assert await everything(await starting(server.access, after)) == (b"hi\n", b"", Ended(exit_code=0))


async def test_a_database_may_take_longer_than_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a server has to answer does not run while something is written down, and runs again after it."""

    def patience(seconds: float) -> None:
        monkeypatch.setattr("clusters.drivers.runtime.kubernetes.exec.OPEN_S", seconds)

    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with door(hello) as server:
        patience(1.0)
        start = starting(server.access, after)
        await asyncio.sleep(1.5)
        assert not start.done()
        patience(60.0)
        after.set_result(None)
        assert await everything(await start) == (b"hi\n", b"", Ended(exit_code=0))
    after = asyncio.get_running_loop().create_future()
    async with ear() as deaf:
        start = starting(deaf.access, after)
        await asyncio.wait_for(deaf.connected.wait(), 60)
        patience(0.5)
        after.set_result(None)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(start, 60)
        await asyncio.wait_for(deaf.gone.wait(), 60)
    assert deaf.said.startswith(b"GET /api/v1/namespaces/facts/pods/hello/exec?")


async def test_a_server_that_hangs_up_meanwhile_is_away() -> None:
    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with ear() as server:
        start = starting(server.access, after)
        await asyncio.wait_for(server.connected.wait(), 60)
        server.hang_up.set()
        await asyncio.wait_for(server.gone.wait(), 60)
        await asyncio.sleep(0.1)  # for its goodbye to arrive
        after.set_result(None)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(start, 60)


async def test_who_gives_up_meanwhile_leaves_nothing_open() -> None:
    after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with ear() as server:
        start = starting(server.access, after)
        await asyncio.wait_for(server.connected.wait(), 60)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        await asyncio.wait_for(server.gone.wait(), 60)
    assert server.said == b""
    assert not after.done()  # what is written goes on being written
