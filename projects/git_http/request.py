"""Reads a git client's request: which repository, which of the three smart endpoints, fetch or push.

Everything else is refused here with one plain sentence, which git shows as `remote: …`. It must not know who asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from projects.drivers.source.git_names import is_slug

FETCH, PUSH = "fetch", "push"
_SERVICES = {"git-upload-pack": FETCH, "git-receive-pack": PUSH}
_GIT_PROTOCOL = re.compile(r"[a-z0-9=:._-]{1,64}")
_MAX_NEGOTIATION = 32 << 20
"""Bytes of a fetch's request: it names commits, it never carries any."""


class Refusal(Exception):
    """An answer without a backend: an HTTP status, a sentence, and headers beside the usual ones."""

    def __init__(self, status: int, text: str, headers: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers or {})


@dataclass(frozen=True, slots=True)
class GitRequest:
    """A request that may be shown to git http-backend once its sender is known. `length` is -1 when not declared."""

    slug: str
    verb: str
    endpoint: str
    service: str
    method: str
    content_type: str
    encoding: str
    protocol: str
    length: int
    address: str
    authorization: str = field(default="", repr=False)

    def query(self) -> str:
        return f"service={self.service}" if self.endpoint == "info/refs" else ""


def read_request(scope: Mapping[str, Any], prefix: str, max_push: int) -> GitRequest:
    """Judge an ASGI HTTP scope. Raises Refusal: 404, 405, 403 (dumb protocol), 413, 415."""
    headers = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in scope["headers"]}
    slug, endpoint = _place(str(scope["path"]), prefix)
    method = str(scope["method"])
    if method != ("GET" if endpoint == "info/refs" else "POST"):
        raise Refusal(405, "Git does not ask this way.", {b"allow": b"GET" if endpoint == "info/refs" else b"POST"})
    service = endpoint
    if endpoint == "info/refs":
        service = dict(parse_qsl(bytes(scope.get("query_string", b"")).decode("latin-1"))).get("service", "")
        if service not in _SERVICES:
            raise Refusal(403, "This server speaks only git's smart HTTP protocol; use a git client of 1.6.6 or later.")
    elif headers.get(b"content-type") != f"application/x-{service}-request":
        raise Refusal(415, "The body is not a git request.")
    encoding = headers.get(b"content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise Refusal(415, "The body's encoding is not understood here; use gzip or none.")
    length = headers.get(b"content-length", "")
    size = int(length) if length.isascii() and length.isdigit() else -1
    verb = _SERVICES[service]
    if size > body_limit(verb, max_push):
        raise Refusal(413, too_large(verb, max_push))
    protocol = headers.get(b"git-protocol", "")
    client = scope.get("client") or ("", 0)
    return GitRequest(
        slug=slug,
        verb=verb,
        endpoint=endpoint,
        service=service,
        method=method,
        content_type=headers.get(b"content-type", ""),
        encoding="" if encoding == "identity" else "gzip",
        protocol=protocol if _GIT_PROTOCOL.fullmatch(protocol) else "",
        length=size,
        address=str(client[0]),
        authorization=headers.get(b"authorization", ""),
    )


def body_limit(verb: str, max_push: int) -> int:
    """How many bytes a request's body may have."""
    return max_push if verb == PUSH else _MAX_NEGOTIATION


def too_large(verb: str, max_push: int) -> str:
    return f"The request is larger than {body_limit(verb, max_push) // (1 << 20)} MiB, the most that is taken here."


def _place(path: str, prefix: str) -> tuple[str, str]:
    slug, dot_git, endpoint = path.removeprefix(prefix).partition(".git/")
    known = endpoint == "info/refs" or endpoint in _SERVICES
    if not path.startswith(prefix) or not dot_git or not known or not is_slug(slug):
        raise Refusal(404, "There is no such repository here.")
    return slug, endpoint
