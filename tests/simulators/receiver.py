"""A web server that keeps what is posted to it, and can misbehave: slow, broken, redirecting, dripping, huge."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Post:
    """One request as it came."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered. `drip`: a byte every so many seconds and no end; `silent`: nothing at all."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0
    silent: bool = False
    torn: bool = False


class Receiver:
    """Answers with `judge(post)`; everything that came stands in `posts`."""

    def __init__(self, judge: Callable[[Post], Reply] | None = None) -> None:
        self.posts: list[Post] = []
        self.reply = Reply()
        self.judge = judge or (lambda post: self.reply)
        self.ended = threading.Event()
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[Receiver]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.take(self)

            def do_GET(self) -> None:
                outer.take(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            self.server.shutdown()
            self.server.server_close()
            thread.join()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        post = Post(parts.path, parse_qs(parts.query, keep_blank_values=True), dict(handler.headers.items()), body)
        self.posts.append(post)
        reply = self.judge(post)
        with suppress(OSError):
            self.answer(handler, reply)

    def answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.silent:
            self.ended.wait(300)
            return
        if reply.torn:
            handler.wfile.write(b"HTTP/1.")
            return
        if reply.drip:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            until = time.monotonic() + 300
            while not self.ended.wait(reply.drip) and time.monotonic() < until:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            return
        handler.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body)
