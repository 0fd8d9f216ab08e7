"""The form for whatever else can send a request: one object a move, or a list of them, signed with time and body."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from projects.drivers.source.base import HEADS

from .base import (
    JSON,
    MOST_TOLD,
    PING,
    Headers,
    Refusal,
    Told,
    Unreadable,
    document,
    first,
    moved,
    record,
    signed_by_us,
    text,
)  # fmt: skip

SMALL = 64 * 1024  # beyond, nobody looks into a body before it is stored


class Generic:
    """`{"repository", "ref", "before"?, "after", "actor"?, "delivery"?}`; `ping` as the event greets."""

    kind: ClassVar[str] = "generic"
    connection: ClassVar[str] = "git"
    types: ClassVar[frozenset[str]] = JSON

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
        return signed_by_us(headers, body, secrets, now)

    def event(self, headers: Headers) -> str:
        return first(headers, "x-fdd-event") or "push"

    def delivery(self, headers: Headers, body: bytes) -> str:
        return first(headers, "x-fdd-delivery") or _named(body) or by_time(headers, body)

    def news(self, event: str, body: bytes) -> list[Told]:
        if event == PING:
            return []
        given = document(body)
        several = given if isinstance(given, list) else [given]
        if len(several) > MOST_TOLD:
            raise Unreadable(f"it tells of more than {MOST_TOLD} moves")
        return [_told(record(one)) for one in several]


def by_time(headers: Headers, body: bytes) -> str:
    """The name of a delivery that has none: the same body signed at the same time is the same delivery."""
    stamp = first(headers, "x-fdd-timestamp")[:20]
    return f"{stamp}:{hashlib.sha256(body).hexdigest()}" if stamp else ""


def _named(body: bytes) -> str:
    if len(body) > SMALL or b'"delivery"' not in body:
        return ""
    try:
        return text(record(document(body)).get("delivery"))
    except Unreadable:
        return ""


def _told(one: Mapping[str, Any]) -> Told:
    repository = text(one.get("repository"), 1000).strip()
    if not repository:
        raise Unreadable("it names no repository")
    ref = text(one.get("ref"), 4000)
    full = ref if ref.startswith("refs/") or not ref else f"{HEADS}{ref}"
    what = moved(ref=full, before=one.get("before"), after=one.get("after"), actor=one.get("actor"))
    return Told(frozenset({repository}), what)
