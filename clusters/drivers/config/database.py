"""The embedded config source: every revision of every key, kept for ever, where the portal keeps everything else.

Where the rows are is the business of the store that is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.sentence import S

from .base import Document, Revision, absent, check_key, check_text, sha256_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored revision of a key; `deleted`: the key was taken away by it."""

    number: int
    text: str
    sha256: str
    author: str
    note: str
    deleted: bool
    at: datetime | None


class Store(Protocol):
    """Where revisions are kept."""

    def entry(self, key: str, number: int | None = None) -> Entry | None:
        """The newest revision, or the one of that number."""

    def keys(self, prefix: str) -> Sequence[str]:
        """Those whose newest revision is not deleted, sorted."""

    def history(self, key: str) -> Sequence[Entry]:
        """Newest first, without their texts."""

    def add(self, key: str, entry: Entry) -> bool:
        """Keep a revision; False when there is already one of its number."""


class DatabaseConfig:
    """Kind `database`."""

    kind: ClassVar[str] = "database"

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, key: str, revision: str = "") -> Document:
        check_key(key)
        if revision and not (revision.isdecimal() and revision.isascii() and len(revision) < 10):
            raise absent(key, revision)
        entry = self._store.entry(key, int(revision) if revision else None)
        if entry is None or entry.deleted:
            raise absent(key, revision)
        return Document(key, entry.text, str(entry.number), entry.sha256)

    def keys(self, prefix: str = "") -> Sequence[str]:
        return self._store.keys(prefix)

    def history(self, key: str) -> Sequence[Revision]:
        found = self._store.history(check_key(key))
        return [Revision(str(e.number), e.sha256, e.author, e.at, e.note, e.deleted) for e in found]

    def put(self, key: str, text: str, *, author: str, note: str = "", expected: str | None = None) -> Document:
        check_text(check_key(key), text)
        return self._add(key, text, author=author, note=note, expected=expected)

    def delete(self, key: str, *, author: str, note: str = "", expected: str | None = None) -> None:
        """Take the key away; its revisions can still be read. Raises NotFound, Conflict."""
        self.read(key)
        self._add(key, "", author=author, note=note, expected=expected, deleted=True)

    def _add(
        self, key: str, text: str, *, author: str, note: str, expected: str | None, deleted: bool = False
    ) -> Document:
        """A text that says what the newest revision says makes no new one."""
        before = self._store.entry(key)
        there = before is not None and not before.deleted
        now = str(before.number) if before is not None and there else ""
        if expected is not None and expected != now:
            raise changed_meanwhile(key, now)
        digest = sha256_of(text)
        if before is not None and there and not deleted and before.sha256 == digest:
            return Document(key, text, str(before.number), digest)
        number = (before.number if before is not None else 0) + 1
        if not self._store.add(key, Entry(number, text, digest, author, note, deleted, None)):
            raise changed_meanwhile(key, str(number))
        return Document(key, text, str(number), digest)


def changed_meanwhile(key: str, now: str) -> Conflict:
    """What a source raises when a text was to replace another one than is there."""
    if not now:
        return Conflict(S("“%(key)s” is not there any more.", key=key), code="config_changed")
    sentence = S("“%(key)s” was changed meanwhile; it is at revision %(revision)s now.", key=key, revision=now)
    return Conflict(sentence, code="config_changed")
