"""What every config source promises: texts by key, each with a revision, so that what was deployed can be named for ever.

A key is a path of plain segments (`shop/api/deployment.yaml`). What a revision is called is the source's own (Consul: the
ModifyIndex; the embedded source: a number that counts). Must not know what the text is for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.sentence import S

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+ -]*(/[A-Za-z0-9][A-Za-z0-9._@+ -]*)*\Z")
LONGEST_KEY = 300
LARGEST_TEXT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """One text as a source has it. `sha256`: hex, of the text as UTF-8."""

    key: str
    text: str
    revision: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of a key's history; `text` can be read back by `read(key, revision)`.

    `author` "": the source does not say who it was. `deleted`: from here on the key was not there.
    """

    revision: str
    sha256: str
    author: str
    at: datetime | None
    note: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What a blocking look at a key found: the index to wait after, and the text, or None when there is none."""

    index: int
    document: Document | None


class ConfigSource(Protocol):
    """A place with texts. Raises NotFound (no such key or revision), Invalid (a bad key, a text too large or not UTF-8),
    Conflict, Unavailable, Rejected (the ACL says no). Every call returns within 10 s."""

    kind: ClassVar[str]

    def read(self, key: str, revision: str = "") -> Document: ...

    def keys(self, prefix: str = "") -> Sequence[str]:
        """The keys that begin with `prefix`, sorted."""

    def history(self, key: str) -> Sequence[Revision]:
        """Newest first. Of a source that keeps none: what the portal has seen of it."""

    def put(self, key: str, text: str, *, author: str, note: str = "", expected: str | None = None) -> Document:
        """Store a text. `expected`: the revision it replaces ("" for a new key); Conflict when it is another by now."""


class Follower(Protocol):
    """One who waits for keys of a source to change, many at once on one event loop."""

    async def changed(self, key: str, index: int, wait_s: float) -> Change:
        """Return when `key` differs from what it was at `index` (0: at once), or after `wait_s`. A return promises no
        change. Raises as a source does."""

    async def close(self) -> None: ...


def check_key(key: str) -> str:
    """The key. Raises Invalid for one that no source takes."""
    if len(key) > LONGEST_KEY or not KEY.match(key) or ".." in key.split("/"):
        raise Invalid(S("“%(key)s” is no key: plain names with “/” between them are.", key=key[:200]), code="bad_key")
    return key


def check_text(key: str, text: str) -> str:
    """The text. Raises Invalid for one that no source takes."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Invalid(S("The text of “%(key)s” holds characters that are none.", key=key), code="not_text") from error
    if size > LARGEST_TEXT:
        raise too_large(key)
    if "\0" in text:
        raise Invalid(S("The text of “%(key)s” holds a NUL; it is no text.", key=key), code="not_text")
    return text


def decode(key: str, raw: bytes) -> str:
    """The text that these bytes are. Raises Invalid."""
    if len(raw) > LARGEST_TEXT:
        raise too_large(key)
    try:
        return check_text(key, raw.decode())
    except UnicodeDecodeError as error:
        sentence = S("What “%(key)s” holds is not text in UTF-8 (byte %(byte)s).", key=key, byte=error.start)
        raise Invalid(sentence, code="not_text") from error


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def absent(key: str, revision: str = "") -> NotFound:
    """What a source raises for a key, or a revision of it, that it does not have."""
    if revision:
        return NotFound(
            S("“%(key)s” has no revision %(revision)s here.", key=key, revision=revision[:40]), code="no_revision"
        )
    return NotFound(S("There is no configuration “%(key)s”.", key=key), code="no_config")


def too_large(key: str) -> Invalid:
    sentence = S("The text of “%(key)s” is larger than %(limit)s KiB.", key=key, limit=LARGEST_TEXT // 1024)
    return Invalid(sentence, code="config_too_large")
