"""Blocking looks at keys of a Consul, many at once on one event loop and over few connections.

The address is judged before each look and connected to as it was judged; nothing comes from the environment, redirects
are not followed, answers are bounded in time and size.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid, Rejected
from fangduoduo_release.common.exchange import AGENT, Answer
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.tls import trust

from .base import Change, check_key
from .consul_wire import LARGEST_ANSWER, ConsulAccess, document_in, index_of, unreachable, waiting

CONNECT_S = 3.0
SLACK_S = 5.0  # beyond what Consul itself adds to a wait, a sixteenth
CONNECTIONS = 120  # Consul takes 200 of one address, unless told otherwise
_PORTS = {"https": 443, "http": 80}


class ConsulFollower:
    """Belongs to the loop it is first used on."""

    def __init__(self, access: ConsulAccess) -> None:
        self._access = access
        self._resolver = _Judged()
        self._tls: ssl.SSLContext | None = None  # takes a tenth of a second, so not here, where a loop waits
        self._session: aiohttp.ClientSession | None = None

    async def changed(self, key: str, index: int, wait_s: float) -> Change:
        check_key(key)
        answer = await self._look(waiting(self._access, key, index, wait_s), wait_s if index else 0.0)
        found = document_in(self._access, key, answer)
        return Change(index_of(answer, index), found)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _look(self, url: str, wait_s: float) -> Answer:
        parts = self._access.parts
        host = reach.host_of(parts)
        port = parts.port or _PORTS[parts.scheme]
        try:
            self._resolver.address = await asyncio.to_thread(reach.find, host, port, allow_private=True)
        except Invalid as error:
            raise Rejected(error.sentence, code="bad_address") from error
        if self._tls is None:
            self._tls = await asyncio.to_thread(trust, self._access.ca)
        timeout = aiohttp.ClientTimeout(total=wait_s * 17 / 16 + CONNECT_S + SLACK_S, connect=CONNECT_S)
        try:
            async with self._opened(self._tls).get(url, timeout=timeout, allow_redirects=False) as answer:
                body = await _bounded(answer)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, headers, body[:LARGEST_ANSWER], len(body) > LARGEST_ANSWER)
        except aiohttp.ClientConnectorCertificateError as error:
            sentence = S("The certificate of “%(host)s” is not trusted; put its CA into the connection.", host=host)
            raise Rejected(sentence, evidence=str(error)[:500], code="bad_certificate") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(self._access, error) from error

    def _opened(self, tls: ssl.SSLContext) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=self._resolver, ssl=tls, limit=CONNECTIONS, use_dns_cache=False)
            headers = {"User-Agent": AGENT, **self._access.headers}
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


class _Judged(AbstractResolver):
    """Knows one address: the one that was judged last."""

    address = ""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        kind = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        return [
            {
                "hostname": host,
                "host": self.address,
                "port": port,
                "family": kind,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Holds nothing."""


async def _bounded(answer: Any) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > LARGEST_ANSWER:
            answer.close()
            break
    return bytes(body)
