"""Gerrit: the JSON of its event stream. Its webhooks plugin signs nothing and sends one event a request, so it signs in
with HTTP Basic and the secret as password; our own trigger sends several lines and signs them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import ClassVar

from projects.drivers.source.base import Moved, News, PatchSet, PushEvent, RepositoryNews
from projects.drivers.source.gerrit import events

from .base import JSON, MOST_TOLD, PING, UNSIGNED, WRONG, Headers, Refusal, Told, Unreadable, first, matches
from .base import signed_by_us as signed
from .generic import by_time

LINES = frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"})


class Gerrit:
    """`where` is the project's name on the server."""

    kind: ClassVar[str] = "gerrit"
    connection: ClassVar[str] = "gerrit"
    types: ClassVar[frozenset[str]] = JSON | LINES

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
        if headers.get("x-fdd-signature"):
            return signed(headers, body, secrets, now)
        password = _password(headers.get("authorization", ""))
        if password is None:
            return UNSIGNED
        return None if matches(password, secrets) else WRONG

    def event(self, headers: Headers) -> str:
        return first(headers, "x-fdd-event") or "stream-events"

    def delivery(self, headers: Headers, body: bytes) -> str:
        return first(headers, "x-fdd-delivery") or by_time(headers, body)

    def news(self, event: str, body: bytes) -> list[Told]:
        """Lines that make no sense do not take the others with them: those stand in the error's `told`."""
        if event == PING:
            return []
        try:
            return _told(events.parse(body))  # one event, over however many lines
        except events.Unreadable:
            pass
        lines = body.splitlines()
        if len(lines) > MOST_TOLD:
            raise Unreadable(f"it has more than {MOST_TOLD} lines")
        found: list[Told] = []
        broken = 0
        for number, line in enumerate(lines, 1):
            try:
                found += _told(events.parse(line))
            except events.Unreadable:
                broken = broken or number
        if broken:
            raise Unreadable(f"line {broken} of {len(lines)} is not a JSON object", told=found)
        return found


def _told(news: Sequence[News]) -> list[Told]:
    return [Told(frozenset({one.repository}), _what(one)) for one in news]


def _what(one: News) -> PushEvent | PatchSet | RepositoryNews:
    if isinstance(one, RepositoryNews):
        return one
    return one.event if isinstance(one, Moved) else one.patch_set


def _password(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8", "surrogateescape").partition(":")[2]
    except (binascii.Error, ValueError):
        return None
