"""One API server for whoever waits for it in an event loop: watches, followed logs. Raw lines, bounded memory.

One session a loop and a server. Must not be used from two loops.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

from .access import Access, judge_reach
from .api import Answer, Query, plain
from .names import MANAGER

Response = aiohttp.ClientResponse
CONNECT_S = 3.0
TIMEOUT_S = 30.0
CHUNK = 64 * 1024
KEEPALIVE = {"TCP_KEEPIDLE": 6, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3}  # a host that is gone is known after 15 s
LONGEST_LINE = 4 * 1024 * 1024  # an object of etcd has 1.5 MiB at most


class LineTooLong(Exception):
    """A line that no sane server sends."""


class AsyncApi:
    """The server behind one `Access`, from one event loop. Use as an async context manager."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AsyncApi:
        context = await asyncio.to_thread(self._prepare)
        connector = aiohttp.TCPConnector(
            ssl=context if context is not None else True, limit=0, limit_per_host=0, socket_factory=_socket
        )
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=True)
        return self

    def _prepare(self) -> ssl.SSLContext | None:
        """A question to the DNS, and hundreds of certificates to read: nothing for a loop."""
        judge_reach(self.access.server)
        return self.access.tls()

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def open(
        self, path: str, query: Query | None = None, *, silence_s: float | None = TIMEOUT_S
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A GET whose answer is read as it comes; `silence_s`: how long it may say nothing. Raises Unavailable."""
        if self._session is None:
            raise RuntimeError("enter the AsyncApi first")
        headers = {"Accept": "application/json", "User-Agent": MANAGER}
        if bearer := self.access.bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        url = f"{self.access.server}{path}" + (f"?{urlencode(plain(query))}" if query else "")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=silence_s)
        more: dict[str, Any] = {"server_hostname": self.access.server_name} if self.access.server_name else {}
        try:
            async with self._session.get(
                url, headers=headers, timeout=timeout, allow_redirects=False, **more
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                S("The API server does not answer."), evidence=f"{type(error).__name__}: {error}"[:500]
            ) from error

    async def get(self, path: str, query: Query | None = None) -> Answer:
        """One GET, whatever its answer. Raises Unavailable."""
        async with self.open(path, query) as response:
            body = await response.read()
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """One whose other end is asked for signs of life: a watch may say nothing for a minute, and its host be gone."""
    family, kind, protocol, _name, _where = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):  # macOS has not all of them
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def lines_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whole lines without their end; what is left of a cut one is not a line. Raises LineTooLong, aiohttp's errors."""
    rest = b""
    async for chunk in response.content.iter_any():
        data = rest + chunk if rest else chunk
        parts = data.split(b"\n")
        rest = parts.pop()
        for part in parts:
            yield part
        if len(rest) > LONGEST_LINE:
            raise LineTooLong


async def chunks_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Unavailable when it is cut."""
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(
            S("The API server does not answer."), evidence=f"{type(error).__name__}: {error}"[:500]
        ) from error
