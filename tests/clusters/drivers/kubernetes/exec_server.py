"""The exec door of an API server, in a few lines: what a program does is a coroutine of the test's. Answers as recorded.

The whole simulator runs real programs; this one does exactly what a test says, also what no program would do.
"""

from __future__ import annotations

import contextlib
import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from clusters.drivers.runtime.kubernetes.access import Access

TOKEN = "t" * 20
SUCCESS = b'\x03{"metadata":{},"status":"Success"}'
EXIT_2 = (
    b'\x03{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: command terminated '
    b'with exit code 2","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"2"}]}}'
)
NO_COMMAND = (
    b'\x03{"metadata":{},"status":"Failure","message":"Internal error occurred: exec: \\"nosuch\\": executable file not '
    b'found in $PATH: unknown","reason":"InternalError","details":{"causes":[{"message":"exec: \\"nosuch\\""}]},"code":500}'
)

Program = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Door:
    """`asked`: path and query of every handshake; `program`: what runs in every pod that is there."""

    program: Program
    protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    refusal: tuple[int, dict[str, Any] | None] | None = None
    asked: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    address: str = ""

    @property
    def access(self) -> Access:
        return Access(server=self.address, token=TOKEN)

    def refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        self.asked.append((parts.path, parse_qsl(parts.query)))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answer(401, {"message": "Unauthorized", "reason": "Unauthorized", "code": 401})
        return answer(*self.refusal) if self.refusal else None

    def choose(self, socket: ServerConnection, offered: Any) -> Any:
        return next((one for one in self.protocols if one in offered), None)

    async def serve(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await socket.send(b"\x01")  # as the real one does, first of all
            await self.program(socket)
            await socket.close()


def answer(status: int, body: dict[str, Any] | None) -> Response:
    if body is None:
        return Response(status, http.HTTPStatus(status).phrase, Headers({"Connection": "close"}))
    shown = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", **body}
    data = json.dumps(shown).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(data))})
    return Response(status, http.HTTPStatus(status).phrase, headers, data)


@contextlib.asynccontextmanager
async def door(program: Program, *, tls: Any = None, **options: Any) -> AsyncIterator[Door]:
    """A door on a port of its own."""
    made = Door(program, **options)
    server: Server
    async with serve(
        made.serve,
        "127.0.0.1",
        0,
        process_request=made.refuse,
        select_subprotocol=made.choose,
        compression=None,
        max_queue=(4, 1),
        ping_interval=None,
        ssl=tls,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        made.address = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        yield made
