"""Replaces known secret values in a byte stream by `****`, in every form they usually leak, also across chunk borders.

Looks for: the value, its base64 at the three alignments (both alphabets), URL- and JSON- and XML-escaped, as the shell
quotes it, and a secret of several lines line by line. Knows nothing of where bytes come from or go to.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from .sanitise import clean_text

MASK = b"****"
# Shorter values are not masked: hiding every “ab” would ruin the log and hide nothing.
SHORTEST = 3
_SHORTEST_ENCODED = 6
_SHORTEST_PROBE = 6
_ESCAPED = re.compile(rb"%[0-9A-Fa-f]{2}|&#?\w{1,8};|\\u[0-9A-Fa-f]{4}|\\.|[^A-Za-z0-9]")


def forms(secret: str) -> set[bytes]:
    """Every byte string that gives `secret` away. None of them holds a newline."""
    found: set[bytes] = set()
    for line in {secret, *secret.splitlines()}:
        value = line.strip("\r\n")
        if len(value) < SHORTEST:
            continue
        if "\n" not in value:
            found.update(_texts(value))
        found.update(_base64_cores(value.encode("utf-8", "surrogatepass")))
    escaped = {json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}
    found.update(e.encode() for e in escaped if len(secret) >= SHORTEST)
    found.update(_wrapped_base64(secret.encode("utf-8", "surrogatepass")))
    return {f for f in found if len(f) >= SHORTEST and b"\n" not in f}


def _texts(value: str) -> set[bytes]:
    texts = {value, clean_text(value), html.escape(value), html.escape(value, quote=False)}
    texts |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], value.replace("/", "\\/")}
    texts.add(repr(value)[1:-1])
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    texts |= quoted | {_lower_hex(q) for q in quoted}
    if "'" in value:
        texts |= {value.replace("'", "'\\''"), value.replace("'", "'\"'\"'")}
    if any(c in value for c in '"$`\\'):
        texts.add("".join("\\" + c if c in '"$`\\' else c for c in value))
    return {t.encode("utf-8", "surrogatepass") for t in texts if t}


def _lower_hex(quoted: str) -> str:
    parts = quoted.split("%")
    return parts[0] + "".join("%" + p[:2].lower() + p[2:] for p in parts[1:])


def _base64_cores(value: bytes) -> set[bytes]:
    """The characters of base64 that depend on `value` alone, whatever stands before and after it."""
    cores = set()
    for before, skip in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + value)
        whole = (before + len(value)) * 8 // 6
        core = encoded[skip:whole]
        if len(core) >= _SHORTEST_ENCODED:
            cores |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return cores


def _wrapped_base64(value: bytes) -> set[bytes]:
    """The lines of `base64 < secret` for a value too long for one line (also with a newline at its end)."""
    if len(value) <= 45:
        return set()
    lines = set()
    for text in (value, value.rstrip(b"\n") + b"\n"):
        encoded = base64.b64encode(text)
        for width in (64, 76):
            lines |= {encoded[i : i + width] for i in range(0, len(encoded), width)}
    return {line for line in lines if len(line) >= 16}


class Masker:
    """Streaming: `feed` gives back what is safe to let go, `finish` the rest. Patterns may be added between feeds."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Forms of one secret share a stretch of plain characters: one search for that rules all of them out.
        self._groups: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
        self._longest = 0
        self._tail = b""
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        self.add_patterns(forms(secret))

    def add_patterns(self, patterns: Iterable[bytes]) -> None:
        groups: dict[bytes, list[bytes]] = {}
        known = {*patterns, *(p for _, group in self._groups for p in group)}
        for pattern in known:
            groups.setdefault(_probe(pattern), []).append(pattern)
        self._groups = tuple((probe, tuple(group)) for probe, group in groups.items())
        self._longest = max(map(len, known), default=0)

    def feed(self, data: bytes) -> bytes:
        if not self._groups:
            return data
        data = self._tail + data if self._tail else data
        # No pattern holds a newline, so only the unfinished line can end within a secret.
        cut = max(data.rfind(b"\n") + 1, len(data) - self._longest + 1)
        out, used = self._replace(data, cut)
        self._tail = data[used:]
        return out

    def finish(self) -> bytes:
        out, _ = self._replace(self._tail, len(self._tail))
        self._tail = b""
        return out

    def _replace(self, data: bytes, cut: int) -> tuple[bytes, int]:
        """`data` up to about `cut` with secrets replaced, and how much of it that was."""
        spans: list[tuple[int, int]] = []
        for probe, group in self._groups:
            if probe in data:
                for pattern in group:
                    spans += _places(data, pattern)
        if not spans:
            return data[:cut], cut
        out: list[bytes] = []
        done = 0
        for start, end in _joined(spans):
            if start >= cut:
                break
            if end > cut and len(data) - start <= 8 * self._longest:
                # Another secret may still overlap this one: keep it until the stream has gone on.
                cut = start
                break
            out += [data[done:start], MASK]
            done = end
        if done < cut:
            out.append(data[done:cut])
            done = cut
        return b"".join(out), done


def _places(data: bytes, pattern: bytes) -> Iterator[tuple[int, int]]:
    at = data.find(pattern)
    while at >= 0:
        yield at, at + len(pattern)
        at = data.find(pattern, at + 1)


def _probe(pattern: bytes) -> bytes:
    """The longest stretch of `pattern` that escaping leaves alone; the pattern itself when that says too little."""
    longest = max(_ESCAPED.split(pattern), key=len)
    return longest if len(longest) >= _SHORTEST_PROBE else pattern


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted spans, those that overlap made one."""
    spans.sort()
    first, last = spans[0]
    for start, end in spans:
        if start >= last:
            yield first, last
            first = start
        last = max(last, end)
    yield first, last


def mask_text(text: str, patterns: Iterable[bytes]) -> str:
    """One text at once (a sentence, an error, evidence)."""
    masker = Masker()
    masker.add_patterns(patterns)
    data = text.encode("utf-8", "surrogatepass")
    return (masker.feed(data) + masker.finish()).decode("utf-8", "replace")
