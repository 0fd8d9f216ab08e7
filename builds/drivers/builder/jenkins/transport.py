"""Our own requests to Jenkins: timed, bounded, never to another address, POSTs as form bodies, errors as sentences.

One session per thread. The token goes only to addresses that begin with the connection's own; redirects are not followed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from fangduoduo_release.common.errors import AppError, DriverError, Invalid, Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

from . import failures
from .config import JenkinsConfig
from .wire import Call, session

LARGEST_JSON = 8 * 1024 * 1024
LARGEST_PAGE = 256 * 1024  # of an error page
CHUNK = 64 * 1024
Json = Any


class TooLarge(Unavailable):
    """An answer is larger than its caller said it may be."""

    code = "answer_too_large"


class Transport:
    """What the parts of the driver ask with. Safe to share between threads."""

    def __init__(self, config: JenkinsConfig) -> None:
        self.config = config
        self._threads = threading.local()

    def get(self, path: str, params: Mapping[str, str] | None = None, *, limit: int = LARGEST_JSON) -> Json | None:
        """The JSON there; None for a 404. Raises TooLarge, Unavailable, Rejected."""
        answer = self.ask("GET", path, params=params, limit=limit)
        if answer.status_code == 404:
            return None
        return self.json_of(answer)

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (404,),
        secrets: tuple[str, ...] = (),
        limit: int = LARGEST_JSON,
    ) -> requests.Response:
        """One whole answer: 2xx, or one of `accept`. Everything else is raised."""
        request = requests.Request(method, self.config.base + path, params=params, data=form)
        return self.send(request, accept=accept, secrets=secrets, limit=limit)

    def send(
        self,
        request: requests.Request,
        *,
        accept: tuple[int, ...] = (404,),
        secrets: tuple[str, ...] = (),
        limit: int = LARGEST_JSON,
    ) -> requests.Response:
        prepared = self._prepared(request)
        with Call(self._left()) as call:
            try:
                answer = self._sent(prepared)
                body = _read(answer, LARGEST_PAGE if answer.status_code >= 300 else limit)
            except (OSError, HTTPError, ValueError, AppError) as error:
                raise self.broken(error, call, prepared, secrets) from error
            if call.late:
                raise self.broken(TimeoutError("the answer took too long"), call, prepared, secrets)
        if body is None:
            raise TooLarge(S("The answer of Jenkins at “%(host)s” is too large to be taken in.", host=self.config.host))
        answer._content, answer.encoding = body, "utf-8"
        self.judge(answer, accept=accept, secrets=secrets)
        return answer

    @contextmanager
    def stream(self, path: str, params: Mapping[str, str] | None = None, *, plain: bool = False) -> Iterator[Stream]:
        """An answer that is read piece by piece, without a deadline but never silent for longer than the timeout."""
        prepared = self._prepared(requests.Request("GET", self.config.base + path, params=params))
        if plain:
            prepared.headers["Accept-Encoding"] = "identity"
        with Call(self._left()) as call:
            try:
                answer = self._sent(prepared)
                if answer.status_code >= 300:
                    answer._content, answer.encoding = _read(answer, LARGEST_PAGE), "utf-8"
            except (OSError, HTTPError, ValueError, AppError) as error:
                raise self.broken(error, call, prepared, ()) from error
            call.unwatch()
            if call.late:  # a head that was cut looks like one that has ended
                answer.close()
                raise self.broken(TimeoutError("the answer took too long"), call, prepared, ())
            try:
                yield Stream(self, answer, call, prepared)
            finally:
                answer.close()

    def judge(self, answer: requests.Response, *, accept: tuple[int, ...], secrets: tuple[str, ...] = ()) -> None:
        """Raises for a status that is neither 2xx nor accepted."""
        status = answer.status_code
        if status >= 300 and status not in accept:
            raise failures.refusal(self.config, status, answer.headers, answer.text, self._hidden(secrets))

    def said(self, answer: requests.Response, secrets: tuple[str, ...] = ()) -> str:
        """An answer's own words, as evidence."""
        return failures.evidence(answer.status_code, answer.headers, answer.text, self._hidden(secrets))

    def json_of(self, answer: requests.Response) -> Json:
        """Raises Unavailable for an answer that is cut, or is no JSON at all (a login page, another server)."""
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            if "json" in answer.headers.get("Content-Type", ""):
                sentence = S("The answer of Jenkins at “%(host)s” was cut off.", host=self.config.host)
                raise Unavailable(sentence, evidence=str(error), code="broken_answer") from error
            sentence = S("What answers at “%(host)s” does not speak like a Jenkins.", host=self.config.host)
            raise Unavailable(sentence, evidence=self.said(answer), code="not_jenkins") from error

    @contextmanager
    def within(self) -> Iterator[None]:
        """Several requests of this thread share one timeout."""
        outer = getattr(self._threads, "until", None)
        self._threads.until = outer or time.monotonic() + self.config.timeout_s
        try:
            yield
        finally:
            self._threads.until = outer

    def _left(self) -> float:
        until = getattr(self._threads, "until", None)
        return self.config.timeout_s if until is None else until - time.monotonic()

    def _sent(self, prepared: requests.PreparedRequest) -> requests.Response:
        """The head of the answer; its body is still to be read."""
        seconds = min(max(self._left(), 0.001), self.config.timeout_s)
        return self._session().send(prepared, stream=True, timeout=seconds, allow_redirects=False)

    def _session(self) -> requests.Session:
        mine: requests.Session | None = getattr(self._threads, "session", None)
        if mine is None:
            secure = self.config.base.startswith("https:")
            mine = session(self.config.user, self.config.token, self.config.tls if secure else None)
            self._threads.session = mine
        return mine

    def _prepared(self, request: requests.Request) -> requests.PreparedRequest:
        """The request as it will be sent; judged last, after every `..` in it was resolved."""
        prepared = self._session().prepare_request(request)
        if not (prepared.url or "").startswith(self.config.base):
            raise Invalid(S("That address does not belong to this Jenkins."), code="foreign_address")
        return prepared

    def _hidden(self, secrets: tuple[str, ...]) -> tuple[str, ...]:
        return (*failures.secrets_of(self.config), *secrets)

    def broken(
        self, error: Exception, call: Call, request: requests.PreparedRequest, secrets: tuple[str, ...]
    ) -> AppError:
        """Why there is no answer, and whether Jenkins may have acted on the question."""
        host = self.config.host
        said = failures.masked(f"{type(error).__name__}: {error}", self._hidden(secrets))[: failures.LONGEST_EVIDENCE]
        if isinstance(error, DriverError):
            return Unavailable(error.sentence, evidence=said, code="unreachable")
        if isinstance(error, AppError):
            return Rejected(error.sentence, evidence=said, code="forbidden_address")
        if not call.sent:
            return Unavailable(_unreached(error, host), evidence=said, code="unreachable")
        if request.method != "GET":
            sentence = S(
                "Jenkins at “%(host)s” was asked but did not answer; whether it acted is not known yet.", host=host
            )
            return Unavailable(sentence, evidence=said, code="unknown_outcome")
        if call.late or _silent(error):
            sentence = S("Jenkins at “%(host)s” did not answer in time.", host=host)
            return Unavailable(sentence, evidence=said, code="no_answer")
        sentence = S("The answer of Jenkins at “%(host)s” was cut off.", host=host)
        return Unavailable(sentence, evidence=said, code="broken_answer")


