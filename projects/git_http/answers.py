"""Answers that the portal gives itself instead of git's backend, in the way a git client shows them to a person.

Where a client asks (`info/refs`), it shows a plain text as `remote: …`; where it sends a pack, it reads only git's own
packets. It must not know why something is refused.
"""

from __future__ import annotations

import asyncio
import contextlib

from .backend import Receive, Send
from .request import Refusal

_PATIENCE = 15.0
"""Seconds for which the rest of a refused push is read and dropped: a client cut off while it sends never reads why."""


async def refuse(receive: Receive, send: Send, refusal: Refusal, *, sending_pack: bool) -> None:
    """The whole answer. A pack that is too large is refused in git's own words, with status 200 as git has it."""
    status, kind, body = refusal.status, b"text/plain; charset=utf-8", f"{refusal.text}\n".encode()
    in_packets = sending_pack and status == 413
    if in_packets:
        status, kind, body = 200, b"application/x-git-receive-pack-result", _fatal(refusal.text)
    headers = {
        b"content-type": kind,
        b"content-length": str(len(body)).encode(),
        b"cache-control": b"no-store",
        b"x-content-type-options": b"nosniff",
        **refusal.headers,
    }
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": body, "more_body": in_packets})
    if in_packets:
        await _end(receive, send)


async def break_off(receive: Receive, send: Send, text: str, *, sending_pack: bool) -> None:
    """End an answer that has begun: git notices that it is not whole; who sends a pack also reads why."""
    if sending_pack and text:
        await send({"type": "http.response.body", "body": _fatal(text), "more_body": True})
    await _end(receive, send)


async def _end(receive: Receive, send: Send) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _fatal(text: str) -> bytes:
    """A packet on the side band for fatal errors."""
    body = f"{text}\n".encode()
    return f"{len(body) + 5:04x}\x03".encode() + body
