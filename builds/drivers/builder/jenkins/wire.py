"""The socket below `requests`: names resolved in bounded time, a deadline for a whole call, and whether anything was sent.

`requests` counts its timeouts from byte to byte, so a server that drips would hold a caller for ever; a call's watchman
shuts the socket instead. What leads to link-local or metadata addresses is refused; Jenkins may well be on a private one.
"""

from __future__ import annotations

import socket
import ssl
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fangduoduo_release.common import reach

_thread = threading.local()


class Call:
    """One request on its way. After `seconds` its socket is shut, whatever it is doing; `None`: nobody watches."""

    def __init__(self, seconds: float | None) -> None:
        self.sent = False  # the server may have read something of it
        self.late = False  # we cut it
        self._sock: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(seconds, 0.001), self._cut) if seconds is not None else None

    def __enter__(self) -> Call:
        _thread.call = self
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _thread.call = None
        self.unwatch()

    def unwatch(self) -> None:
        """From here on only the silence between two bytes counts."""
        if self._timer is not None:
            self._timer.cancel()

    def uses(self, sock: socket.socket) -> None:
        with self._lock:
            self._sock, late = sock, self.late
            self.sent = self.sent or not late
        if late:
            _shut(sock)

    def _cut(self) -> None:
        with self._lock:
            self.late = True
            sock = self._sock
        if sock is not None:
            _shut(sock)


def _shut(sock: socket.socket) -> None:
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS: its own state belongs to the reader
    except OSError:
        pass  # it has ended by itself


class _Watched(HTTPConnection):
    """Tells the thread's call which socket it uses, and connects to the address that was judged."""

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        self._dns_host = reach.find(self.host, self.port or self.default_port, allow_private=True)
        try:
            return super()._new_conn()
        finally:
            self._dns_host = name

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        call: Call | None = getattr(_thread, "call", None)
        if call is not None:
            call.uses(self.sock)
        super().send(data)


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls  # type: ignore[assignment]


class _Adapter(HTTPAdapter):
    """Our connections, our certificates; never a second attempt of its own."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=2, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kw: Any) -> None:
        if self._tls is not None:
            kw["ssl_context"] = self._tls
        super().init_poolmanager(connections, maxsize, block, **kw)  # type: ignore[no-untyped-call]
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context says whom we trust; the bundle that comes with `requests` does not."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = conn.ca_cert_dir = None


def session(user: str, token: str, tls: ssl.SSLContext | None) -> requests.Session:
    """A session that listens to no environment (proxies, netrc, bundles) and keeps no cookie."""
    made = requests.Session()
    made.trust_env = False
    made.auth = requests.auth.HTTPBasicAuth(user.encode(), token.encode())  # type: ignore[arg-type]
    made.headers["User-Agent"] = "fangduoduo-release"
    # With an API token a session is of no use, and a stale one only confuses after a restart.
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(tls)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made
