"""GitLab: a token in `X-Gitlab-Token`, or its newer signature (Standard Webhooks: id, time and body are signed)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import ClassVar

from .base import (
    JSON,
    UNSIGNED,
    WRONG,
    Headers,
    Refusal,
    Told,
    addresses,
    document,
    first,
    late,
    matches,
    moved,
    record,
    text,
)  # fmt: skip

MARK = "whsec_"
ADDRESSES = ("git_http_url", "git_ssh_url", "http_url", "ssh_url", "web_url", "url", "homepage")
PUSHES = {"push", "tag_push", "repository_update"}


class GitLab:
    """Where both are sent, either proves the sender: a person may have set the one here and the other there."""

    kind: ClassVar[str] = "gitlab"
    connection: ClassVar[str] = "git"
    types: ClassVar[frozenset[str]] = JSON

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
        token, signature = headers.get("x-gitlab-token", ""), headers.get("webhook-signature", "")
        if not token and not signature:
            return UNSIGNED
        right_token = matches(token, [one.encode("utf-8", "surrogateescape").decode("latin-1") for one in secrets])
        stamp = headers.get("webhook-timestamp", "")
        start = f"{headers.get('webhook-id', '')}.{stamp}.".encode("utf-8", "surrogateescape")
        wanted = [f"v1,{_signature(secret, start + body)}" for secret in secrets] if signature else []
        right_signature = False
        for one in signature.split()[:10]:
            right_signature |= matches(one, wanted)
        if right_signature:
            return late(stamp, now)
        return None if right_token else WRONG

    def event(self, headers: Headers) -> str:
        return first(headers, "x-gitlab-event")

    def delivery(self, headers: Headers, body: bytes) -> str:
        """Older servers name what led to an event, and one thing may lead to several."""
        name = first(headers, "webhook-id", "idempotency-key")
        cause = first(headers, "x-gitlab-event-uuid")
        return name or (f"{cause}:{hashlib.sha256(body).hexdigest()[:32]}" if cause else "")

    def news(self, event: str, body: bytes) -> list[Told]:
        given = record(document(body))
        what = text(given.get("object_kind")) or text(given.get("event_name"))
        if what not in PUSHES:
            return []
        where = addresses({**record(given.get("repository")), **record(given.get("project"))}, *ADDRESSES)
        if what == "repository_update":
            return [Told(where)]
        who = text(given.get("user_username")) or text(given.get("user_name"))
        push = moved(ref=given.get("ref"), before=given.get("before"), after=given.get("after"), actor=who)
        return [Told(where, push)]


def _signature(secret: str, message: bytes) -> str:
    """Of the key that a signing token stands for; of the text itself where it is none."""
    key = secret.encode("utf-8", "surrogateescape")
    if secret.startswith(MARK):
        try:
            key = base64.b64decode(secret.removeprefix(MARK), validate=True)
        except (binascii.Error, ValueError):
            pass  # then it is a text that only looks like one
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode()
