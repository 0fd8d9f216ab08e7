"""GitHub: HMAC over the body in `X-Hub-Signature-256`; JSON, or JSON in a form. Others write their events after its."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .base import (
    FORM,
    JSON,
    PING,
    UNSIGNED,
    WRONG,
    Headers,
    Refusal,
    Told,
    addresses,
    digest,
    document,
    first,
    matches,
    moved,
    record,
    text,
)  # fmt: skip

ADDRESSES = ("clone_url", "ssh_url", "git_url", "html_url", "url", "svn_url")


class GitHub:
    """Signs nothing but the body: no time, so the name of a delivery is remembered."""

    kind: ClassVar[str] = "github"
    connection: ClassVar[str] = "git"
    types: ClassVar[frozenset[str]] = JSON | {FORM}

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
        given = headers.get("x-hub-signature-256", "")
        if not given:
            return UNSIGNED
        return None if matches(given.lower(), [f"sha256={digest(secret, body)}" for secret in secrets]) else WRONG

    def event(self, headers: Headers) -> str:
        return first(headers, "x-github-event")

    def delivery(self, headers: Headers, body: bytes) -> str:
        return first(headers, "x-github-delivery")

    def news(self, event: str, body: bytes) -> list[Told]:
        return told(event, body)


def told(event: str, body: bytes) -> list[Told]:
    """The news of an event in GitHub's form. `create` and `delete` name no commits, so they are worth a look."""
    given = record(document(body))
    if event == PING or event not in {"push", "create", "delete"}:
        return []
    repository = record(given.get("repository"))
    where = addresses(repository, *ADDRESSES)
    if event != "push":
        return [Told(where)]
    what = moved(
        ref=given.get("ref"),
        before=given.get("before"),
        after=given.get("after"),
        actor=_pusher(given),
        at=repository.get("pushed_at"),
        forced=given.get("forced"),
    )
    return [Told(where, what)]


def _pusher(given: Mapping[str, Any]) -> str:
    people = [record(given.get(name)) for name in ("sender", "pusher")]
    names = [text(person.get(name)) for person in people for name in ("login", "username", "name")]
    return next((name for name in names if name), "")
