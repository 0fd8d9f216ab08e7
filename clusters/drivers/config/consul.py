"""Config source `consul`: texts in Consul's key-value store (1.15 and later).

Consul keeps no history, so a key's history is what the portal saw of it and put there: the memory that is handed in.
Reading for a deployment asks for consistency: the leader confirms that it still leads. See `consul_wire.py` for what
answers mean and `consul_follow.py` for waiting.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.exchange import Answer, Deadline, ask
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.tls import trust

from .base import Document, Revision, absent, check_key, check_text, sha256_of
from .consul_wire import (
    FILTERED,
    LARGEST_ANSWER,
    LARGEST_LIST,
    ConsulAccess,
    document_in,
    judge,
    names_in,
    told,
)
from .database import changed_meanwhile

CALL_S = 8.0
SMALL = 64 * 1024


class Memory(Protocol):
    """What was seen of keys earlier, by whom it was put there if we know."""

    def saw(self, document: Document, *, author: str, note: str = "") -> None: ...

    def history(self, key: str) -> Sequence[Revision]:
        """Newest first."""

    def recall(self, key: str, revision: str) -> Document | None: ...


@dataclass(frozen=True, slots=True)
class ConsulFacts:
    """What `check` found; `missing`: permissions in Consul's words."""

    version: str
    missing: tuple[str, ...]
    sentence: Sentence


class ConsulConfig:
    """Kind `consul`."""

    kind: ClassVar[str] = "consul"
    Access: ClassVar[type] = ConsulAccess

    def __init__(self, access: ConsulAccess, memory: Memory) -> None:
        self._access, self._memory = access, memory
        self._tls: ssl.SSLContext = trust(access.ca)

    def read(self, key: str, revision: str = "") -> Document:
        check_key(key)
        found = self._now(key, Deadline(CALL_S))
        if found is not None and revision in ("", found.revision):
            return found
        remembered = self._memory.recall(key, revision) if revision else None
        if remembered is None:
            raise absent(key, revision)
        return remembered

    def keys(self, prefix: str = "") -> Sequence[str]:
        whole = self._access.place(prefix)
        answer = self._ask("GET", self._access.kv(prefix, keys=""), Deadline(CALL_S), limit=LARGEST_LIST)
        cut = len(self._access.place(""))
        names = (name[cut:] for name in names_in(self._access, answer) if name.startswith(whole))
        return sorted(name for name in names if name and not name.endswith("/"))  # a folder's own entry is no text

    def history(self, key: str) -> Sequence[Revision]:
        return self._memory.history(check_key(key))

    def put(self, key: str, text: str, *, author: str, note: str = "", expected: str | None = None) -> Document:
        check_text(check_key(key), text)
        deadline = Deadline(CALL_S)
        cas = {} if expected is None else {"cas": expected or "0"}
        answer = self._ask("PUT", self._access.kv(key, **cas), deadline, body=text.encode())
        judge(self._access, answer)
        now = self._now(key, deadline)
        revision = now.revision if now is not None else ""
        if answer.body.strip() != b"true" or now is None or now.sha256 != sha256_of(text):
            raise changed_meanwhile(key, revision)  # or somebody wrote between our writing and our looking
        self._memory.saw(now, author=author, note=note)
        return now

    def check(self) -> ConsulFacts:
        """Try the connection: is it a Consul with a leader, and may we read our keys? Raises."""
        deadline, access = Deadline(CALL_S), self._access
        leader = self._ask("GET", access.address("status/leader"), deadline)
        judge(access, leader)
        if leader.body.strip() in (b'""', b""):
            raise Unavailable(
                S("Consul at “%(host)s” has no leader at the moment.", host=access.host), code="no_leader"
            )
        listed = self._ask("GET", access.kv("", keys="", separator="/"), deadline, limit=LARGEST_LIST)
        missing: tuple[str, ...] = ()
        try:
            hidden = not names_in(access, listed) and listed.headers.get(FILTERED) == "true"
            missing = ("key:read",) if hidden else ()
        except Rejected as error:
            if error.code not in ("no_permission", "needs_token"):
                raise
            missing = ("key:read",)
        version = self._version(deadline)
        if missing:
            sentence = S("Consul %(version)s answers, but the token may not read its keys (key:read).", version=version)
        else:
            sentence = S("Consul %(version)s answers, and its keys can be read.", version=version)
        return ConsulFacts(version, missing, sentence)

    def _version(self, deadline: Deadline) -> str:
        """Many tokens may not ask for it (agent:read), and need not."""
        about = told(self._ask("GET", self._access.address("agent/self"), deadline, limit=LARGEST_LIST))
        config = about.get("Config")
        return str(config.get("Version") or "")[:40] if isinstance(config, dict) else ""

    def _now(self, key: str, deadline: Deadline) -> Document | None:
        answer = self._ask("GET", self._access.kv(key, consistent=""), deadline, limit=LARGEST_ANSWER)
        return document_in(self._access, key, answer)

    def _ask(
        self, method: str, url: str, deadline: Deadline, *, body: bytes | None = None, limit: int = SMALL
    ) -> Answer:
        return ask(method, url, headers=self._access.headers, tls=self._tls, deadline=deadline, limit=limit, body=body)
