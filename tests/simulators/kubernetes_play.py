"""Answers of a cluster made comparable: what differs from run to run has a word in its place, the rest is held to exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_HASH = r"[bcdfghjklmnpqrstvwxz2456789]{6,10}"
_WORDS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"containerd://[0-9a-f]{64}", "CONTAINER"),
    (r"kube-api-access-[a-z0-9]{5}", "VOLUME"),
    (rf"hello-{_HASH}-[a-z0-9]{{5}}(\.[0-9a-f]+)?", "POD"),
    (rf"hello-{_HASH}-?", "SET"),
    (rf"^{_HASH}$", "HASH"),
    (r"\b10\.77\.\d+\.\d+", "IP"),
    (r"too old resource version: 1 \(\d+\)", "too old resource version: 1 (N)"),
    (r'start exec \\*"[0-9a-f]{64}', "start exec HEX"),
)
_VARYING = {"resourceVersion": "REVISION", "continue": "TOKEN"}


def plain(value: Any, key: str = "") -> Any:
    """With words in place of names, times and numbers of versions."""
    if key in _VARYING:
        return _VARYING[key]
    if isinstance(value, dict):
        return {plain(name): plain(each, name) for name, each in value.items()}
    if isinstance(value, list):
        each = [plain(item, "") for item in value]
        # Objects come in the order of their names, which are random; conditions and owners in that of their time.
        return sorted(each, key=lambda item: json.dumps(item, sort_keys=True)) if key in _UNORDERED else each
    if isinstance(value, str):
        for pattern, word in _WORDS:
            value = re.sub(pattern, word, value)
    return value


_UNORDERED = {"items", "managedFields"}


def unlike(wanted: Any, found: Any, at: str = "") -> Iterator[str]:
    """How two plain values differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in sorted(wanted.keys() | found.keys()):
            if name not in wanted or name not in found:
                yield f"{at}/{name}: {'not recorded' if name not in wanted else 'missing'}"
            else:
                yield from unlike(wanted[name], found[name], f"{at}/{name}")
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield f"{at}: {len(wanted)} elements were recorded, {len(found)} are answered"
        for number, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from unlike(one, other, f"{at}[{number}]")
    elif wanted != found or isinstance(wanted, bool) != isinstance(found, bool):
        yield f"{at}: {wanted!r} was recorded, {found!r} is answered"
