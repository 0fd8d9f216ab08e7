"""Gitea, Gogs and Forgejo: an HMAC over the body under several names; events as GitHub writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from .base import FORM, JSON, UNSIGNED, WRONG, Headers, Refusal, Told, digest, first, matches
from .github import told

SIGNATURES = ("x-gitea-signature", "x-forgejo-signature", "x-gogs-signature", "x-hub-signature-256")


class Gitea:
    """The signature is hexadecimal, under GitHub's name with GitHub's “sha256=” before it."""

    kind: ClassVar[str] = "gitea"
    connection: ClassVar[str] = "git"
    types: ClassVar[frozenset[str]] = JSON | {FORM}

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
        given = first(headers, *SIGNATURES)
        if not given:
            return UNSIGNED
        return None if matches(given.lower().removeprefix("sha256="), [digest(one, body) for one in secrets]) else WRONG

    def event(self, headers: Headers) -> str:
        return first(headers, "x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-github-event")

    def delivery(self, headers: Headers, body: bytes) -> str:
        return first(headers, "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery", "x-github-delivery")

    def news(self, event: str, body: bytes) -> list[Told]:
        return told(event, body)
