"""Daphne with flow control: request bodies are read as the application asks for them, answers wait for slow readers.

Daphne itself puts a whole request body into a queue in memory before the application runs, and takes an answer as
fast as the application makes it, so a push or a clone of 200 MB would cost 200 MB each. This server changes those two
things, for every HTTP application behind it, and gives WebSockets longer to say goodbye; uvicorn does all of that by
itself. It must not know git.

Run as daphne: `python -m projects.git_http.daphne_server -p 8000 fangduoduo_release.asgi:application`.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from daphne.cli import CommandLineInterface
from daphne.server import Server
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from fangduoduo_release.common.secrets_in_text import without_secrets
from projects.hooks.bounds import HOOKS, hook_bound

from .daphne_bounds import BoundedFactory, Bounds

Message = MutableMapping[str, Any]
_CHUNK = 64 * 1024
HANDSHAKE_S = 60
GOODBYE_S = 10.0


@implementer(IPushProducer)
class Valve:
    """Between an application's `send` and one connection: shut by Twisted while the connection's buffer is full."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._open = asyncio.Event()
        self._open.set()
        self._registered = False

    async def passed(self, message: Message) -> None:
        """Wait, after a message that more will follow, until the connection can take more."""
        if message["type"] == "http.response.body" and message.get("more_body", False):
            if not self._registered and self._protocol.channel is not None:
                self._registered = True
                self._protocol.registerProducer(self, True)
            await self._open.wait()

    def release(self) -> None:
        """Before an answer's last message: Twisted wants its producers gone when a request is finished."""
        if self._registered:
            self._registered = False
            self._open.set()
            if self._protocol.channel is not None:
                self._protocol.unregisterProducer()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._open.set()


class Body:
    """A request body that Twisted has spooled (to disk when it is not small), handed over piece by piece."""

    def __init__(self, content: Any, then: Callable[[], Awaitable[Message]]) -> None:
        self._content: Any = content
        self._then = then

    async def receive(self) -> Message:
        if self._content is None:
            message = await self._then()
            # Daphne believes the body to be empty and says so once; the application has already heard of its end.
            return await self._then() if message["type"] == "http.request" else message
        chunk = self._content.read(_CHUNK)
        more = len(chunk) == _CHUNK
        if not more:
            self.close()
        return {"type": "http.request", "body": chunk, "more_body": more}

    def close(self) -> None:
        if self._content is not None:
            self._content.close()
            self._content = None


class FlowServer(Server):
    """Daphne's server with both directions of HTTP under flow control; WebSockets are only given longer to say goodbye."""

    bounds: Bounds = {HOOKS: hook_bound}

    @property
    def http_factory(self) -> BoundedFactory:
        return self._factory

    @http_factory.setter
    def http_factory(self, daphnes: Any) -> None:
        self._factory = BoundedFactory(self, self.bounds)  # in place of the one that daphne makes

    @property
    def ws_factory(self) -> Any:
        return self._ws_factory

    @ws_factory.setter
    def ws_factory(self, daphnes: Any) -> None:
        """Its library cuts whoever does not answer a close within a second; the reason of the close is lost with it then."""
        daphnes.setProtocolOptions(closeHandshakeTimeout=GOODBYE_S)
        self._ws_factory = daphnes

    def __init__(self, application: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(self._with_body, *args, **kwargs)
        self._application = application
        self._arriving: Any = None
        self._valves: dict[Any, Valve] = {}

    def create_application(self, protocol: Any, scope: MutableMapping[str, Any]) -> Any:
        if scope["type"] == "http":
            # Daphne calls the application at once (see `_with_body`) and only then reads what it believes is the body.
            self._arriving, protocol.content = protocol.content, io.BytesIO()
            self._valves[protocol] = Valve(protocol)
        return super().create_application(protocol, scope)

    def _with_body(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        content, self._arriving = self._arriving, None
        if content is None:
            return self._application(scope, receive, send)  # type: ignore[no-any-return]
        return self._run(Body(content, receive), scope, send)

    async def _run(self, body: Body, scope: Any, send: Any) -> None:
        try:
            await self._application(scope, body.receive, send)
        finally:
            body.close()

    async def handle_reply(self, protocol: Any, message: Message) -> None:
        valve = self._valves.get(protocol)
        if valve and message["type"] == "http.response.body" and not message.get("more_body", False):
            valve.release()
        await super().handle_reply(protocol, message)
        if valve:
            await valve.passed(message)

    def log_action(self, protocol: str, action: str, details: MutableMapping[str, Any]) -> None:
        """For the access log, which is to show no token."""
        if "path" in details:
            details = {**details, "path": without_secrets(str(details["path"]))}
        super().log_action(protocol, action, details)

    def protocol_disconnected(self, protocol: Any) -> None:
        super().protocol_disconnected(protocol)
        valve = self._valves.pop(protocol, None)
        if valve:
            valve.stopProducing()


class FlowCommandLine(CommandLineInterface):
    """Daphne's own command line with the server above, and more patience than daphne's five seconds with a WebSocket that
    is being opened: on a busy machine it would be hung up on, come again, and so make it busier."""

    server_class = FlowServer

    def __init__(self) -> None:
        super().__init__()
        self.parser.set_defaults(websocket_connect_timeout=HANDSHAKE_S)


def main() -> None:
    FlowCommandLine().run(sys.argv[1:])


if __name__ == "__main__":
    main()
