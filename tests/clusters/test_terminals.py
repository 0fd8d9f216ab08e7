"""What a terminal's socket keeps to whatever its door does: who may not is kept from the cluster, and not one byte passes
either way before it is written down that it is opened."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError

from clusters.drivers.runtime.streams import Ended, Output
from clusters.terminals import Outcome, TerminalSockets
from fangduoduo_release.audit.chain import Broken
from fangduoduo_release.common.errors import AppError, Denied, NotFound, Unavailable
from fangduoduo_release.common.sentence import S

pytestmark = pytest.mark.django_db(transaction=True)
PERSON = SimpleNamespace(pk=0, topic="people/0", event_seq=0)


class Shell:
    """A program that greets at once and then waits."""

    def __init__(self) -> None:
        self.typed = b""
        self.closed = asyncio.Event()
        self._greeting = [Output(b"$ ")]

    async def send(self, data: bytes) -> None:
        self.typed += data

    async def resize(self, cols: int, rows: int) -> None: ...

    async def receive(self) -> Output | Ended:
        if self._greeting:
            return self._greeting.pop()
        await self.closed.wait()
        return Ended(exit_code=0)

    async def close(self) -> None:
        self.closed.set()


@dataclass
class Door:
    """`hasty`: begins the program whatever it is told to wait for. `writes` is set once the audit line may be written."""

    may: AppError | None = None
    trouble: Exception | None = None
    away: AppError | None = None
    hasty: bool = False
    writes: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    shells: list[Shell] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: list[Outcome | None] = field(default_factory=list)

    def who(self, caller: Any) -> Any:
        return PERSON

    def check(self, user: Any) -> object:
        if self.may is not None:
            raise self.may
        return user

    async def open(self, cols: int, rows: int, after: asyncio.Future[None]) -> Shell:
        self.asked += 1
        if self.away is not None:
            raise self.away
        if not self.hasty:
            await asyncio.shield(after)
        self.shells.append(Shell())
        self.begun.set()
        return self.shells[-1]

    def record(self, outcome: Outcome | None) -> None:
        assert self.writes.wait(60)
        if self.trouble is not None:
            raise self.trouble
        self.recorded.append(outcome)

    def facts(self) -> dict[str, str]:
        return {"instance": "web-1", "container": "app"}


class Browser:
    """The other end: types at once, and keeps all that it is sent."""

    def __init__(self, door: Door) -> None:
        self.sent: list[dict[str, Any]] = []
        self._comes: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self.say({"type": "websocket.connect"})
        self.say({"type": "websocket.receive", "bytes": b"\x00reboot\r"})
        app = TerminalSockets(re.compile("/t/"), lambda found, query: door, hands=2)
        headers = [(b"host", b"localhost"), (b"authorization", b"Bearer x")]
        scope = {"type": "websocket", "path": "/t/", "headers": headers, "query_string": b""}
        self.served = asyncio.ensure_future(app(scope, self._comes.get, self._take))

    def say(self, message: dict[str, Any]) -> None:
        self._comes.put_nowait(message)

    async def _take(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self._news.set()

    async def until(self, kind: str) -> dict[str, Any]:
        """The first message of a kind."""
        async with asyncio.timeout(60):
            while not (found := [one for one in self.sent if one["type"] == kind]):
                self._news.clear()
                await self._news.wait()
        return found[0]

    @property
    def shown(self) -> bytes:
        """What came of the program."""
        return b"".join(one["bytes"][1:] for one in self.frames if one["bytes"][0] in (1, 2))

    @property
    def states(self) -> list[dict[str, Any]]:
        return [json.loads(one["bytes"][1:]) for one in self.frames if one["bytes"][0] == 3]

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [one for one in self.sent if one["type"] == "websocket.send"]

    async def code(self) -> int:
        code = (await self.until("websocket.close"))["code"]
        await asyncio.wait_for(self.served, 60)
        return int(code)


@pytest.fixture
async def leave() -> AsyncIterator[list[Browser]]:
    """Browsers that leave at the end."""
    made: list[Browser] = []
    yield made
    for one in made:
        one.say({"type": "websocket.disconnect"})
        await asyncio.wait_for(one.served, 60)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(Denied(S("No."), rule="test"), 4403), (NotFound(S("Nothing.")), 4404)],
)
async def test_for_who_may_not_the_cluster_is_never_asked(refusal: AppError, code: int) -> None:
    door = Door(may=refusal)
    door.writes.set()
    at = Browser(door)
    assert await at.code() == code
    assert door.asked == 0
    assert door.recorded == []


@pytest.mark.parametrize("hasty", [False, True])
async def test_nothing_passes_before_it_is_written_down(leave: list[Browser], hasty: bool) -> None:
    """Also when the program has begun already: it hears nothing and nobody hears it."""
    door = Door(hasty=hasty)
    at = Browser(door)
    leave.append(at)
    await at.until("websocket.accept")
    if hasty:
        await asyncio.wait_for(door.begun.wait(), 60)
    await asyncio.sleep(0.2)  # for what must not come
    assert at.frames == []
    assert [one.typed for one in door.shells] == ([b""] if hasty else [])
    door.writes.set()
    async with asyncio.timeout(60):
        while at.shown != b"$ " or door.shells[0].typed != b"reboot\r":
            await asyncio.sleep(0.01)
    assert door.recorded == [None]


@pytest.mark.parametrize("hasty", [False, True])
@pytest.mark.parametrize("trouble", [DatabaseError("disk full"), InterfaceError("closed")])
async def test_what_cannot_be_written_down_is_not_opened(hasty: bool, trouble: Exception) -> None:
    door = Door(trouble=trouble, hasty=hasty)
    at = Browser(door)
    await at.until("websocket.accept")
    if hasty:
        await asyncio.wait_for(door.begun.wait(), 60)
    door.writes.set()
    assert await at.code() == 4503
    assert at.frames == []
    for shell in door.shells:
        assert shell.closed.is_set()
        assert shell.typed == b""
    assert len(door.shells) == hasty


@pytest.mark.parametrize("hasty", [False, True])
async def test_a_chain_that_cannot_go_on_opens_nothing_and_says_so(hasty: bool) -> None:
    """Its end cannot be written down either, which must not leave the browser without a word."""
    door = Door(trouble=Broken(S("The audit trail cannot be continued.")), hasty=hasty)
    door.writes.set()
    at = Browser(door)
    assert await at.code() == 4502
    assert at.states == [
        {"state": "refused", "sentence": "The audit trail cannot be continued.", "code": "audit_broken"}
    ]
    assert at.shown == b""
    for shell in door.shells:
        assert shell.closed.is_set()
        assert shell.typed == b""


async def test_a_cluster_that_is_away_is_written_down_after_the_opening() -> None:
    door = Door(away=Unavailable(S("The API server does not answer.")))
    at = Browser(door)
    await at.until("websocket.accept")
    await asyncio.sleep(0.1)  # for a refusal that must wait
    assert at.frames == []
    door.writes.set()
    assert await at.code() == 4502
    assert at.states[0]["sentence"] == "The API server does not answer."
    assert door.recorded[0] is None
    assert [one.reason for one in door.recorded if one] == ["The API server does not answer."]


async def test_a_server_that_stops_meanwhile_leaves_no_program_behind() -> None:
    door = Door(hasty=True)
    at = Browser(door)
    await asyncio.wait_for(door.begun.wait(), 60)
    at.served.cancel()
    with pytest.raises(asyncio.CancelledError):
        await at.served
    door.writes.set()
    assert door.shells[0].closed.is_set()
    assert door.shells[0].typed == b""
    assert at.frames == []
