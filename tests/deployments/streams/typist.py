"""A person at a terminal, as the page is one: takes output, acknowledges it, types."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed


class Typist:
    """`text` is all that was shown; `statuses`, what the portal said of the terminal."""

    def __init__(self, socket: ClientConnection, *, acks: bool = True, keep: bool = True) -> None:
        self.socket = socket
        self.text = b""
        self.shown = 0
        self.taken = 0  # of what was typed, by the program
        self.statuses: list[dict[str, Any]] = []
        self._acks = acks
        self._keep = keep

    async def one(self, timeout: float = 60) -> int:
        """Take one message; its kind."""
        message = await asyncio.wait_for(self.socket.recv(), timeout)
        assert isinstance(message, bytes)
        kind, data = message[0], message[1:]
        if kind in (1, 2):
            self.shown += len(data)
            if self._keep:
                self.text += data
            if self._acks:
                with contextlib.suppress(ConnectionClosed):  # what came before the end is still to be read
                    await self.ack()
        elif kind == 3:
            self.statuses.append(json.loads(data))
        elif kind == 5:
            self.taken = json.loads(data)["ack"]
        return kind

    async def ack(self) -> None:
        await self.socket.send(b"\x05" + json.dumps({"ack": self.shown}).encode())

    async def until(self, check: Callable[[], bool], timeout: float = 60) -> None:
        async with asyncio.timeout(timeout):
            while not check():
                await self.one(timeout)

    async def sees(self, text: bytes, timeout: float = 60) -> None:
        await self.until(lambda: text in self.text, timeout)

    async def type(self, text: str) -> None:
        await self.socket.send(b"\x00" + text.encode())

    async def resize(self, cols: int, rows: int) -> None:
        await self.socket.send(b"\x04" + json.dumps({"cols": cols, "rows": rows}).encode())

    async def code(self, timeout: float = 60) -> int | None:
        """Take until it is closed; the code."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(timeout):
                while True:
                    await self.one(timeout)
        return self.socket.close_code

    @property
    def state(self) -> str:
        return str(self.statuses[-1]["state"]) if self.statuses else ""
