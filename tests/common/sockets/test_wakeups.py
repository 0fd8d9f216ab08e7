"""Wake-ups on real servers: soon, few, only for who may see, whatever the browser sends, with and without Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from guardian.shortcuts import remove_perm
from websockets.exceptions import ConnectionClosed, InvalidStatus

from builds.models import Build
from fangduoduo_release.common import events
from permissions.models import User
from tests.common.sockets import serving
from tests.common.sockets.serving import Server, bearer, running
from tests.portal import free_port
from tests.require import need
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
# Fixtures on a shared database that is not flushed between tests.
build, dev, guest, project = serving.build, serving.dev, serving.guest, serving.project
server, open_database, _django_db_helper = serving.server, serving.open_database, serving._django_db_helper
call = sync_to_async(thread_sensitive=False)
record = call(events.record)


def path(build: Build) -> str:
    return f"/ws/builds/{build.pk}/"


async def opened(server: Server, where: str, user: User | None, **options: object) -> object:
    return await (await call(server.socket)(where, user, **options))


async def code_of(socket: object, timeout: float = 60) -> int:
    async def drain() -> None:
        while True:
            await socket.recv()

    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(drain(), timeout)
    return socket.close_code


async def said(socket: object) -> dict[str, object]:
    """The next word."""
    return json.loads(await asyncio.wait_for(socket.recv(), 60))


async def said_until(socket: object, seq: int) -> list[dict[str, object]]:
    """All words up to the one that tells of this event."""
    found = [await said(socket)]
    while found[-1]["seq"] != seq:
        found.append(await said(socket))
    return found


async def silence(socket: object, seconds: float) -> None:
    """For so long nothing is said."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), seconds)


def record_many(build: Build, count: int) -> int:
    """So many events one by one; the last one's sequence."""
    return [events.record(build, "note") for _ in range(count)][-1].seq


async def test_an_event_wakes_who_listens_to_its_topic_only(server: Server, build: Build, dev: User) -> None:
    other = await Build.objects.acreate(project=build.project, number=2, trigger="manual", ref="r", commit_sha="b")
    await call(record_many)(build, 5)  # so that its numbers are not the other's
    async with await opened(server, path(build), dev) as mine, await opened(server, path(other), dev) as others:
        event = await record(build, "state")
        assert await said(mine) == {"topic": f"builds/{build.pk}", "seq": event.seq}
        theirs = await record(other, "state")
        assert await said(others) == {"topic": f"builds/{other.pk}", "seq": theirs.seq}, "the first they hear"


async def test_an_event_right_after_the_handshake_is_not_missed(server: Server, build: Build, dev: User) -> None:
    for _ in range(5):
        async with await opened(server, path(build), dev) as socket:
            event = await record(build, "state")
            assert (await said(socket))["seq"] == event.seq


async def test_a_burst_is_told_in_a_few_words_and_its_end_is_told(server: Server, build: Build, dev: User) -> None:
    async with await opened(server, path(build), dev) as socket:
        began = time.monotonic()
        last = build.event_seq + 60
        listening = asyncio.ensure_future(said_until(socket, last))
        assert await call(record_many)(build, 60) == last
        told = await listening
        took = time.monotonic() - began
    assert [one["seq"] for one in told] == sorted({one["seq"] for one in told})
    assert len(told) <= 1 + 4 * took, "four a second at most"


async def test_who_is_let_in(server: Server, build: Build, dev: User, guest: User) -> None:
    assert await code_of(await opened(server, path(build), None)) == 4401
    assert await code_of(await opened(server, path(build), guest)) == 4404
    assert await code_of(await opened(server, "/ws/builds/999999999/", dev)) == 4404
    assert await code_of(await opened(server, "/ws/deployments/999999999/", dev)) == 4404
    assert await code_of(await opened(server, "/ws/services/999999999/", dev)) == 4404
    assert await code_of(await opened(server, "/ws/home/", None)) == 4401
    headers = await call(bearer)(dev)
    async with await opened(server, path(build), None, origin=None, additional_headers=headers) as socket:
        event = await record(build, "state")
        assert (await said(socket))["seq"] == event.seq
    for origin in (None, "http://evil.example", "null"):
        with pytest.raises(InvalidStatus):
            await opened(server, path(build), dev, origin=origin)


async def test_a_session_of_an_inactive_person_is_nobody(server: Server, build: Build, dev: User) -> None:
    dev.is_active = False
    await dev.asave()
    assert await code_of(await opened(server, path(build), dev)) == 4401


@pytest.mark.parametrize("rubbish", ["{", "null", "[" * 5000, '{"type": "wake", "seq": "x"}', b"\x00\xff", ""])
async def test_what_a_browser_sends_is_ignored(server: Server, build: Build, dev: User, rubbish: str | bytes) -> None:
    async with await opened(server, path(build), dev) as socket:
        await socket.send(rubbish)
        event = await record(build, "state")
        assert (await said(socket))["seq"] == event.seq


