"""A server for the browser tests, in a thread of the test process: Django's ASGI application beside test sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from typing import Any

import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from tests.waiting import until

from .growing_log import LOGS


class PageServer:
    """Serves on a free port. `refuse_sockets` makes every WebSocket fail; `wake` sends a wake-up to live parts. Requests
    whose path ends with one of `held` wait until it is taken out, for tests that look at what happens before an answer."""

    def __init__(self) -> None:
        self.django = ASGIStaticFilesHandler(get_asgi_application())
        self.refuse_sockets = False
        self.held: set[str] = set()
        self.live: set[Any] = set()
        self.told: list[str] = []  # the lines of the service's log
        self.connections = self.acked = 0  # to it; and the last acknowledgement of the newest one
        self._cut = False
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.server = uvicorn.Server(
            uvicorn.Config(self.application, interface="asgi3", lifespan="off", log_level="error")
        )
        self.thread = threading.Thread(target=self._run, args=(listener,), daemon=True)

    def start(self) -> PageServer:
        self.thread.start()
        until(lambda: self.server.started, what="the page server")
        return self

    def stop(self) -> None:
        self.held.clear()
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(60)

    def _run(self, listener: socket.socket) -> None:
        self.server.run(sockets=[listener])

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            while scope["path"].endswith(tuple(self.held)):
                await asyncio.sleep(0.02)
            await self.django(scope, receive, send)
            return
        await receive()
        parts = scope["path"].strip("/").split("/")
        if self.refuse_sockets:
            await send({"type": "websocket.close", "code": 1013})
        elif parts[1] == "log":
            await LOGS[parts[2]].serve(scope["query_string"].decode(), receive, send)
        elif parts[1] == "slog":
            await self._service_log(receive, send)
        else:
            await self._live(receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        entry = (asyncio.get_running_loop(), send)
        self.live.add(entry)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                continue
        finally:
            self.live.discard(entry)

    async def _service_log(self, receive: Any, send: Any) -> None:
        """The last lines, then each new one; until the browser leaves or the test cuts it."""
        self.connections, self.acked, self._cut, sent = self.connections + 1, 0, False, 0
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": '{"state": "open"}'})
        reader = asyncio.create_task(self._acks(receive))
        while not (reader.done() or self._cut):
            if sent < len(self.told):
                lines = [["web-1", "", 0, "stdout", text, False] for text in self.told[sent:]]
                sent = len(self.told)
                await send({"type": "websocket.send", "text": json.dumps({"lines": lines, "upto": sent})})
            await asyncio.sleep(0.02)
        reader.cancel()
        if self._cut:
            await send({"type": "websocket.close", "code": 1011})

    async def _acks(self, receive: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            self.acked = json.loads(message["text"])["ack"]

    def tell(self, text: str) -> None:
        self.told = [*self.told, text]

    def cut(self) -> None:
        self._cut = True

    def wake(self) -> None:
        """Tell every live socket to look again."""
        for loop, send in list(self.live):
            message = {"type": "websocket.send", "text": '{"topic": "test/1", "seq": 1}'}
            asyncio.run_coroutine_threadsafe(send(message), loop).result(60)
