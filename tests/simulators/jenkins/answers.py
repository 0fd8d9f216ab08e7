"""Requests as they came and answers as Jenkins gives them: JSON, pages, redirects, and the errors of its two layers.

Jetty's short error pages come before Jenkins has looked at a request; Jenkins' own pages begin a session.
"""

from __future__ import annotations

import html
import json
import secrets
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from .auth import Login

VERSION = "2.440.2"
INSTANCE = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsimulated+jenkins+identity+QIDAQAB"
_REASONS = {500: "Server Error"}


@dataclass
class Request:
    """One request; `path` has neither the context path nor the query, its segments are still quoted."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Message[str, str]
    body: bytes
    login: Login
    target: str = ""

    @classmethod
    def read(cls, method: str, target: str, prefix: str, headers: Message[str, str], body: bytes) -> Request:
        parts = urlsplit(target)
        path = parts.path.removeprefix(prefix) or "/"
        return cls(method, path, parse_qs(parts.query, keep_blank_values=True), headers, body, Login(), target)

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def form(self) -> dict[str, list[str]]:
        """The query's fields and the form's."""
        fields = {name: list(values) for name, values in self.query.items()}
        for name, values in self._body_fields().items():
            fields.setdefault(name, []).extend(values)
        return fields

    def field(self, name: str, default: str = "") -> str:
        return self.form().get(name, [default])[0]

    def _body_fields(self) -> dict[str, list[str]]:
        if self.media_type == "application/x-www-form-urlencoded":
            return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        if self.media_type != "multipart/form-data":
            return {}
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found: dict[str, list[str]] = {}
        for part in BytesParser().parsebytes(head + self.body).walk():
            name = part.get_param("name", header="content-disposition")
            payload = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(payload, bytes):
                found.setdefault(name, []).append(payload.decode("utf-8", "replace"))
        return found


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    session: bool = False  # it begins a session, unless the request came in one

    @property
    def reason(self) -> str:
        return _REASONS.get(self.status) or HTTPStatus(self.status).phrase


@dataclass(frozen=True, slots=True)
class Marks:
    """What Jenkins says of itself in every answer of its own."""

    session: str

    def headers(self, **more: str) -> dict[str, str]:
        return {"X-Jenkins": VERSION, "X-Jenkins-Session": self.session, **more}

    def exported(self, data: str) -> Answer:
        """An object of the remote API, as JSON."""
        own = self.headers(**{"X-Frame-Options": "deny", "Content-Type": "application/json;charset=utf-8"})
        return Answer(200, data.encode(), own)

    def page(self, status: int, title: str, text: str, **headers: str) -> Answer:
        """A whole page in Jenkins' look."""
        body = (
            f'<!DOCTYPE html><html class=""><head><title>{html.escape(title)} [Jenkins]</title></head>\n'
            f'<body id="jenkins" class="yui-skin-sam jenkins-{VERSION}"><div id="main-panel">'
            f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></div></body></html>\n"
        )
        own = self.headers(**{
            "Content-Type": "text/html;charset=utf-8", "Cache-Control": "no-cache,no-store,must-revalidate",
            "X-Hudson": "1.395", "X-Frame-Options": "sameorigin", "X-Instance-Identity": INSTANCE,
        })  # fmt: skip
        return Answer(status, body.encode(), {**own, **headers}, session=True)

    def not_found(self) -> Answer:
        return self.page(404, "Not Found", "This page may not exist, or you may not have permission to see it.")

    def oops(self, status: int = 500) -> Answer:
        """What an exception becomes."""
        text = f"A problem occurred while processing the request Logging ID={secrets.token_hex(16)}"
        return self.page(status, "Oops!", text)

    def failure(self, message: str) -> Answer:
        """A request that Jenkins understood and refused."""
        ascii_only = "".join(c if c.isascii() else " " for c in message)
        return self.page(400, "Error", message, **{"X-Error": ascii_only})

    def login_page(self, target: str) -> Answer:
        to = f"/login?from={quote(target, safe='')}"
        return Answer(403, _redirect_page(to, self.session, "Authentication required"),
                      self.headers(**{"Content-Type": "text/html;charset=utf-8"}), session=True)  # fmt: skip

    def not_there(self) -> Answer:
        """What an action that a build does not have answers: a short page that leads up."""
        return Answer(404, _redirect_page("..", self.session, "Not found"), {"Content-Type": "text/html;charset=utf-8"})

    def missing_permission(self, user: str, permission: str) -> Answer:
        kind, _, verb = permission.partition("/")
        name = {"Job": "hudson.model.Item", "Overall": "hudson.model.Hudson", "Run": "hudson.model.Run"}.get(kind, kind)
        return self.page(
            403, "Access Denied", f"{user} is missing the {permission} permission",
            **{"X-You-Are-Authenticated-As": user, "X-Required-Permission": f"{name}.{verb}"},
        )  # fmt: skip


def plain_json(data: Any) -> Answer:
    """JSON of a plugin's own making, without Jenkins' marks."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Answer(200, body.encode(), {"Content-Type": "application/json;charset=utf-8"})


def text(body: bytes, **headers: str) -> Answer:
    return Answer(200, body, {"Content-Type": "text/plain;charset=utf-8", **headers})


def at(status: int, location: str) -> Answer:
    return Answer(status, b"", {"Location": location})


def jetty(status: int, message: str, uri: str, **headers: str) -> Answer:
    """The error page of the server below Jenkins."""
    path = html.escape(unquote(urlsplit(uri).path))
    rows = "".join(
        f"<tr><th>{name}:</th><td>{value}</td></tr>\n"
        for name, value in (("URI", path), ("STATUS", status), ("MESSAGE", message), ("SERVLET", "Stapler"))
    )
    body = (
        '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
        f"<title>Error {status} {message}</title>\n</head>\n<body><h2>HTTP ERROR {status} {message}</h2>\n<table>\n"
        f'{rows}</table>\n<hr/><a href="https://eclipse.org/jetty">Powered by Jetty:// 10.0.20</a><hr/>\n\n</body>\n</html>\n'
    )
    return Answer(
        status, body.encode("latin-1", "replace"), {"Content-Type": "text/html;charset=iso-8859-1", **headers}
    )


def _redirect_page(to: str, session: str, words: str) -> bytes:
    return (
        f"<html><head><meta http-equiv='refresh' content='1;url={to}'/><script id='redirect' data-redirect-url='{to}' "
        f"src='/static/{session}/scripts/redirect.js'></script></head><body style='background-color:white; color:white;'>\n"
        f"{words}\n<!--\n-->\n\n</body></html>"
    ).encode()


STARTING = (
    '\n    <!DOCTYPE html><html lang="en"><head><title>Starting Jenkins</title><meta name="ROBOTS" content="NOFOLLOW">'
    '</head><body><div class="simple-page" role="main"><h1 class="loading">Please wait while Jenkins is getting ready to '
    'work<span>.</span></h1><p class="restarting">Your browser will reload automatically when Jenkins is ready.</div>'
    "</body></html>"
)


def starting() -> Answer:
    """While Jenkins starts up."""
    return Answer(503, STARTING.encode(), {"Content-Type": "text/html;charset=utf-8"})
