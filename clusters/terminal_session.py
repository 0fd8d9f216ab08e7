"""One open terminal and one browser: what is typed, what is shown, how much of either may wait. The protocol is written in
`terminals.py`. Must not know who may.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import deque
from typing import Any

from django.conf import settings

from clusters.drivers.runtime.streams import Ended, Output, Terminal
from fangduoduo_release.common.errors import AppError, Denied
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import Sentence
from fangduoduo_release.common.sockets.credit import DONE, PATIENCE_S, TOO_BIG, TOO_SLOW, Credit, Receive, Send
from fangduoduo_release.common.sockets.guards import Guard

INPUT, OUTPUT, ERROR, STATUS, RESIZE, ACK = range(6)
IDLE = 4410
FRAME = 64 * 1024
INPUT_MAX = 256 * 1024  # that waits for the program
INPUT_ACK = 16 * 1024
KEEPALIVE_S = 20.0
WARN_S = 60.0
LOOK_S = 5.0
LARGEST = 1000  # columns or rows


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
