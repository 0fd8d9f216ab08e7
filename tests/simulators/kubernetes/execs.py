"""The exec subresource: a real process on this host, talked to by a WebSocket as `v5.channel.k8s.io` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from . import status

if TYPE_CHECKING:
    from .server import Kubernetes


class Execs:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes

    async def serve(self, request: web.Request, namespace: str, name: str) -> web.StreamResponse:
        raise status.bad_request("Upgrade request required")
