"""A viewer of a log stream, as the page is one: takes bytes, acknowledges them, keeps what it was told."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed


class Watcher:
    """What one viewer has got so far; `watch` may be called again after a lost connection."""

    def __init__(self, offset: int = 0, *, keep: bool = True) -> None:
        self.offset = offset
        self.sha = hashlib.sha256()
        self.data = bytearray()
        self.marks: list[list[Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.code: int | None = None
        self._keep = keep

    async def watch(self, socket: ClientConnection, *, until: int | None = None) -> None:
        """Take until the server closes, or until the offset `until` is reached (then the connection is just left)."""
        try:
            while until is None or self.offset < until:
                await self.one(socket)
        except ConnectionClosed:
            self.code = socket.close_code

    async def one(self, socket: ClientConnection, timeout: float = 240) -> bytes | dict[str, Any]:
        """Take one message."""
        message = await asyncio.wait_for(socket.recv(), timeout)
        if isinstance(message, str):
            told: dict[str, Any] = json.loads(message)
            if "marks" in told:
                self.marks += told["marks"]
            else:
                self.statuses.append(told)
            return told
        self.offset += len(message)
        self.sha.update(message)
        if self._keep:
            self.data += message
        await socket.send(json.dumps({"ack": self.offset}))
        return message
