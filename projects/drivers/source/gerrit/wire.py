"""The socket below REST: kept-alive connections to the judged address, and a deadline for a whole call.

The HTTP library counts its timeouts from read to read, so a server that drips would hold a caller for ever; here every
read gets what is left of the call's time. What leads to link-local or metadata addresses is refused.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from fangduoduo_release.common import reach

_thread = threading.local()
MOST_CONNECTIONS, KEPT, KEPT_S = 8, 4, 60.0


class Call:
    """One request on its way, in the thread that makes it."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.sent = False  # the server may have read something of it

    def __enter__(self) -> Call:
        _thread.call = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.call = None

    @property
    def left(self) -> float:
        return self.until - time.monotonic()


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    call: Call | None = getattr(_thread, "call", None)
    if call is None:
        return timeout
    if call.left <= 0:
        raise late("the answer took too long")
    return call.left if timeout is None else min(timeout, call.left)


class _Stream(httpcore.NetworkStream):
    """A stream whose every step is bounded by the call that takes it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        call: Call | None = getattr(_thread, "call", None)
        if call is not None:
            call.sent = True
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to the address that was judged, and to no other that the name may lead to a moment later."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = reach.find(host, port, allow_private=True)
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(address, port, left, local_address, socket_options))


def pool(tls: ssl.SSLContext | None) -> httpcore.ConnectionPool:
    """Safe to share between threads, not between processes."""
    return httpcore.ConnectionPool(
        ssl_context=tls,
        max_connections=MOST_CONNECTIONS,
        max_keepalive_connections=KEPT,
        keepalive_expiry=KEPT_S,
        network_backend=_Backend(),
    )
