"""The ASGI application at `/hooks/<kind>/<connection>/`: take a delivery in, check who sends it, store it, answer 202.

Nothing is parsed and nothing stored before the signature was right; no work is done before the answer. Strangers learn
nothing: a name that is no connection, one of another kind, one without a secret and a wrong signature are all answered
alike, after the same work. What was wrong stands in the log and on the connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets as randomness
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fangduoduo_release.common.http import current_request
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.storable import storable

from .body import PATIENCE_S, Incoming, Receive, Refused, Send
from .dialects import DIALECTS
from .dialects.base import WRONG, Dialect, Refusal
from .refusals import Refusals
from .store import Away, Door, Gone, Letter, Store, pack

PATH = re.compile(r"/hooks/(?P<kind>[^/]{1,40})/(?P<name>[^/]{1,100})/?")
LARGE = 64 * 1024  # bodies beyond are hashed and packed beside the event loop
LONGEST_ID, LONGEST_EVENT = 120, 80
NO_CONNECTION = S("There is no connection of this name.")
OTHER_KIND = S("The connection is of another kind than the webhook's address says.")
NO_SECRET = S("The connection has no webhook secret; set one, and the same on the server.")


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of looking at a delivery's proof: its letter, or why it is refused."""

    letter: Letter | None = None
    refusal: Refusal | None = None


class Hooks:
    """`max_bytes` of a body, `patience_s` for it to arrive, `held_bytes` of all bodies at once."""

    def __init__(self, *, max_bytes: int, patience_s: float = PATIENCE_S, held_bytes: int = 64 << 20) -> None:
        self._incoming = Incoming(max_bytes, patience_s, max(held_bytes, 2 * max_bytes))
        self._store, self._refusals = Store(), Refusals()
        self._nobodys = (randomness.token_hex(32), randomness.token_hex(32))  # what strangers' names are checked with

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"webhooks come by HTTP, not by {scope['type']}")
        try:
            answer = await self._answer(scope, receive, send)
        except Refused as refused:
            await _send(send, refused.status, refused.as_json(), refused.headers, "application/problem+json")
            return
        if answer is not None:
            await _send(send, 202, answer, {}, "application/json")

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> dict[str, Any] | None:
        """What is answered with 202; None when the sender is gone. Raises Refused."""
        dialect, name = _addressed(scope)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        async with self._incoming.body(headers, receive) as body:
            if body is None:
                return None
            try:
                door = await self._store.door(name)
                checked = await self._check(dialect, door, headers, body)
                if checked.letter is None:
                    raise self._refuse(dialect, name, door, checked.refusal or WRONG)
                _check_type(dialect, headers)
                kept = await self._store.keep(checked.letter)
            except Gone:
                raise self._refuse(dialect, name, None, Refusal(NO_CONNECTION)) from None
            except Away:
                sentence = S("The database cannot be reached; send it again in a few seconds.")
                raise Refused(503, "unavailable", sentence, {"retry-after": "5"}) from None
        return {"accepted": True, "id": kept.pk, **({"known": True} if kept.known else {})}

    async def _check(self, dialect: Dialect, door: Door | None, headers: Mapping[str, str], body: bytes) -> Checked:
        if len(body) > LARGE:
            return await asyncio.to_thread(self._look, dialect, door, headers, body)
        return self._look(dialect, door, headers, body)

    def _look(self, dialect: Dialect, door: Door | None, headers: Mapping[str, str], body: bytes) -> Checked:
        """Does the same work whether there is such a connection or not: always two secrets are tried."""
        wrong: Sentence | None = None
        if door is None:
            wrong = NO_CONNECTION
        elif door.kind != dialect.connection:
            wrong = OTHER_KIND
        elif not door.secrets:
            wrong = NO_SECRET
        tried = self._nobodys if wrong or door is None else (*door.secrets, *self._nobodys)[:2]
        refusal = dialect.verify(headers, body, tried, time.time())
        if wrong or door is None:
            return Checked(refusal=Refusal(wrong or NO_CONNECTION, asks=bool(refusal and refusal.asks)))
        if refusal:
            return Checked(refusal=refusal)
        called = storable(dialect.delivery(headers, body))
        ident = called or hashlib.sha256(body).hexdigest()
        if len(ident) > LONGEST_ID:
            ident = hashlib.sha256(ident.encode("utf-8", "surrogateescape")).hexdigest()
        event = storable(dialect.event(headers))[:LONGEST_EVENT]
        key = f"{door.pk}:{dialect.kind}:{ident}"
        return Checked(Letter(door.pk, dialect.kind, event, called[:LONGEST_ID], key, pack(body), len(body)))

    def _refuse(self, dialect: Dialect, name: str, door: Door | None, refusal: Refusal) -> Refused:
        challenge = {"www-authenticate": 'Basic realm="webhooks", charset="UTF-8"'} if dialect.kind == "gerrit" else {}
        sentence = S("This is not signed with the webhook secret of a connection of this name and kind.")
        if challenge and refusal.asks:  # Java's client signs in only when it is asked to: no refusal yet
            return Refused(401, "not_authenticated", sentence, challenge)
        later = self._refusals.note(name, dialect.kind, door, refusal.why, current_request.get().address)
        if refusal.known:
            return Refused(401, "bad_timestamp", refusal.why)
        if later:
            many = S("Too many refused deliveries; those with the right signature are taken all the time.")
            return Refused(429, "too_many", many, {"retry-after": str(later)})
        return Refused(401, "not_authenticated", sentence, challenge)


def _addressed(scope: MutableMapping[str, Any]) -> tuple[Dialect, str]:
    """Which kind and whose address. Raises Refused."""
    found = PATH.fullmatch(str(scope["path"]))
    if scope["method"] != "POST":
        sentence = S(
            "This is where a server with repositories (GitHub, GitLab, Gitea, Gerrit…) reports pushes, by POST. There is"
            " nothing to look at; deliveries are shown to ops in the admin."
        )
        raise Refused(405, "method_not_allowed", sentence, {"allow": "POST"})
    if found is None:
        raise Refused(404, "not_found", S("A webhook's address is /hooks/<kind>/<connection>/."))
    if found["kind"] not in DIALECTS:
        sentence = S("No server speaks like this here; the kinds are: %(kinds)s.", kinds=", ".join(sorted(DIALECTS)))
        raise Refused(404, "unknown_kind", sentence)
    return DIALECTS[found["kind"]], unquote(found["name"])


def _check_type(dialect: Dialect, headers: Mapping[str, str]) -> None:
    """Only who has the secret comes so far. Raises Refused."""
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in dialect.types:
        sentence = S("Send it as %(types)s.", types=", ".join(sorted(one for one in dialect.types if "json" in one)))
        raise Refused(415, "unsupported_media_type", sentence)
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Refused(415, "unsupported_media_type", S("Send it as it is, not compressed."))


async def _send(send: Send, status: int, body: dict[str, Any], headers: Mapping[str, str], kind: str) -> None:
    data = json.dumps(body, ensure_ascii=False).encode()
    shown = {
        "content-type": kind,
        "content-length": str(len(data)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **headers,
    }
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in shown.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": data})
