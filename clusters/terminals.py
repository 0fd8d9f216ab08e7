"""A terminal between a program and a browser, over a WebSocket: for services' pages and for the gateway alike.

THE PROTOCOL. Binary messages, the first byte says what it is.
  client  0 input   bytes typed, at most 64 KiB a message
  client  4 resize  JSON {"cols", "rows"}
  client  5 ack     JSON {"ack": n}: so many bytes of output and error were taken; at most 256 KiB are on their way without
  server  1 output, 2 error (only of a program without a TTY)
  server  3 status  JSON {"state": "open", "instance", "container"}, {"state": "idle", "closes_in_s"}, {"state": "alive"}
                    every 20 s of silence, {"state": "ended", "exit_code" or null, "sentence"},
                    {"state": "refused", "sentence", "code", "request_url"?}
  server  5 ack     JSON {"ack": n}: so many bytes of input were taken by the program; a client keeps at most 64 KiB on
                    their way, one that has more than 256 KiB waiting is closed
`?cols=&rows=` say the size at the beginning. Closed with 1000 after the end, 4400 a question that cannot be, 4401 not signed
in, 4403 not allowed (any more), 4404 absent, 4408 nothing was taken for 30 s, 4410 nobody typed for long, 4413 too much at
once, 4502 the program could not be started, 4503 the portal cannot ask now.
Must not know services, projects or who may: a `Door` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import parse_qs

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import translation

from clusters.drivers.runtime.streams import Ended, Output, Terminal
from fangduoduo_release.common.errors import AppError, Denied, NotFound
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import Sentence
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
from fangduoduo_release.common.sockets.guards import TRY_LATER, UNSEEN, Guard, Who
from fangduoduo_release.common.sockets.identity import Scope, header, is_our_origin
from fangduoduo_release.common.sockets.pool import DatabasePool

logger = logging.getLogger(__name__)
INPUT, OUTPUT, ERROR, STATUS, RESIZE, ACK = range(6)
IDLE, NOT_STARTED = 4410, 4502
FRAME = 64 * 1024
INPUT_MAX = 256 * 1024  # that waits for the program
INPUT_ACK = 16 * 1024
KEEPALIVE_S = 20.0
WARN_S = 60.0
LOOK_S = 5.0
LARGEST = 1000  # columns or rows


class Door(Protocol):
    """One attempt to open one terminal. `check` and `record` run in a pool and may use the database."""

    @property
    def who(self) -> Who:
        """Whose the caller's session or token is."""

    def check(self, user: Any) -> object:
        """Raises an AppError for who may not, or for what is not there. Asked again while the terminal is open."""

    async def open(self, cols: int, rows: int) -> Terminal:
        """Raises an AppError."""

    def record(self, outcome: Outcome | None) -> None:
        """Write down that it is about to be opened (None; when this fails, it is not), and how it ended."""

    def facts(self) -> dict[str, str]:
        """What is opened: `instance` and `container`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a terminal ended. `exit_code` is None when the program did not end by itself; `reason`: why it never began."""

    seconds: float
    exit_code: int | None
    typed: int
    shown: int
    reason: str = ""


