"""The socket of the API server: opened, closed and opened again at the same port."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

from aiohttp import web

from tests.simulators.sockets import held

from . import status

if TYPE_CHECKING:
    from .server import Kubernetes

_FLOW = {
    "X-Kubernetes-Pf-Flowschema-Uid": "b3a0730b-e240-4891-a89a-5013e75efd14",
    "X-Kubernetes-Pf-Prioritylevel-Uid": "be8cf6cb-09c8-4d30-be19-ae0c1b07ec77",
}


class Front:
    def __init__(self, kubernetes: Kubernetes, context: ssl.SSLContext | None) -> None:
        self.kubernetes = kubernetes
        self._context = context
        self._runner: web.ServerRunner | None = None
        self._site: web.SockSite | None = None
        self._held: socket.socket | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        server = web.Server(self.kubernetes.routes.handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        self._held = held(port)
        self.port = self._held.getsockname()[1]
        await self.open()

    @property
    def away(self) -> bool:
        return self._site is None

    async def open(self) -> None:
        if self._site is not None or self._runner is None:
            return
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        self._site = web.SockSite(self._runner, listening, ssl_context=self._context, backlog=512)
        await self._site.start()

    async def close(self) -> None:
        """Nobody can connect, and nobody is connected any more."""
        if self._site is None or self._runner is None:
            return
        server = self._site._server
        if server is not None:
            server.close()
        self._runner._sites.remove(self._site)
        self._site = None
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        assert self._runner is not None
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def stop(self) -> None:
        if self._runner is not None:
            self.cut()
            await self._runner.cleanup()
        if self._held is not None:
            self._held.close()

    # -- answers ----------------------------------------------------------------------------------------------------

    def headers(self, *, priority: bool = True) -> dict[str, str]:
        return {"Cache-Control": "no-cache, private", **(_FLOW if priority else {})}

    def json(self, body: bytes, code: int = 200, *, priority: bool = True) -> web.Response:
        return web.Response(
            body=body, status=code, headers=self.headers(priority=priority), content_type="application/json"
        )

    def refusal(self, refused: status.Refused, *, priority: bool = True) -> web.Response:
        response = self.json(refused.raw, refused.code, priority=priority and refused.code != 401)
        response.headers.update(refused.headers)
        return response
