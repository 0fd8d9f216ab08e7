"""What may be written down of a change: what differs, without secrets, not too long, as every database takes it.

Callers hand over plain values, secrets included where they must be compared; nothing secret leaves `difference`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from fangduoduo_release.common.storable import storable

from .fields import text_of

MASK = "••••"  # on both sides of a diff: it was changed; on one: it was given or taken away
# Names whose value is nobody's business. "key" only as a word, or in words that are known: "monkey" is no secret.
SECRET = re.compile(
    r"passw|passphrase|\bpass\b|pwd|secret|token|credential|private|authori[sz]ation|cookie|session|bearer|signature"
    r"|certificate|\bpem\b|otp\b|(?:^|[^a-z]|api|ssh|auth|access|sign|signing|master|deploy|host)keys?(?:[^a-z]|$)",
    re.IGNORECASE,
)
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
IN_TEXT = (  # secrets inside of texts that are none themselves
    (re.compile(r"(://[^/\s:@]*:)[^@/\s]+@"), rf"\1{MASK}@"),
    (re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\bfdd_[0-9a-f]+_[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (
        re.compile(r"((?:passw(?:or)?d|secret|token|api[_-]?key)\s*[=:]\s*)(?!\s)[^\s&,;\"']+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
)
LONGEST_TEXT, MOST_ITEMS, DEEPEST, LONGEST_ALL = 600, 60, 8, 24_000
ABSENT = object()


def difference(before: Any, after: Any) -> tuple[Any, Any]:
    """Both sides as they may be stored; only what differs, where there are two."""
    before, after = plain(before), plain(after)
    if isinstance(before, dict) and isinstance(after, dict):
        before, after = _differing(before, after)
    return fitting(masked(before)), fitting(masked(after))


def _differing(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name, ABSENT), after.get(name, ABSENT)
        if old == new and type(old) is type(new):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            old, new = _differing(old, new)
        if old is not ABSENT:
            left[name] = old
        if new is not ABSENT:
            right[name] = new
    return left, right


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON knows it."""
    if value is None or isinstance(value, bool | int | str):
        return storable(str(value)) if isinstance(value, str) else value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {storable(str(name)): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, depth + 1) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"
    return storable(str(value))


def is_secret(name: str) -> bool:
    """Whether a value under this name is masked."""
    words = SEPARATORS.sub(" ", CAMEL.sub(" ", name))
    return bool(SECRET.search(words) or SECRET.search(name))


def masked(value: Any, *, secret: bool = False) -> Any:
    """The value without what must not be known; names stay, and so does whether something is set at all."""
    if isinstance(value, dict):
        return {clean(name): masked(item, secret=secret or is_secret(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, secret=secret) for item in value]
    if secret:
        return value if value is None or value == "" or isinstance(value, bool) else MASK
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    """A text without the secrets that show by their form."""
    for pattern, instead in IN_TEXT:
        text = pattern.sub(instead, text)
    return text


def fitting(value: Any) -> Any:
    """Cut what nobody would read."""
    cut = _cut(value)
    size = len(text_of(cut)) if cut is not None else 0
    return cut if size <= LONGEST_ALL else {"…": f"{size} characters"}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, list):
        rest = [f"… {len(value) - MOST_ITEMS} more"] if len(value) > MOST_ITEMS else []
        return [_cut(item) for item in value[:MOST_ITEMS]] + rest
    if isinstance(value, dict):
        shown = {name[:LONGEST_TEXT]: _cut(item) for name, item in list(value.items())[:MOST_ITEMS]}
        return {**shown, "…": f"{len(value) - MOST_ITEMS} more"} if len(value) > MOST_ITEMS else shown
    return value
