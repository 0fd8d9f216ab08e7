"""Our requests to Gerrit's REST interface: signed in, timed, bounded, never to another address, errors as sentences.

One kept-alive client for a connection, shared by all threads of a process. Answers begin with `)]}'`, so that no browser
runs them; an answer without it is none of Gerrit's. Redirects are not followed.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import httpcore

from fangduoduo_release.common.errors import AppError, NotFound

from . import failures, wire
from .config import GerritConfig

LARGEST_JSON = 8 * 1024 * 1024
LARGEST_PAGE = 64 * 1024  # of a refusal
LONGEST_BODY = 1024 * 1024
MOST_CLIENTS = 32
_MAGIC = b")]}'"
Json = Any
Params = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Rest:
    """What the parts of the driver ask with. Safe to share between threads. `skew_s`: how far the server's clock was
    ahead of ours when it last said (HTTP tells whole seconds, so it is true to half a second)."""

    def __init__(self, config: GerritConfig) -> None:
        self.config = config
        self.skew_s: float | None = None
        secure = config.parts.scheme == "https"
        self._pool = wire.pool(config.tls if secure else None)
        port = config.parts.port or (443 if secure else 80)
        self._place = (config.parts.scheme.encode(), config.host.encode(), port, config.parts.path)
        pair = base64.b64encode(f"{config.username}:{config.password}".encode())
        self._headers = [
            (b"Host", config.parts.netloc.encode()),
            (b"Authorization", b"Basic " + pair),
            (b"Accept", b"application/json"),
            (b"User-Agent", b"fangduoduo-release"),
        ]

    def get(self, path: str, params: Params = ()) -> Json:
        """The JSON there. Raises NotFound, Unavailable, Rejected."""
        return self.json_of(self.ask("GET", path, params))

    def find(self, path: str, params: Params = ()) -> Json | None:
        """The JSON there, None for a 404. Raises Unavailable, Rejected."""
        try:
            return self.get(path, params)
        except NotFound:
            return None

    def send(self, method: str, path: str, data: Mapping[str, Any]) -> Json:
        """Have something done; its answer. Raises NotFound, Conflict, Unavailable, Rejected."""
        return self.json_of(self.ask(method, path, body=json.dumps(data).encode()))

    def paged(self, path: str, params: Params = (), *, size: int, most: int) -> Iterator[dict[str, Any]]:
        """The items of a list in their order, page by page as they are wanted, at most `most`.

        Some lists say on their last item that more follow (`_more_…`), others only end with a page that is not full.
        """
        start = 0
        while start < most:
            page = self.get(path, [*params, ("n", str(size)), ("S", str(start))])
            if not isinstance(page, list):
                raise failures.not_gerrit(self.config, json.dumps(page)[:500].encode())
            items = [item for item in page if isinstance(item, dict)]
            yield from items[: most - start]
            start += len(page)
            more = bool(items) and any(name.startswith("_more_") and items[-1][name] for name in items[-1])
            if not page or (len(page) < size and not more):
                return

    def json_of(self, answer: Answer) -> Json:
        """Raises Unavailable for an answer that is cut, or is no Gerrit's at all (a login page, a proxy)."""
        if not answer.body.strip():
            return None
        if not answer.body.startswith(_MAGIC):
            raise failures.not_gerrit(self.config, answer.body)
        try:
            return json.loads(answer.body[len(_MAGIC) :])
        except (ValueError, RecursionError) as error:
            raise failures.cut_off(self.config, str(error)) from error

    def ask(
        self, method: str, path: str, params: Params = (), *, body: bytes | None = None, limit: int = LARGEST_JSON
    ) -> Answer:
        """One whole answer with a status below 300; everything else is raised. `path` is encoded already."""
        with wire.Call(self.config.timeout_s) as call:
            try:
                answer = self._asked(method, path, params, body, limit)
            except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
                # The server may close a kept connection while we begin to use it; a read is asked once more.
                if method != "GET" or not call.sent or call.left <= 0:
                    raise self._broken(error, call, method) from error
                answer = self._again(method, path, params, body, limit, call)
            except (httpcore.TimeoutException, httpcore.ProtocolError, OSError, AppError) as error:
                raise self._broken(error, call, method) from error
        if answer is None:
            raise failures.too_large(self.config)
        if answer.status >= 300:
            raise failures.refusal(self.config, answer.status, answer.body, answer.headers.get("location", ""))
        return answer

    def _again(
        self, method: str, path: str, params: Params, body: bytes | None, limit: int, call: wire.Call
    ) -> Answer | None:
        call.sent = False
        try:
            return self._asked(method, path, params, body, limit)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, AppError) as error:
            raise self._broken(error, call, method) from error

    def _broken(self, error: Exception, call: wire.Call, method: str) -> AppError:
        return failures.broken(self.config, error, sent=call.sent, reads=method == "GET")

    def _asked(self, method: str, path: str, params: Params, body: bytes | None, limit: int) -> Answer | None:
        """None when the answer is larger than `limit`."""
        scheme, host, port, prefix = self._place
        target = f"{prefix}/a/{path}{'?' + urlencode(params) if params else ''}"
        headers = list(self._headers)
        if body is not None:
            headers += [(b"Content-Type", b"application/json; charset=UTF-8"), (b"Content-Length", b"%d" % len(body))]
        url = httpcore.URL(scheme=scheme, host=host, port=port, target=target.encode("ascii"))
        seconds = self.config.timeout_s
        patience = {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds}
        began = time.time()
        with self._pool.stream(method, url, headers=headers, content=body, extensions={"timeout": patience}) as answer:
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            self._compare_clocks(told.get("date", ""), began)
            most = LARGEST_PAGE if answer.status >= 300 else limit
            whole = bytearray()
            for chunk in answer.iter_stream():
                whole += chunk
                if len(whole) > most:
                    if answer.status >= 300:
                        break
                    return None
            return Answer(answer.status, told, bytes(whole[:most]))

    def _compare_clocks(self, date: str, began: float) -> None:
        try:
            at = parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        # The server wrote it somewhere between our question and now, and cut off the fraction.
        self.skew_s = round(at + 0.5 - (began + time.time()) / 2, 1)


_clients: OrderedDict[tuple[int, GerritConfig], Rest] = OrderedDict()
_lock = threading.Lock()


def client_of(config: GerritConfig) -> Rest:
    """The process's client for a connection as it is now. A forked process makes its own: sockets cannot be shared."""
    key = (os.getpid(), config)
    with _lock:
        found = _clients.get(key)
        if found is None:
            found = _clients[key] = Rest(config)
        _clients.move_to_end(key)
        while len(_clients) > MOST_CLIENTS:
            _clients.popitem(last=False)  # whoever still uses it may end; its sockets go with it
    return found
