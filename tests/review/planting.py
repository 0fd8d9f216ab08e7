"""Fifty secrets: what they look like, every form in which one gives itself away, and where to look for them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import html
import json
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus


@dataclass
class Garden:
    """Every secret by the place it was planted in."""

    planted: dict[str, str] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set, repr=False)

    def plant(self, place: str, *, simple: bool = False) -> str:
        """A new secret. One that is not `simple` has characters that every kind of text writes differently."""
        assert place not in self.planted, place
        odd = "" if simple else "+/=&'<é$"
        self.planted[place] = secrets.token_hex(9) + odd + secrets.token_urlsafe(6)
        return self.planted[place]

    def keep(self, place: str, secret: str) -> str:
        """One that the portal made itself."""
        self.planted[place] = secret
        return secret

    def found_in(self, data: bytes) -> set[str]:
        """The places whose secrets give themselves away in these bytes."""
        if data in self._seen:  # an answer that came before, word for word
            return set()
        self._seen.add(data)
        return {place for place, secret in self.planted.items() if any(form in data for form in forms(secret))}


@lru_cache(maxsize=256)
def forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    texts = {secret, html.escape(secret), html.escape(secret).replace("&#x27;", "&#39;"), repr(secret)[1:-1]}
    texts |= {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
    }
    texts |= {quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower()}
    found = {text.encode() for text in texts} | {raw.hex().encode(), raw.hex().upper().encode()}
    for before, skip in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + raw)
        core = encoded[skip : (before + len(raw)) * 8 // 6]
        found |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def texts_of(data: bytes) -> Iterator[bytes]:
    """The bytes, and what is compressed in them."""
    yield data
    if data[:2] == b"\x1f\x8b":
        with contextlib.suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(data)
    elif data[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(data)


def database_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every value of every table, then the file itself: what was deleted is there still."""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            cursor = database.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, str | bytes) and len(value) > 11:
                        data = value.encode() if isinstance(value, str) else value
                        for text in texts_of(data):
                            yield f"{name}.{column}", text
    for file in (path, path.with_name(path.name + "-wal")):
        if file.exists():
            yield file.name, file.read_bytes()


def file_texts(root: Path, but: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Every file below `root` that is not in a place meant to hold secrets."""
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not path.is_symlink() and not any(name.startswith(start) for start in but):
            with contextlib.suppress(FileNotFoundError):
                for text in texts_of(path.read_bytes()):
                    yield name, text
