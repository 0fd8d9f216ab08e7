"""Followed logs on real servers: merged, live, for all viewers by one following; nobody unseen, nobody slow held in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.actions import set_member
from tests import world
from tests.common.sockets.serving import Server, bearer

from .ground import NAMESPACE, Ground

pytestmark = pytest.mark.django_db(transaction=True)
call = sync_to_async(thread_sensitive=False)
Open = Callable[..., Any]
WINDOW = 256 * 1024


class Viewer:
    """As the page is one: takes lines, acknowledges them."""

    def __init__(self, socket: ClientConnection, *, acks: bool = True) -> None:
        self.socket = socket
        self.lines: list[list[Any]] = []
        self.others: list[dict[str, Any]] = []
        self.upto = 0
        self._acks = acks

    async def one(self, timeout: float = 60) -> None:
        told = json.loads(await asyncio.wait_for(self.socket.recv(), timeout))
        if "lines" not in told:
            self.others.append(told)
            return
        self.lines += told["lines"]
        self.upto = told["upto"]
        if self._acks:
            with contextlib.suppress(ConnectionClosed):  # what came before the end is still to be read
                await self.socket.send(json.dumps({"ack": self.upto}))

    async def until(self, check: Callable[[], bool], timeout: float = 60) -> None:
        async with asyncio.timeout(timeout):
            while not check():
                await self.one(timeout)

    async def sees(self, text: str, timeout: float = 60) -> None:
        await self.until(lambda: text in self.texts, timeout)

    async def code(self, timeout: float = 60) -> int | None:
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(timeout):
                while True:
                    await self.one(timeout)
        return self.socket.close_code

    @property
    def texts(self) -> list[str]:
        return [line[4] for line in self.lines]

    @property
    def news(self) -> list[tuple[str, str]]:
        return [(told["news"][0], told["news"][3]) for told in self.others if "news" in told]


@pytest.fixture
def viewer(shop: Ground) -> User:
    return shop.member("viewer")


@pytest.fixture
def watch(opened: Open) -> Open:
    async def make(at: Ground, user: User | None, query: str = "", *, acks: bool = True, **options: Any) -> Viewer:
        return Viewer(await opened(f"/ws/services/{at.service.pk}/logs/?{query}", user, **options), acks=acks)

    return make


def say(shop: Ground, pod: str, *lines: str) -> None:
    shop.rig.say(NAMESPACE, pod, list(lines), "app")


async def test_lines_of_all_instances_come_as_they_are_written(watch: Open, shop: Ground, viewer: User) -> None:
    first, second = shop.pods
    await call(say)(shop, first, "before 1")
    await call(say)(shop, second, "before 2")
    at = await watch(shop, viewer)
    await at.sees("before 2")
    assert at.others[0]["state"] == "open"
    assert sorted(one["name"] for one in at.others[0]["instances"]) == [first, second]
    assert at.others[0]["instances"][0]["containers"] == ["app", "proxy"]
    await call(say)(shop, first, "after 1", "zwölf 中文 \x1b[31mred\x1b[0m")
    await at.sees("after 1")
    await at.sees("zwölf 中文 \x1b[31mred\x1b[0m")
    last = at.lines[-1]
    assert last[:2] == [first, "app"]
    assert last[3] == "stdout"
    assert last[5] is False
    assert at.texts.index("before 1") < at.texts.index("before 2") < at.texts.index("after 1")


async def test_one_instance_a_tail_and_what_cannot_be(watch: Open, shop: Ground, viewer: User) -> None:
    first, second = shop.pods
    await call(say)(shop, first, *(f"one {number}" for number in range(20)))
    await call(say)(shop, second, "two")
    at = await watch(shop, viewer, f"instance={first}&tail=5&container=app")
    await at.sees("one 19")
    assert at.texts == [f"one {number}" for number in range(15, 20)]
    for query in ("tail=x", "tail=99999", "since=yesterday", "instance=../x", "container=a%2Fb"):
        assert await (await watch(shop, viewer, query)).code() == 4400
    gone = await watch(shop, viewer, "instance=shop-gone")
    assert await gone.code() == 4404
    assert gone.others[-1]["state"] == "refused"
    before = await watch(shop, viewer, "previous=1")
    assert await before.code() == 1000
    assert before.others[-1] == {"state": "over"}


async def test_who_may(watch: Open, shop: Ground, viewer: User) -> None:
    stranger = await call(world.person)()
    assert await (await watch(shop, None)).code() == 4401
    assert await (await watch(shop, stranger)).code() == 4404
    headers = await call(bearer)(viewer)
    at = await watch(shop, None, origin=None, additional_headers=headers)
    await at.until(lambda: len(at.news) == 2)  # the cluster has answered: from now on only a right ends it
    with pytest.raises(InvalidStatus):
        await watch(shop, viewer, origin="http://evil.example")
    await call(set_member)(actor=SYSTEM, project=shop.project, user=viewer, role=None)
    assert await at.code() == 4403


async def test_a_replaced_pod_is_followed_and_told(watch: Open, shop: Ground, viewer: User) -> None:
    old = shop.pods[0]
    at = await watch(shop, viewer)
    await at.until(lambda: len([what for _, what in at.news if what == "joined"]) == 2)
    await call(say)(shop, old, "last words")
    await at.sees("last words")
    before = set(shop.pods)
    await call(shop.rig.delete)("pods", NAMESPACE, old)

    def replaced() -> str:
        fresh = set(shop.pods) - before
        return fresh.pop() if fresh and shop.running == 2 else ""

    while not (new := await call(replaced)()):
        await asyncio.sleep(0.05)
    await call(shop.see)()
    await at.until(lambda: (old, "left") in at.news and (new, "joined") in at.news)
    await call(say)(shop, new, "first words")
    await at.sees("first words")


async def test_two_hundred_viewers_ask_the_cluster_no_more_than_one(watch: Open, shop: Ground, viewer: User) -> None:
    shop.rig.requests.forget()
    alone = await watch(shop, viewer)
    await alone.until(lambda: len(alone.news) == 2)
    while len(shop.rig.requests.lines("follow=true")) < 2:
        await asyncio.sleep(0.05)
    asked = len(shop.rig.requests.lines())
    others = [await watch(shop, viewer) for _ in range(199)]
    await call(say)(shop, shop.pods[0], "for everybody")
    await asyncio.gather(*(at.sees("for everybody", 60) for at in (alone, *others)))
    assert len(shop.rig.requests.lines()) - asked <= 1


async def test_without_acknowledgements_little_is_sent_and_the_rest_waits(
    watch: Open, server: Server, shop: Ground, viewer: User
) -> None:
    at = await watch(shop, viewer, acks=False)
    await at.until(lambda: len(at.news) == 2)
    memory = server.memory()
    lines = [f"{number:06d} " + "x" * 500 for number in range(20_000)]
    await call(say)(shop, shop.pods[0], *lines)
    await at.until(lambda: at.upto >= WINDOW)
    with contextlib.suppress(TimeoutError):
        while True:  # whatever else is on its way
            await at.one(timeout=3)
    assert at.upto <= WINDOW + 64 * 1024
    assert server.memory() - memory < 15
    at._acks = True
    await at.socket.send(json.dumps({"ack": at.upto}))
    await at.until(lambda: len(at.lines) == 20_000, timeout=60)
    assert at.texts == lines
    assert not [told for told in at.others if "missed" in told]


async def test_a_slow_viewer_holds_nobody_back_and_is_told_what_it_missed(
    watch: Open, shop: Ground, viewer: User
) -> None:
    slow = await watch(shop, viewer, acks=False)
    await slow.until(lambda: len(slow.news) == 2)
    quick = await watch(shop, viewer)
    await quick.until(lambda: bool(quick.others))
    lines = [f"{number:06d} " + "x" * 500 for number in range(10_000)]
    await call(say)(shop, shop.pods[0], *lines)
    await quick.until(lambda: lines[-1] in quick.texts[-1:], timeout=60)
    assert quick.texts == lines
    await slow.until(lambda: slow.upto >= WINDOW)
    slow._acks = True
    await slow.socket.send(json.dumps({"ack": slow.upto}))
    await slow.until(lambda: lines[-1] in slow.texts[-1:], timeout=60)
    missed = sum(told.get("missed", 0) for told in slow.others)
    assert missed > 0
    assert len(slow.lines) + missed == 10_000


async def test_rubbish_is_ignored_and_too_much_is_not(watch: Open, shop: Ground, viewer: User) -> None:
    at = await watch(shop, viewer)
    for rubbish in ("[", "[]", "null", '{"ack": "5"}', '{"ack": 10000000}', b"\x00"):
        await at.socket.send(rubbish)
    await call(say)(shop, shop.pods[0], "still here")
    await at.sees("still here")
    await at.socket.send("x" * 5000)
    assert await at.code() == 4413
