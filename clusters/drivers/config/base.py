"""What every config source promises: texts by key, each with a revision, so that what was deployed can be named for ever.

A key is a path of plain segments (`shop/api/deployment.yaml`). What a revision is called is the source's own (Consul: the
ModifyIndex; the embedded source: a number that counts). Must not know what the text is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fangduoduo_release.common.errors import Invalid
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
    """One entry of a key's history; `text` can be read back by `read(key, revision)`."""

    revision: str
    sha256: str
    author: str
    at: datetime | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a blocking look at keys found: the documents that are there, and the index to wait after."""

    index: str
    documents: Sequence[Document]


class ConfigSource(Protocol):
    """A place with texts. Raises NotFound (no such key or revision), Invalid (a bad key, a text too large or not UTF-8),
    Unavailable, Rejected (the ACL says no). Every call returns within 10 s; `wait` within its own time."""

    kind: str

    def read(self, key: str, revision: str = "") -> Document: ...

    def keys(self, prefix: str = "") -> Sequence[str]: ...

    def history(self, key: str) -> Sequence[Revision]: ...

    def put(self, key: str, text: str, *, author: str, note: str = "", expected: str | None = None) -> Document:
        """Store a text. `expected`: the revision it replaces ("" for a new key); Conflict when it is another by now."""

    def wait(self, key: str, index: str, wait_s: float) -> Change:
        """Return when `key` differs from what it was at `index` ("": at once), or after `wait_s`."""


def check_key(key: str) -> str:
    """The key. Raises Invalid for one that no source takes."""
    if len(key) > LONGEST_KEY or not KEY.match(key) or ".." in key.split("/"):
        raise Invalid(S("“%(key)s” is no key: plain names with “/” between them are.", key=key[:200]), code="bad_key")
    return key
