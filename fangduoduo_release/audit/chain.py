"""The hash chain: what is signed, with which key, and the head that every writer takes in turn.

A row's digest is an HMAC over all it holds, its place (`seq`, `id`) and the digest of the row before it; the key is in
the environment, not in the database. The format below is for ever: another one would break every digest there is.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.sentence import S, Sentence

from .fields import text_of
from .models import AuditEntry, AuditHead

NOTHING = "0" * 64  # what the first row stands on
CONTENT = (  # the columns that are signed, in this order
    "previous", "seq", "id", "at", "actor", "verb", "object_kind", "object_id", "object_label", "project",
    "before", "after", "address", "user_agent", "request_id", "key",
)  # fmt: skip
encode = json.JSONEncoder(separators=(",", ":")).encode


class Broken(AppError):
    """The chain cannot be continued: what cannot be written down is not done."""

    status = 503
    code = "audit_broken"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the chain, written as SEQ:DIGEST outside the database."""

    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Point | None:
        seq, _, digest = text.strip().partition(":")
        right = seq.isdecimal() and len(seq) < 19 and len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        return cls(int(seq), digest) if right else None


@lru_cache(maxsize=8)
def _keyring(texts: tuple[str, ...]) -> Mapping[str, bytes]:
    keys = [text.encode() for text in texts]
    return {hmac.digest(key, b"fdd audit key id", "sha256").hex()[:8]: key for key in keys}


def keyring() -> Mapping[str, bytes]:
    """The configured keys by their ids; the first signs."""
    if not settings.AUDIT_KEYS:
        raise ImproperlyConfigured("AUDIT_KEYS is not set: the audit trail cannot be signed")
    return _keyring(tuple(settings.AUDIT_KEYS))


def signing_key() -> str:
    return next(iter(keyring()))


def sign(key: bytes, content: Any) -> str:
    """HMAC-SHA256 over the JSON of `content`: plain strings, numbers and None, so that nothing can shift."""
    return hmac.digest(key, encode(content).encode(), "sha256").hex()


def content_of(entry: AuditEntry) -> list[Any]:
    """What is signed of a row, as `verifying` reads it back from the database."""
    values = {name: getattr(entry, name) for name in CONTENT}
    values["at"] = written(entry.at)
    for name in ("before", "after"):
        values[name] = None if values[name] is None else text_of(values[name])
    return list(values.values())


def written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def stamp(key: str, kind: str, seq: int, entry: int, digest: str) -> str:
    """The signature of a head or a checkpoint; "" when the key is not one of ours."""
    secret = keyring().get(key)
    return sign(secret, [kind, key, seq, entry, digest]) if secret else ""


def is_ours(row: Any, kind: str) -> bool:
    """Whether a head or a checkpoint was signed by one of our keys."""
    expected = stamp(row.key, kind, row.seq, row.entry, row.digest)
    return bool(expected) and hmac.compare_digest(expected, row.signature)


def take_head() -> AuditHead:
    """The head, ours until the transaction ends: the order of rows is the order of commits. Raises Broken."""
    heads = AuditHead.objects.select_for_update().filter(pk=AuditHead.ONLY)
    head = heads.first()
    if head is None:
        if AuditEntry.objects.exists():
            raise Broken(_REFUSED)
        AuditHead.objects.get_or_create(pk=AuditHead.ONLY, defaults=head_at(0, 0, NOTHING))
        head = heads.get()
    if not is_ours(head, "head"):
        raise Broken(_REFUSED)
    return head


_REFUSED: Sentence = S(
    "The audit trail cannot be continued, and nothing is done that cannot be written down. "
    "Ops find out why with “manage.py verify_audit”."
)


def head_at(seq: int, entry: int, digest: str) -> dict[str, Any]:
    """The fields of a head that stands there, signed."""
    key = signing_key()
    return {
        "seq": seq, "entry": entry, "digest": digest, "key": key, "signature": stamp(key, "head", seq, entry, digest),
    }  # fmt: skip


def link(entry: AuditEntry) -> Point:
    """Append the entry to the chain; call inside a transaction, as late in it as possible. Raises Broken."""
    head = take_head()
    entry.id, entry.seq, entry.previous = head.entry + 1, head.seq + 1, head.digest
    entry.at, entry.key = timezone.now(), signing_key()
    entry.digest = sign(keyring()[entry.key], content_of(entry))
    entry.append()
    AuditHead.objects.filter(pk=head.pk).update(**head_at(entry.seq, entry.id, entry.digest))
    return Point(entry.seq, entry.digest)
