"""The HTTP socket that simulated servers share: one thread per connection, TLS where it is wanted, stopped at once.

And a port that is kept while its server is away.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_RESET = struct.pack("ii", 1, 0)


def held(port: int = 0) -> socket.socket:
    """A port of loopback that stays ours while nobody listens on it: a server that goes away comes back to it. Others are
    not given it, we may listen on it beside this, and who asks meanwhile is refused."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except OSError:
        found.close()
        raise
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Socket:
    """Serves with `handler`, a class of the caller's own, until `stop`; `ended` tells handlers that wait."""

    def __init__(self, handler: type[Handler], port: int, context: ssl.SSLContext | None, name: str) -> None:
        self.ended = handler.ended = threading.Event()
        self._server = _Server(("127.0.0.1", port), handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.socket.setblocking(False)  # who knocked may be gone again, and then nobody could stop it
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"{name} http", daemon=True
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


class Handler(BaseHTTPRequestHandler):
    """Every method goes through `serve`; a client that went away is no news."""

    ended: threading.Event
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def serve(self) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        """RST instead of an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()

    def do_GET(self) -> None:
        with suppress(OSError):
            self.serve()

    do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - names of http.server

    def log_message(self, *_: object) -> None:
        """Silent; the simulators remember requests themselves."""
