"""A log that a test writes, served by the protocol written down in `static/js/logview.js`: the smallest server of it.

It holds the viewer to the protocol; the portal's own server has its own tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

FRAME = 1000  # small, so that frames cut lines and letters anywhere
LOGS: dict[str, GrowingLog] = {}


class GrowingLog:
    """Bytes that grow, and the sockets that read them."""

    def __init__(self, name: str) -> None:
        self.raw = b""
        self.complete = False
        self.asked: list[int] = []  # offsets that sockets asked for
        self.acked = 0
        self.cut_after: int | None = None  # close the socket after so many bytes
        self.held = False  # sockets wait; what is asked for is answered all the same
        self.away = False  # what is asked for is refused
        self.lock = threading.Lock()
        LOGS[name] = self

    def write(self, text: str) -> None:
        with self.lock:
            self.raw += text.encode()

    def lines(self, first: int, count: int, stage: str) -> dict[str, Any]:
        with self.lock:
            raw, complete = self.raw, self.complete
        finished = raw.decode(errors="replace").split("\n")
        if not (complete and finished[-1]):
            finished = finished[:-1]
        first = max(1, len(finished) + 1 + first if first < 0 else first)
        lines = [[n, None, "", "", finished[n - 1]] for n in range(first, min(len(finished), first + count - 1) + 1)]
        return {
            "first": first,
            "total_lines": len(finished),
            "total_bytes": len(raw),
            "next_offset": len(raw) if complete else raw.rfind(b"\n") + 1,
            "complete": complete,
            "lines": lines,
        }

    def find(self, words: str, after: int, backwards: bool) -> int | None:
        lines = self.raw.decode().lower().split("\n")
        numbers = range(after - 1, 0, -1) if backwards else range(after + 1, len(lines) + 1)
        return next((number for number in numbers if words.lower() in lines[number - 1]), None)

    def status(self) -> str:
        body: dict[str, Any] = {"total_bytes": len(self.raw), "complete": self.complete}
        if self.complete:
            body["sha256"] = hashlib.sha256(self.raw).hexdigest()
        return json.dumps(body)

    async def serve(
        self, query: str, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """One WebSocket, until the log is complete and sent, or the test cuts it."""
        offset = int(parse_qs(query).get("offset", ["0"])[0])
        self.asked.append(offset)
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": self.status()})
        reader = asyncio.create_task(self._acks(receive))
        sent = 0
        try:
            while not reader.done():
                piece = self.raw[offset : offset + FRAME]
                if self.held:
                    await asyncio.sleep(0.02)
                elif piece:
                    await send({"type": "websocket.send", "bytes": piece})
                    offset, sent = offset + len(piece), sent + len(piece)
                    if self.cut_after is not None and sent >= self.cut_after:
                        self.cut_after = None
                        await send({"type": "websocket.close", "code": 1011})
                        return
                elif self.complete:
                    await send({"type": "websocket.send", "text": self.status()})
                    await send({"type": "websocket.close", "code": 1000})
                    return
                else:
                    await asyncio.sleep(0.02)
        finally:
            reader.cancel()

    async def _acks(self, receive: Callable[[], Awaitable[Any]]) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message["type"] == "websocket.receive":
                self.acked = json.loads(message["text"])["ack"]