class Stream:
    """An answer that is still coming."""

    def __init__(
        self, transport: Transport, answer: requests.Response, call: Call, request: requests.PreparedRequest
    ) -> None:
        self.status, self.headers, self.answer = answer.status_code, answer.headers, answer
        self._transport, self._call, self._request = transport, call, request

    def pieces(self) -> Iterator[bytes]:
        """Raises Unavailable when it is cut off, or silent for too long."""
        try:
            yield from self.answer.iter_content(CHUNK)
        except (OSError, HTTPError, ValueError) as error:
            raise self._transport.broken(error, self._call, self._request, ()) from error


def _silent(error: Exception) -> bool:
    """`requests` calls a silence in the body a lost connection."""
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.Timeout | TimeoutError) or isinstance(cause, ReadTimeoutError)


def _unreached(error: Exception, host: str) -> Sentence:
    if isinstance(error, requests.exceptions.SSLError):
        return S(
            "No trusted connection to Jenkins at “%(host)s”: check its certificate, and the CA given for it.", host=host
        )
    return S("Jenkins at “%(host)s” cannot be reached; check the address, and whether it runs.", host=host)


def _read(answer: requests.Response, limit: int) -> bytes | None:
    """The whole body, at most `limit`: an error page is cut there, of anything else there is None."""
    body = bytearray()
    try:
        for piece in answer.iter_content(CHUNK):
            body += piece
            if len(body) > limit:
                break
    except BaseException:
        answer.close()
        raise
    if len(body) > limit:
        answer.close()
        return bytes(body[:limit]) if answer.status_code >= 300 else None
    return bytes(body)
