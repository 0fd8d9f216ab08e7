"""Log bytes as HTTP answers, a block at a time: never a whole log in memory. Knows no permission."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.core.files.storage import default_storage
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from fangduoduo_release.common.sockets.pool import DatabasePool, stream

from .blocks import Head
from .reader import pieces

PIECE = 256 * 1024
TEXT = "text/plain; charset=utf-8"
_GZIP = re.compile(r"(?:^|[,\s])(?:gzip|\*)(?!\s*;\s*q=0(?:\.0*)?(?:\s|,|$))", re.IGNORECASE)
_pool = DatabasePool("log-answers", 2)


def whole_log(request: HttpRequest, now: Head) -> StreamingHttpResponse:
    """All bytes that `now` knows of. A complete log goes out as it is stored to a client that takes gzip."""
    packed = now.complete and now.stored_size > 0 and bool(_GZIP.search(request.headers.get("Accept-Encoding", "")))
    response = answer(request, _stored(now.stored_name) if packed else pieces(now, 0))
    if packed:
        response["Content-Encoding"] = "gzip"
    response["Content-Length"] = str(now.stored_size if packed else now.size)
    response["Vary"] = "Accept-Encoding"
    return response


def answer(request: HttpRequest, parts: Iterator[bytes]) -> StreamingHttpResponse:
    """Text that is streamed: under ASGI part by part from a pool (Django would collect a plain iterator first)."""
    response = StreamingHttpResponse(
        stream(_pool, parts) if isinstance(request, ASGIRequest) else parts, content_type=TEXT
    )
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _stored(name: str) -> Iterator[bytes]:
    with default_storage.open(name) as file:
        while data := file.read(PIECE):
            yield data
