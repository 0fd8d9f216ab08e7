"""One HTTP request to a system whose address ops gave: where it leads is judged first, and the connection
goes to the very address that was judged; bounded in time and size; redirects are not followed; nothing is taken from
the environment (proxies, netrc, certificates). It must not know what is asked.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from . import reach
from .errors import Invalid, Rejected, Unavailable
from .sentence import S

CONNECT_S = 3.0
AGENT = "fangduoduo-release"
_PORTS = {"https": 443, "http": 80}


class Deadline:
    """When a whole call, of several requests perhaps, has to be over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._until - time.monotonic()


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (by lower-case name), and as much of the body as was allowed; `cut` when there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    tls: ssl.SSLContext,
    deadline: Deadline,
    limit: int,
    body: bytes | None = None,
) -> Answer:
    """The answer, whatever its status. Raises Unavailable (unreachable, too slow), Rejected (TLS, a forbidden place)."""
    parts = reach.split(url)
    host = reach.host_of(parts)
    port = parts.port or _PORTS[parts.scheme]
    try:
        address = reach.find(host, port, allow_private=True)
    except Invalid as error:
        raise Rejected(error.sentence, code="bad_address") from error
    adapter = _Judged(address, host, tls)
    with requests.Session() as session:
        session.trust_env = False
        session.auth = _Nothing()
        session.mount(f"{parts.scheme}://", adapter)
        guard = threading.Timer(max(deadline.left, 0.1), adapter.cut)  # a byte now and then is an answer without an end
        guard.daemon = True
        guard.start()
        try:
            told = {"Host": parts.netloc, "User-Agent": AGENT, **headers}
            return _asked(session, method, url, told, deadline, limit, body)
        except requests.exceptions.SSLError as error:
            raise _tls_refusal(host, error) from error
        except (requests.RequestException, OSError) as error:
            raise Unavailable(
                S("“%(host)s” does not answer.", host=host), evidence=type(error).__name__, code="unreachable"
            ) from error
        finally:
            guard.cancel()


def _asked(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    deadline: Deadline,
    limit: int,
    sent: bytes | None,
) -> Answer:
    wait = max(deadline.left, 0.1)
    with session.request(
        method,
        url,
        headers=dict(headers),
        data=sent,
        timeout=(min(CONNECT_S, wait), wait),
        allow_redirects=False,
        stream=True,
    ) as answer:
        body = bytearray()
        for piece in answer.iter_content(64 * 1024):
            body += piece
            if len(body) > limit:
                break
        if deadline.left <= 0:  # it was cut off: what was read is not the answer
            raise requests.exceptions.ReadTimeout("too slow")
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, found, bytes(body[:limit]), len(body) > limit)


def _tls_refusal(host: str, error: Exception) -> Rejected:
    evidence = str(error)[:500]
    if "CERTIFICATE_VERIFY_FAILED" in evidence:
        sentence = S("The certificate of “%(host)s” is not trusted; put its CA into the connection.", host=host)
        return Rejected(sentence, evidence=evidence, code="bad_certificate")
    sentence = S("“%(host)s” does not speak HTTPS as it should; is its address http://?", host=host)
    return Rejected(sentence, evidence=evidence, code="no_tls")


class _Nothing(AuthBase):
    """Keeps requests from looking for credentials by itself."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Judged(HTTPAdapter):
    """Connects to the judged address; certificate and Host header stay those of the name."""

    def __init__(self, address: str, host: str, tls: ssl.SSLContext) -> None:
        self._address, self._host, self._tls = address, host, tls
        self._open: list[Any] = []
        self._over = threading.Event()
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        keep = self._keep

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                keep(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                keep(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        place, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        secure = {"ssl_context": self._tls, "server_hostname": self._host} if place["scheme"] == "https" else {}
        return {**place, "host": self._address}, secure

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context knows whom to trust; requests would add its own list of certificates."""

    def _keep(self, sock: Any) -> None:
        self._open.append(sock)
        if self._over.is_set():  # it took too long to connect
            self.cut()

    def cut(self) -> None:
        """End the request from outside: whoever reads sees the connection's end."""
        self._over.set()
        for sock in list(self._open):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself
