"""How much may be on its way to a viewer: what was sent and not acknowledged. A server takes all one gives it into memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

WINDOW = 256 * 1024
PATIENCE_S = float(settings.SOCKET_PATIENCE_S)  # without an acknowledgement while bytes wait
PARTING_S = 5.0  # for the last acknowledgement, and for a goodbye
DONE, BAD_REQUEST, TOO_BIG, TOO_SLOW = 1000, 4400, 4413, 4408  # daphne sends 1000 and 3000 to 4999 only

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Credit:
    """Counts bytes. `wait` returns once something may be sent; TimeoutError when the viewer takes nothing for long."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self.sent = self.acked = 0
        self._news = asyncio.Event()

    @property
    def room(self) -> int:
        return self._window - (self.sent - self.acked)

    async def wait(self) -> None:
        while self.room <= 0:
            await self._acked()

    async def spent(self) -> None:
        """Return when all was acknowledged, or after a while: a server may throw away what it has not sent when it
        closes, so slow lines are given time."""
        try:
            async with asyncio.timeout(PARTING_S):
                while self.acked < self.sent:
                    await self._acked()
        except TimeoutError:
            return

    def take(self, ack: object) -> None:
        """An acknowledgement of all bytes below; anything that cannot be one is ignored."""
        if type(ack) is int and self.acked < ack <= self.sent:
            self.acked = ack
            self._news.set()

    async def _acked(self) -> None:
        self._news.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._news.wait()


async def part(send: Send, code: int) -> None:
    """Close, also when the viewer does not read any more and the server would wait for that."""
    try:
        async with asyncio.timeout(PARTING_S):
            await send({"type": "websocket.close", "code": code})
    except (TimeoutError, RuntimeError, OSError):
        return  # gone already