class TerminalSockets:
    """The ASGI application; `plan(match, query)` makes the door for an address, or None for one that means nothing."""

    def __init__(
        self, path: re.Pattern[str], plan: Callable[[re.Match[str], dict[str, str]], Door | None], hands: int = 6
    ) -> None:
        self.path = path
        self._plan = plan
        self._pool = DatabasePool("terminals", hands)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.path.fullmatch(scope["path"])
        await receive()  # websocket.connect
        if found is None or not is_our_origin(scope):
            await send({"type": "websocket.close"})
            return
        query = {
            name: values[-1] for name, values in parse_qs(scope.get("query_string", b"").decode("latin-1")).items()
        }
        door, size = self._plan(found, query), size_of(query)
        with translation.override(language_of(scope)):
            wire = Wire(send)
            await send({"type": "websocket.accept"})
            code: int | None = BAD_REQUEST
            if door is not None and size is not None:
                guard = Guard(scope, door.check, self._pool, door.who)
                code = await guard.admit()
                if code is None:
                    code = await self._open(door, size, guard, receive, wire)
                elif guard.refusal is not None:
                    await wire.refused(guard.refusal)
            if code is not None:
                await part(send, code)

    async def _open(self, door: Door, size: tuple[int, int], guard: Guard, receive: Receive, wire: Wire) -> int | None:
        """Record, open, serve, record; the code to close with."""
        try:
            await self._record(door, None)
            terminal = await door.open(*size)
        except (DatabaseError, InterfaceError):
            logger.exception("a terminal is not opened: it cannot be written down")
            return TRY_LATER
        except AppError as error:
            await wire.refused(error)
            await self._end(door, Outcome(0.0, None, 0, 0, str(error.sentence)))
            return UNSEEN if isinstance(error, NotFound) else NOT_STARTED
        session = Session(terminal, receive, wire)
        began = time.monotonic()
        try:
            return await session.serve(guard, door.facts())
        finally:
            outcome = Outcome(time.monotonic() - began, session.exit_code, session.typed, wire.credit.sent)
            await asyncio.shield(self._close(door, terminal, outcome))

    async def _close(self, door: Door, terminal: Terminal, outcome: Outcome) -> None:
        await terminal.close()
        await self._end(door, outcome)

    async def _end(self, door: Door, outcome: Outcome) -> None:
        try:
            await self._record(door, outcome)
        except (DatabaseError, InterfaceError):
            logger.exception("the end of a terminal could not be written down: %s", outcome)

    async def _record(self, door: Door, outcome: Outcome | None) -> None:
        """In the pool, as the one whose request this is."""
        await self._pool.run(contextvars.copy_context().run, door.record, outcome)


