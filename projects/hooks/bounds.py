"""The same bounds as the application has, for a server that calls it only when the whole body is there."""

from __future__ import annotations

import json
from functools import cache

from django.conf import settings

from projects.git_http.daphne_bounds import Bound

from .body import DRAINED, PATIENCE_S, Refused, too_large, too_slow

HOOKS = b"/hooks/"
REASONS = {408: "Request Timeout", 413: "Content Too Large"}


@cache
def hook_bound() -> Bound:
    """What a delivery may be and how long it may take to arrive."""
    most = settings.HOOK_MAX_BYTES
    return Bound(
        most, (DRAINED - 1) * most, PATIENCE_S, _on_the_wire(too_large(most)), _on_the_wire(too_slow(PATIENCE_S))
    )


def _on_the_wire(refused: Refused) -> bytes:
    body = json.dumps(refused.as_json()).encode()
    head = [
        f"HTTP/1.1 {refused.status} {REASONS[refused.status]}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
