"""Requests as they came and answers as Gerrit gives them: JSON behind `)]}'`, refusals in plain text."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .accounts import Account

PREFIX = b")]}'\n"
_CACHE = "no-cache, no-store, max-age=0, must-revalidate"
JSON = {"Content-Type": "application/json; charset=UTF-8", "Content-Disposition": "attachment", "Cache-Control": _CACHE}
TEXT = {"Content-Type": "text/plain; charset=UTF-8", "Content-Disposition": "attachment", "Cache-Control": _CACHE}


class Refused(Exception):
    """Gerrit's way of saying no."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def not_found(name: str = "") -> Refused:
    return Refused(404, f"Not found: {name}" if name else "Not found")


@dataclass
class Request:
    """One request. `parts`: the path's segments after `/a/`, unquoted each for itself."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    account: Account | None = None
    parts: list[str] = field(default_factory=list)
    path: str = ""
    private: bool = False  # under /a/
    query: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, method: str, target: str, prefix: str, headers: dict[str, str], body: bytes) -> Request:
        url = urlsplit(target)
        path = url.path.removeprefix(prefix)
        private = path.startswith("/a/")
        path = path.removeprefix("/a") if private else path
        parts = [unquote(part) for part in path.strip("/").split("/")]
        query = parse_qs(url.query, keep_blank_values=True)
        return cls(method, target, headers, body, None, parts, unquote(path), private, query)

    def first(self, *names: str) -> str:
        """The first value of the query by any of these names."""
        return next((self.query[name][0] for name in names if name in self.query), "")

    def number(self, *names: str) -> int:
        text = self.first(*names) or "0"
        if not text.lstrip("-").isdecimal():
            raise Refused(400, f'"{text}" is not a valid value for "-{names[0]}"')
        return int(text)

    def json(self) -> dict[str, Any]:
        """The input entity; without a body, an empty one."""
        if not self.body:
            return {}
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(400, "Expected Content-Type: application/json")
        try:
            data = json.loads(self.body)
        except ValueError:
            raise Refused(400, "Expected JSON object") from None
        if not isinstance(data, dict):
            raise Refused(400, "Expected JSON object")
        return data

    def who(self) -> Account:
        if self.account is None:
            raise Refused(403, "Authentication required")
        return self.account


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return HTTPStatus(self.status).phrase


def gson(data: Any) -> bytes:
    """As Gerrit writes JSON: what could be taken for HTML is escaped."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&='":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode()


def entity(data: Any, status: int = 200) -> Answer:
    return Answer(status, PREFIX + gson(data) + b"\n", dict(JSON))


def plain(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, text.encode(), {**TEXT, **headers})


def content(raw: bytes, kind: str) -> Answer:
    """A file, in base64 so that no browser takes it for a page."""
    headers = {"Content-Type": "text/plain;charset=ISO-8859-1", "Content-Disposition": "attachment"}
    extra = {"X-FYI-Content-Encoding": "base64", "X-FYI-Content-Type": kind, "Cache-Control": _CACHE}
    return Answer(200, base64.b64encode(raw), {**headers, **extra})


def unauthorized() -> Answer:
    return plain(401, "Unauthorized", **{"WWW-Authenticate": 'Basic realm="Gerrit Code Review"'})


def starting() -> Answer:
    """What a proxy, or the server while it starts, answers."""
    page = "<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>\n"
    return Answer(503, page.encode(), {"Content-Type": "text/html;charset=utf-8"})


def stamp(seconds: float) -> str:
    """Gerrit's way of writing a time, always UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S.000000000")


def page_of(items: list[Any], request: Request, *, limit: int = 0, overlap: int = 0) -> tuple[list[Any], bool]:
    """The part of a list that `n` and `S` ask for, and whether more follows. `overlap`: how many come once more."""
    start = request.number("S", "s", "start")
    count = request.number("n", "limit") or limit
    if start < 0 or count < 0:
        raise Refused(400, "start and limit must not be negative")
    start = max(0, start - overlap)
    end = start + count if count else len(items)
    return items[start:end], end < len(items)
