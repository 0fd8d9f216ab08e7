"""Read the body of a request within limits of size, time and memory. Knows nothing of what it holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fangduoduo_release.common.sentence import S, Sentence

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
PATIENCE_S = 10.0  # with a sender, for its body to arrive
DRAINED = 8  # so many times the limit are read and dropped: who is cut off while sending never reads why


class Refused(Exception):
    """An answer that is not what the sender hoped for."""

    def __init__(self, status: int, code: str, sentence: Sentence, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(sentence))
        self.status, self.code, self.sentence, self.headers = status, code, sentence, dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """Problem+json, in English: who reads it is a program, or looks into its log."""
        return {
            "type": f"about:blank#{self.code}",
            "title": self.code,
            "status": self.status,
            "detail": str(self.sentence),
            "code": self.code,
        }


def too_large(max_bytes: int) -> Refused:
    sentence = S("A delivery has at most %(bytes)s bytes; this one has more.", bytes=max_bytes)
    return Refused(413, "too_large", sentence, {"connection": "close"})


def too_slow(seconds: float) -> Refused:
    sentence = S("The body did not arrive within %(seconds)s seconds.", seconds=f"{seconds:g}")
    return Refused(408, "too_slow", sentence, {"connection": "close"})


class Incoming:
    """All bodies of a process: each has a limit, and so have all together."""

    def __init__(self, max_bytes: int, patience_s: float, held_bytes: int) -> None:
        self._max, self._patience_s, self._held_bytes = max_bytes, patience_s, held_bytes
        self._held = 0

    @contextlib.asynccontextmanager
    async def body(self, headers: Mapping[str, str], receive: Receive) -> AsyncIterator[bytes | None]:
        """The body, held until the block ends; None when the sender hung up. Raises Refused."""
        declared = _declared(headers)
        if declared > self._max:
            raise await self._too_large(receive, declared, headers)
        pieces: list[bytes] = []
        size, more = 0, True
        try:
            try:
                async with asyncio.timeout(self._patience_s):
                    while more and size <= self._max:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            break
                        piece = message.get("body", b"")
                        size, self._held = size + len(piece), self._held + len(piece)
                        if self._held > self._held_bytes:
                            sentence = S("Too many deliveries at once; send it again in a few seconds.")
                            raise Refused(503, "busy", sentence, {"retry-after": "5"})
                        pieces.append(piece)
                        more = message.get("more_body", False)
            except TimeoutError:
                raise too_slow(self._patience_s) from None
            if size > self._max:
                pieces.clear()
                raise await self._too_large(receive, size if more else 0, headers)
            yield None if more else b"".join(pieces)
        finally:
            self._held -= size

    async def _too_large(self, receive: Receive, comes: int, headers: Mapping[str, str]) -> Refused:
        """Read on for a while before it is refused. `comes`: how much at least; 0 when all of it was read."""
        waits = "100-continue" in headers.get("expect", "").lower()  # it has not begun to send
        if comes and not waits and comes <= DRAINED * self._max:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    await self._drain(receive)
        return too_large(self._max)

    async def _drain(self, receive: Receive) -> None:
        left = DRAINED * self._max
        while left > 0:
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return
            left -= len(message.get("body", b""))


def _declared(headers: Mapping[str, str]) -> int:
    try:
        return int(headers.get("content-length", "0") or "0")
    except ValueError:
        raise Refused(400, "bad_request", S("The Content-Length is not a number.")) from None
