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
once, 4502 the program could not be started, 4503 the portal cannot ask now, or this
person has too many open.
Must not know services, projects or who may: a `Door` does.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import translation

from clusters.drivers.runtime.streams import Terminal
from clusters.terminal_session import Session, Wire, size_of
from fangduoduo_release.common.errors import AppError, NotFound, TooMany
from fangduoduo_release.common.sockets.credit import (
    BAD_REQUEST,
    Receive,
    Send,
    part,
)
from fangduoduo_release.common.sockets.guards import TRY_LATER, UNSEEN, Guard, Who
from fangduoduo_release.common.sockets.identity import Scope, is_our_origin
from fangduoduo_release.common.sockets.language import language_of
from fangduoduo_release.common.sockets.places import Places
from fangduoduo_release.common.sockets.pool import DatabasePool

logger = logging.getLogger(__name__)
NOT_STARTED = 4502


class Door(Protocol):
    """One attempt to open one terminal. `check` and `record` run in a pool and may use the database."""

    @property
    def who(self) -> Who:
        """Whose the caller's session or token is."""

    def check(self, user: Any) -> object:
        """Raises an AppError for who may not, or for what is not there. Asked again while the terminal is open."""

    async def open(self, cols: int, rows: int, after: asyncio.Future[None]) -> Terminal:
        """Begin the program once `after` is done, and never if it fails; the way there may be made meanwhile. Called
        after `check` has said yes. Raises an AppError, and what `after` raises."""

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
        self._places = Places()

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
            guard = Guard(scope, door.check, self._pool, door.who) if door is not None and size is not None else None
            code: int | None = BAD_REQUEST if guard is None else await guard.admit()
            await send({"type": "websocket.accept"})
            if guard is not None and guard.refusal is not None:
                await wire.refused(guard.refusal)
            elif door is not None and size is not None and guard is not None and code is None:
                code = await self._seated(door, size, guard, receive, wire)
            if code is not None:
                await part(send, code)

    async def _seated(
        self, door: Door, size: tuple[int, int], guard: Guard, receive: Receive, wire: Wire
    ) -> int | None:
        """As `_open`, unless this person has too many open."""
        try:
            with self._places.one(guard.person, settings.STREAMS_PER_PERSON):
                return await self._open(door, size, guard, receive, wire)
        except TooMany as error:
            await wire.refused(error)
            return TRY_LATER

    async def _open(self, door: Door, size: tuple[int, int], guard: Guard, receive: Receive, wire: Wire) -> int | None:
        """Record, open, serve, record; the code to close with."""
        try:
            terminal = await self._recorded(door, size)
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

    async def _recorded(self, door: Door, size: tuple[int, int]) -> Terminal:
        """The terminal, once it stands in the audit that it is opened; the way to the cluster is made meanwhile."""
        loop = asyncio.get_running_loop()
        writing = loop.create_task(self._record(door, None))
        opening = loop.create_task(door.open(*size, writing))
        try:
            await writing
            return await opening
        except BaseException:
            opening.cancel()
            for left in await asyncio.gather(opening, return_exceptions=True):
                if not isinstance(left, BaseException):
                    await left.close()
            raise

    async def _close(self, door: Door, terminal: Terminal, outcome: Outcome) -> None:
        await terminal.close()
        await self._end(door, outcome)

    async def _end(self, door: Door, outcome: Outcome) -> None:
        try:
            await self._record(door, outcome)
        except (DatabaseError, InterfaceError, AppError):
            logger.exception("the end of a terminal could not be written down: %s", outcome)

    async def _record(self, door: Door, outcome: Outcome | None) -> None:
        """In the pool, as the one whose request this is."""
        await self._pool.run(contextvars.copy_context().run, door.record, outcome)
