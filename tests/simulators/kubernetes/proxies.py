"""Services as real HTTP proxies: each request goes to one of the pods known to be ready, as known a moment ago."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .kinds import Object
from .processes import Running

if TYPE_CHECKING:
    from .server import Kubernetes

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_BAD = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 12\r\n\r\nBad Gateway\n"
_NONE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 20\r\n\r\nno available server\n"


@dataclass(eq=False)
class Proxy:
    """`ready`: the pods (uids) that requests go to. `answered`, `failed`: how many."""

    server: asyncio.Server | None = None
    port: int = 0
    ready: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    answered: int = 0
    failed: int = 0

    def learn(self) -> None:
        """What is so now: news that took longer must not bring back what was so before."""
        self.ready = self.wanted


class Proxies:
    """By namespace and name of the service; only where pods are real."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.all: dict[tuple[str, str], Proxy] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, service: Object, ready: list[str]) -> None:
        """These pods are ready; the proxy knows it a little later."""
        if not self.kubernetes.processes:
            return
        key = (service["metadata"]["namespace"], service["metadata"]["name"])
        proxy = self.all.get(key)
        if proxy is None:
            proxy = self.all[key] = Proxy()
            self._spawn(self._open(proxy))
        if proxy.wanted == ready:
            return
        proxy.wanted = ready
        delay = random.uniform(*self.kubernetes.pace.propagation)
        asyncio.get_running_loop().call_later(delay, proxy.learn)

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, proxy: Proxy) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    asked = await _message(reader)
                    writer.write(await self._forward(proxy, asked))
                    await writer.drain()
                    if b"\r\nconnection: close" in asked.lower():
                        break
            writer.close()

        proxy.server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
        proxy.port = proxy.server.sockets[0].getsockname()[1]

    async def _forward(self, proxy: Proxy, asked: bytes) -> bytes:
        port = self._choose(proxy)
        if not port:
            proxy.failed += 1
            return _NONE
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(asked)
                answer = await _message(reader)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            proxy.failed += 1
            return _BAD
        proxy.answered += 1
        return answer

    def _choose(self, proxy: Proxy) -> int:
        ports = []
        for uid in proxy.ready:
            run = self.kubernetes.kubelet.runs.get(uid)
            program = run.containers[0].program if run is not None else None
            ports.append(program.port if isinstance(program, Running) else 1)
        return random.choice(ports) if ports else 0

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for proxy in self.all.values():
            if proxy.server is not None:
                proxy.server.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One request or answer with a body of known length."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    return head + (await reader.readexactly(int(found.group(1))) if found else b"")
