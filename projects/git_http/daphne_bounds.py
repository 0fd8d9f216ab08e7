"""Bodies with a bound on daphne, which calls an application only when the whole body is there: without this a stranger
could send for days, and as much as the disk holds, before anybody looks.

What is within the bound, and a little beyond it, goes its usual way: the application then refuses with its own words.
Knows of an address only its beginning, its bound and what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.internet import reactor


@dataclass(frozen=True, slots=True)
class Bound:
    """`drained` bytes beyond `max_bytes` are read and dropped, since who is cut off while sending never reads why.

    `too_large` and `too_slow` are whole answers, as bytes on the wire.
    """

    max_bytes: int
    drained: int
    seconds: float
    too_large: bytes
    too_slow: bytes


Bounds = Mapping[bytes, Callable[[], Bound]]
"""The beginning of a path -> its bound, asked for when somebody comes."""


class BoundedRequest(WebRequest):  # type: ignore[misc]
    """A request whose body is counted and timed while it arrives."""

    bounds: Bounds = {}
    _bound: Bound | None = None
    _timer: Any = None
    _arrived = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        super().gotLength(min(length, 1 << 20) if length else length)  # it only chooses between memory and a file
        path = bytes(self.channel._path or b"")
        find = next((found for start, found in self.bounds.items() if path.startswith(start)), None)
        if find is None:
            return
        self._bound = bound = find()
        waits = b"100-continue" in (self.getHeader(b"expect") or b"").lower()
        if length and (length > bound.max_bytes + bound.drained or (waits and length > bound.max_bytes)):
            self._refuse(bound.too_large)
        elif length != 0:
            self._timer = reactor.callLater(bound.seconds, self._refuse, bound.too_slow)  # type: ignore[attr-defined,arg-type]

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if self._bound is None:
            super().handleContentChunk(data)
            return
        before, self._arrived = self._arrived, self._arrived + len(data)
        if self._arrived > self._bound.max_bytes + self._bound.drained:
            self._refuse(self._bound.too_large)
        elif before <= self._bound.max_bytes:
            super().handleContentChunk(data)

    def requestReceived(self, *arguments: Any) -> None:  # noqa: N802 - Twisted's name
        self._settle()
        super().requestReceived(*arguments)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        self._settle()
        super().connectionLost(reason)

    def _settle(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _refuse(self, answer: bytes) -> None:
        self._settle()
        if self.channel is None:
            return
        if self.channel.requests[:1] == [self]:  # else an earlier answer on this connection is not out yet
            self.channel.transport.write(answer)
        self.channel.loseConnection()


class BoundedFactory(HTTPFactory):  # type: ignore[misc]
    """Daphne's factory with bounded requests."""

    def __init__(self, server: Any, bounds: Bounds) -> None:
        super().__init__(server)
        self._request = type("Request", (BoundedRequest,), {"bounds": bounds})

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = self._request
        return protocol