async def test_home_wakes_for_anything_but_says_nothing_of_it(server: Server, build: Build, guest: User) -> None:
    async with await opened(server, "/ws/home/", guest) as socket:
        event = await record(build, "state")
        assert await said(socket) == {"topic": "home", "seq": event.pk}


async def test_twenty_sockets_hear_what_happens(server: Server, build: Build, dev: User) -> None:
    headers = await call(bearer)(dev)
    sockets = [await opened(server, path(build), None, origin=None, additional_headers=headers) for _ in range(20)]
    event = await record(build, "state")
    told = await asyncio.gather(*(said(socket) for socket in sockets))
    assert {one["seq"] for one in told} == {event.seq}
    for socket in sockets:
        await socket.close()


@pytest.mark.slow
async def test_a_right_or_a_session_taken_away_ends_the_socket(server: Server, build: Build, dev: User) -> None:
    headers = await call(bearer)(dev)  # a token, so that it loses nothing with the session
    by_right = await opened(server, path(build), None, origin=None, additional_headers=headers)
    by_session = await opened(server, "/ws/home/", dev)
    await Session.objects.all().adelete()
    await call(remove_perm)("view_project", dev, build.project)
    assert await code_of(by_session) == 4403
    assert await code_of(by_right) == 4403


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a Redis of our own, and its process."""
    (program,) = need("redis-server")
    folder: Path = tmp_path_factory.mktemp("redis")
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    yield f"redis://127.0.0.1:{port}/0", process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def with_redis(redis: tuple[str, subprocess.Popen[bytes]], open_database: None) -> Iterator[Server]:
    yield from running("daphne", REDIS_URL=redis[0])


PUBLISH = """
import sys, django; django.setup()
from builds.models import Build
from fangduoduo_release.common import events
for _ in range(int(sys.argv[2])):
    print(events.record(Build.objects.get(pk=sys.argv[1]), "state").seq, flush=True)
"""
FAR_AHEAD = """
import sys, django; django.setup()
from fangduoduo_release.common import events
events.publish(sys.argv[1], 1_000_000)
"""


def elsewhere(code: str, url: str, *arguments: object) -> str:
    """What another process of the portal prints, which publishes to this Redis."""
    import os
    import sys

    from django.conf import settings

    env = {
        **os.environ,
        "FDD_VAR": str(settings.VAR),
        "DATABASE_URL": serving.database_url(),
        "REDIS_URL": url,
        "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=serving.ROOT, env=env, capture_output=True, text=True, timeout=300, check=True,
    ).stdout  # fmt: skip


def publish(build: Build, url: str, count: int = 1) -> int:
    """Record events in another process that publishes them to Redis; the last sequence."""
    return int(elsewhere(PUBLISH, url, build.pk, count).split()[-1])


@pytest.mark.slow
async def test_what_is_said_in_another_database_of_the_same_redis_is_not_heard(
    with_redis: Server, redis: tuple[str, subprocess.Popen[bytes]], build: Build, dev: User
) -> None:
    """Another portal has a build of that number too, and what is ahead of our own sequence would silence it."""
    async with await opened(with_redis, path(build), dev) as socket:
        await call(elsewhere)(FAR_AHEAD, redis[0].removesuffix("/0") + "/1", f"builds/{build.pk}")
        event = await record(build, "state")
        assert await said(socket) == {"topic": f"builds/{build.pk}", "seq": event.seq}


@pytest.mark.slow
async def test_sockets_that_were_idle_for_long_still_hear(
    with_redis: Server, redis: tuple[str, subprocess.Popen[bytes]], build: Build, dev: User
) -> None:
    """On each kind of server, and carried by Redis. Half a minute is longer than they go without a ping, a question
    whether one may still listen, or a new connection to the database."""
    with contextlib.ExitStack() as stack:
        plain = [stack.enter_context(contextlib.contextmanager(running)(kind)) for kind in serving.KINDS]
        sockets = [await opened(server, path(build), dev) for server in (*plain, with_redis)]
        seq = await call(publish)(build, redis[0])
        assert [(await said(socket))["seq"] for socket in sockets] == [seq] * 3
        await asyncio.gather(*(silence(socket, 31) for socket in sockets))
        seq = await call(publish)(build, redis[0], 30)
        for socket in sockets:
            assert (await said_until(socket, seq))[-1]["seq"] == seq
            await socket.close()


@pytest.mark.slow
async def test_without_its_redis_a_socket_still_hears(
    with_redis: Server, redis: tuple[str, subprocess.Popen[bytes]], build: Build, dev: User
) -> None:
    redis[1].kill()
    until(lambda: redis[1].poll() is not None)
    async with await opened(with_redis, path(build), dev) as socket:
        event = await record(build, "state")
        assert (await said(socket))["seq"] == event.seq
