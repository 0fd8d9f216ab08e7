"""A POST to an address that a person gave: judged before it is connected to, bounded in time and size.

Redirects are not followed: what was judged is this address and no other. Shared by the kinds that speak HTTP.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlunsplit

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid, Rejected
from fangduoduo_release.common.sentence import S, Sentence

from .base import CALL_S, CONNECT_S, Later, without

_PORTS = {"https": 443, "http": 80}
READ = 64 * 1024  # more of an answer is not read
LONGEST_WAIT_S = 3600.0
BUSY_S = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post. The whole address counts as a secret: robots carry their key in it."""

    url: str = field(repr=False)
    allow_private: bool = False
    allow_http: bool = False

    def __post_init__(self) -> None:
        parts = reach.split(self.url)
        if parts.scheme not in _PORTS or (parts.scheme == "http" and not self.allow_http):
            raise _invalid(S("The address must begin with https://."))
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise _invalid(S("The address must hold no user name, no password and no “#”."))
        host = reach.host_of(parts)
        try:
            reach.judge(ipaddress.ip_address(host), host, allow_private=self.allow_private)
        except ValueError:
            return  # a name: it is resolved and judged when something is sent

    @property
    def host(self) -> str:
        return reach.host_of(reach.split(self.url))

    def with_query(self, extra: str) -> Target:
        """The same address with more in its query."""
        parts = reach.split(self.url)
        query = "&".join(part for part in (parts.query, extra) if part)
        return Target(urlunsplit(parts._replace(query=query)), self.allow_private, self.allow_http)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the first READ bytes of the body, and how long it asks us to wait (0: no word)."""

    status: int
    body: bytes
    after_s: float = 0

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def post(target: Target, body: bytes, headers: Mapping[str, str], *, secrets: tuple[str, ...] = ()) -> Answer:
    """Post and read the answer, whatever its status. Raises Invalid (leads where nothing may be sent) or Later."""
    parts = reach.split(target.url)
    host, port = reach.host_of(parts), parts.port or _PORTS[parts.scheme]
    address = reach.find(host, port, allow_private=target.allow_private)
    connection = _Connection(host, port, address, secure=parts.scheme == "https")
    guard = threading.Timer(CALL_S - CONNECT_S, connection.cut)  # a byte every few seconds is an answer that never ends
    guard.daemon = True
    try:
        connection.connect()
        guard.start()
        where = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request("POST", where, body, {"User-Agent": "fangduoduo-release", **headers})
        answer = connection.getresponse()
        read = answer.read(READ)
        return Answer(answer.status, read, _wait_of(answer.getheader("Retry-After") or ""))
    except (OSError, http.client.HTTPException) as error:
        evidence = without((target.url, *secrets), f"{type(error).__name__}: {error}")
        raise Later(S("“%(host)s” does not answer.", host=host), evidence=evidence, code="no_answer") from error
    finally:
        guard.cancel()
        connection.close()


def judge_status(answer: Answer, host: str, *, secrets: tuple[str, ...] = ()) -> None:
    """Raises Later or Rejected for a status that is not 2xx."""
    status, evidence = answer.status, without(secrets, answer.text)
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        sentence = S("“%(host)s” answers with a redirect, which is not followed; give the final address.", host=host)
        raise Rejected(sentence, code="redirect")
    if status in {408, 425, 429} or status >= 500:
        sentence = S("“%(host)s” cannot take it now (status %(status)s).", host=host, status=status)
        after = answer.after_s or (BUSY_S if status == 429 else 0)
        raise Later(sentence, evidence=evidence, code="busy", after_s=after)
    sentence = S("“%(host)s” refused it (status %(status)s).", host=host, status=status)
    raise Rejected(sentence, evidence=evidence, code="refused")


class _Connection(http.client.HTTPConnection):
    """Connects to the judged address; certificate and Host header are those of the name."""

    def __init__(self, host: str, port: int, address: str, *, secure: bool) -> None:
        super().__init__(host, port, timeout=CONNECT_S)
        self._address, self._secure = address, secure
        if secure:
            self.default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), CONNECT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secure:
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """End the call from outside: whoever reads sees the connection's end."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _wait_of(text: str) -> float:
    """Retry-After in seconds: a number or a date."""
    try:
        wait = float(text) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0
    return min(max(wait, 0), LONGEST_WAIT_S)


def _invalid(sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_url", fields={"address": [sentence]})
