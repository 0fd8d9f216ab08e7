"""The socket: one thread per connection, one write per answer, and the faults that happen on the way."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .answers import Answer, Request
from .faults import Kind, Rule

if TYPE_CHECKING:
    from .server import Jenkins

_SMALL = 350
_RESET = struct.pack("ii", 1, 0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Wire:
    """Serves a Jenkins until `stop`."""

    def __init__(self, jenkins: Jenkins, port: int, context: ssl.SSLContext | None) -> None:
        self.ended = threading.Event()
        wire = self

        class Handler(_Handler):
            pass

        Handler.jenkins, Handler.ended = jenkins, wire.ended
        self._server = _Server(("127.0.0.1", port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="jenkins http", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    jenkins: Jenkins
    ended: threading.Event
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def do_GET(self) -> None:
        with suppress(OSError):
            self._serve()

    def do_POST(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Silent; `jenkins.requests` remembers."""

    def _serve(self) -> None:
        jenkins = self.jenkins
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {unquote(self.path)}"
        jenkins.requests.note(line)
        met = jenkins.faults.meet(line)
        if "latency" in met:
            self.ended.wait(met["latency"].value)
        if "reset_before" in met:
            self._reset()
            return
        request = Request.read(self.command, self.path, jenkins.prefix, self.headers, body)
        answer = self._answer(request, met)
        if "reset_after" in met:
            self._reset()
            return
        self._send(answer, met)

    def _answer(self, request: Request, met: dict[Kind, Rule]) -> Answer:
        if "starting" in met:
            return self.jenkins.starting()
        if "status" in met:
            return self.jenkins.marks.oops(int(met["status"].value))
        if not self.path.startswith(f"{self.jenkins.prefix}/"):
            return Answer(404)
        return self.jenkins.answer(request)

    def _send(self, answer: Answer, met: dict[Kind, Rule]) -> None:
        body = answer.body
        if "truncated" in met:
            body = body[: len(body) // 2]
        headers = {"Date": formatdate(usegmt=True), "X-Content-Type-Options": "nosniff", **answer.headers}
        if len(body) > _SMALL and "gzip" in self.headers.get("Accept-Encoding", "") and "torn" not in met:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if answer.status != 204:
            headers["Content-Length"] = str(len(body))
        headers["Server"] = "Jetty(10.0.20)"
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        if self.command == "HEAD":
            body = b""
        if "slow" in met:
            self._drip(head, body, met["slow"].value)
        elif "torn" in met:
            self.wfile.write(head + body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(head + body)

    def _drip(self, head: bytes, body: bytes, pause: float) -> None:
        self.wfile.write(head)
        for at in range(len(body)):
            if self.ended.wait(pause):
                break
            self.wfile.write(body[at : at + 1])
        self.close_connection = True

    def _reset(self) -> None:
        """RST instead of an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