class Wire:
    """What goes to the browser, one message after the other."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._turn = asyncio.Lock()
        self.credit = Credit()
        self.sent_at = time.monotonic()

    async def put(self, kind: int, data: bytes) -> None:
        """Raises TimeoutError when the server waits too long for the browser to read."""
        async with asyncio.timeout(PATIENCE_S), self._turn:
            await self._send({"type": "websocket.send", "bytes": bytes((kind,)) + data})
        self.sent_at = time.monotonic()

    async def output(self, said: Output) -> None:
        for at in range(0, len(said.data), FRAME):
            piece = said.data[at : at + FRAME]
            self.credit.sent += len(piece)
            await self.put(ERROR if said.error else OUTPUT, piece)

    async def status(self, **facts: Any) -> None:
        await self.put(STATUS, json.dumps(facts).encode())

    async def refused(self, error: AppError) -> None:
        more = {"request_url": error.request_url} if isinstance(error, Denied) and error.request_url else {}
        with contextlib.suppress(TimeoutError, RuntimeError, OSError):
            await self.status(state="refused", sentence=say(error.sentence), code=error.code, **more)


class Session:
    """One open terminal and one browser."""

    def __init__(self, terminal: Terminal, receive: Receive, wire: Wire) -> None:
        self._terminal = terminal
        self._receive = receive
        self._wire = wire
        self._waiting: deque[bytes | tuple[int, int]] = deque()  # what was typed, and sizes, in their order
        self._waits = 0
        self._typing = asyncio.Event()
        self._active = time.monotonic()
        self._warned = False
        self.typed = 0
        self.exit_code: int | None = None

    async def serve(self, guard: Guard, facts: dict[str, str]) -> int | None:
        """Until the program ends or something stands in the way: the code to close with, None when the browser has gone."""
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[Any]] = []
        try:
            await self._wire.status(state="open", **facts)
            work = (self._listen(), self._type(), self._show(), self._wake(), guard.watch())
            tasks += [loop.create_task(one) for one in work]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
            if guard.refusal is not None:
                await self._wire.refused(guard.refusal)
            return code
        except TimeoutError:
            return TOO_SLOW
        except (RuntimeError, OSError):
            return None  # the server says so of a connection that has gone
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> int | None:
        """Never waits for the program: a server would take all that comes meanwhile into memory."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return None
            data = message.get("bytes") or b""
            if len(data) > FRAME + 1 or len(message.get("text") or "") > FRAME or self._waits > INPUT_MAX:
                return TOO_BIG
            kind, rest = (data[0], data[1:]) if data else (STATUS, b"")
            if kind == INPUT and rest:
                self._active, self._warned = time.monotonic(), False
                self._wait(rest)
            elif kind == RESIZE and (size := size_of(read(rest))) is not None:
                self._wait(size)
            elif kind == ACK:
                self._wire.credit.take(read(rest).get("ack"))

    def _wait(self, one: bytes | tuple[int, int]) -> None:
        if isinstance(one, bytes):
            self._waits += len(one)
        elif self._waiting and isinstance(self._waiting[-1], tuple):
            self._waiting.pop()  # only the last of many sizes counts
        self._waiting.append(one)
        self._typing.set()

    async def _type(self) -> int | None:
        told = 0
        while True:
            while self._waiting:
                one = self._waiting.popleft()
                if isinstance(one, tuple):
                    await self._terminal.resize(*one)
                    continue
                await self._terminal.send(one)
                self._waits -= len(one)
                self.typed += len(one)
                if self.typed - told >= INPUT_ACK:
                    told = self.typed
                    await self._wire.put(ACK, json.dumps({"ack": told}).encode())
            self._typing.clear()
            await self._typing.wait()

    async def _show(self) -> int:
        """What the program says, as fast as the browser takes it."""
        wire = self._wire
        while isinstance(said := await self._terminal.receive(), Output):
            await wire.output(said)
            await wire.credit.wait()
        await self._over(said)
        await wire.credit.spent()
        return DONE

    async def _over(self, end: Ended) -> None:
        self.exit_code = end.exit_code
        sentence = say(end.sentence) if isinstance(end.sentence, Sentence) else ""
        await self._wire.status(state="ended", exit_code=end.exit_code, sentence=sentence)

    async def _wake(self) -> int:
        """Say something in a silence, warn of the end of patience, and end it."""
        idle = float(settings.TERMINAL_IDLE_S)
        while True:
            now = time.monotonic()
            rest = self._active + idle - now
            if rest <= 0:
                return IDLE
            if rest <= WARN_S and not self._warned:
                self._warned = True
                await self._wire.status(state="idle", closes_in_s=round(rest))
            elif now - self._wire.sent_at >= KEEPALIVE_S:
                await self._wire.status(state="alive")
            turn = rest - WARN_S if rest > WARN_S else rest
            await asyncio.sleep(max(0.05, min(turn, LOOK_S)))


def read(data: bytes) -> dict[str, Any]:
    """A small JSON object; {} for anything else."""
    try:
        found = json.loads(data) if len(data) < 200 else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def size_of(query: dict[str, Any]) -> tuple[int, int] | None:
    """Columns and rows; 80 × 24 when nothing is said, None when it is nonsense."""
    found = []
    for name, usual in (("cols", 80), ("rows", 24)):
        value = query.get(name, usual)
        if isinstance(value, str):
            value = int(value) if re.fullmatch(r"[0-9]{1,4}", value) else 0
        if type(value) is not int or not 1 <= value <= LARGEST:
            return None
        found.append(value)
    return found[0], found[1]


def language_of(scope: Scope) -> str:
    """The reader's, as pages choose it: the cookie, else what the browser prefers."""
    name = f"{settings.LANGUAGE_COOKIE_NAME}="
    cookies = (part_.strip() for part_ in header(scope, b"cookie").split(";"))
    chosen = next((one.removeprefix(name) for one in cookies if one.startswith(name)), "")
    request = SimpleNamespace(
        COOKIES={settings.LANGUAGE_COOKIE_NAME: chosen} if chosen else {},
        META={"HTTP_ACCEPT_LANGUAGE": header(scope, b"accept-language")},
        headers={},
    )
    found: str = translation.get_language_from_request(request)  # type: ignore[arg-type]
    return found
