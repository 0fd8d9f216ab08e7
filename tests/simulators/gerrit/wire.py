"""The HTTP socket: one thread per connection, git, REST and the simulator's own door behind it, faults on the way."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import traceback
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

from . import door, git, routes
from .answers import Answer, Refused, Request, plain, starting, unauthorized

if TYPE_CHECKING:
    from .faults import Kind, Rule
    from .server import Gerrit

_SMALL = 256
_RESET = struct.pack("ii", 1, 0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Wire:
    """Serves a Gerrit until `stop`."""

    def __init__(self, gerrit: Gerrit, port: int, context: ssl.SSLContext | None) -> None:
        self.ended = threading.Event()

        class Handler(_Handler):
            pass

        Handler.gerrit, Handler.ended = gerrit, self.ended
        self._server = _Server(("127.0.0.1", port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="gerrit http", daemon=True
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
    gerrit: Gerrit
    ended: threading.Event
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def do_GET(self) -> None:
        with suppress(OSError):
            self._serve()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Silent; `gerrit.requests` remembers."""

    def _serve(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.startswith("/__sim__/"):
            self._send(door.answer(self.gerrit, self.path, body), {})
            return
        line = f"{self.command} {unquote(self.path)}"
        self.gerrit.requests.note(line)
        met = self.gerrit.faults.meet(line)
        if "late" in met:
            self.ended.wait(met["late"].value)
        if "reset" in met:
            self._reset()
            return
        answer = self._answer(Request.read(self.command, self.path, self.gerrit.prefix, headers, body), met)
        if "lost" in met:
            self._reset()
            return
        self._send(answer, met)

    def _answer(self, request: Request, met: dict[Kind, Rule]) -> Answer:
        gerrit = self.gerrit
        if "starting" in met or gerrit.faults.restarting:
            return starting()
        if "status" in met:
            rule = met["status"]
            return unauthorized() if rule.value == 401 else plain(int(rule.value), rule.text)
        if not self.path.startswith(f"{gerrit.prefix}/"):
            return plain(404, "Not Found")
        header = request.headers.get("authorization", "")
        request.account = gerrit.accounts.by_header(header)
        try:
            if git.concerns(request):
                return git.answer(gerrit, request)
            if request.private and request.account is None:
                return unauthorized()
            if not request.private:
                request.account = None
            return routes.answer(gerrit, request)
        except Refused as refused:
            return plain(refused.status, str(refused))
        except Exception:  # noqa: BLE001 - the simulator's own mistake: said aloud, and answered as Gerrit does its own
            traceback.print_exc()
            return plain(500, "Internal server error")

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, answer: Answer, met: dict[Kind, Rule]) -> None:
        body = answer.body[: len(answer.body) // 2] if "truncated" in met else answer.body
        date = formatdate(self.gerrit.clock.now(), usegmt=True)
        headers = {"Date": date, "X-Content-Type-Options": "nosniff", **answer.headers}
        rest = answer.headers.get("Content-Type", "").startswith("application/json;")
        if rest and len(body) > _SMALL and "gzip" in self.headers.get("Accept-Encoding", "") and not met:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if answer.status != 204:
            headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self.wfile.write(head + (b"" if self.command == "HEAD" else body))

    def _reset(self) -> None:
        """RST instead of an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
