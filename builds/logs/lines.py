"""What raw log bytes look like: cutting blocks, finding lines that look like errors. Pure; knows no database."""

from __future__ import annotations

import re
from typing import Final

BLOCK: Final = 256 * 1024  # raw bytes of one stored block
_WORTH_KEEPING_WHOLE: Final = BLOCK // 2
TEXT_LIMIT: Final = 8192  # bytes of one line that a page shows

_COLOURS = re.compile(rb"\x1b\[[0-9;:]*m")
# Cheap and first: most logs hold none of these words, and then no line is looked at.
_HINTS: Final = (
    b"error", b"fatal", b"exception", b"traceback", b"fail", b"panic", b"err!", b"not found",
    b"assert", b"no such", b"denied", b"segmentation", b"***", b"cannot ", b"severe", b"killed",
)  # fmt: skip
_ERROR = re.compile(
    rb"""(?ix)
    ^\s*(?:\[?\s*(?:error|fatal|severe|critical|panic)\b\s*[\]:]?(?!\s*[=(]?\s*0\b)
        | E\s{3,}\S
        | traceback\ \(most\ recent\ call\ last\)
        | exception\ in\ thread
        | caused\ by:
        | (?:build|tests?)\ fail(?:ed|ure)
        | fail(?:ed|ure)?(?:\s|:|$)(?!\s*[:=(]?\s*0\b)
        | npm\ err!
        | killed\s*$ )
    | (?:^|[\s:\])\w])(?:fatal\ error|error|exception|panic)\s*(?:\[?\w*\]?)?:\s
    | \b(?:error|fatal)\]
    | \bmake(?:\[\d+\])?:\ \*\*\*
    | :\ (?:command\ )?not\ found\s*$
    | :\ no\ such\ file\ or\ directory
    | :\ permission\ denied
    | :\ cannot\ (?:find|open|access|stat|create)
    | \bsegmentation\ fault\b
    | \bFAILED\s*(?:\(|$)
    """
)
_FINE = re.compile(
    rb"(?i)\b(?:0|no)\s+(?:errors?|failures?|failed|exceptions?)\b|\b(?:errors?|failures?|failed)[:=]\s*0\b"
)


def cut(data: bytes | memoryview, start: int = 0) -> int:
    """Where the block that begins at `start` ends: after a line where that keeps it big, else in the middle of one."""
    limit = start + BLOCK
    if len(data) < limit:
        return len(data)
    window = bytes(data[start:limit])
    newline = window.rfind(b"\n")
    return start + newline + 1 if newline + 1 >= _WORTH_KEEPING_WHOLE else limit


def looks_like_error(line: bytes) -> bool:
    plain = _COLOURS.sub(b"", line)
    return bool(_ERROR.search(plain)) and not _FINE.search(plain)


def first_error(data: bytes) -> int | None:
    """Index (from 0) of the first line in `data` that looks like an error."""
    lower = data.lower()
    if not any(hint in lower for hint in _HINTS):
        return None
    for index, (line, low) in enumerate(zip(data.split(b"\n"), lower.split(b"\n"), strict=True)):
        if any(hint in low for hint in _HINTS) and looks_like_error(line[:2000]):
            return index
    return None


def text_of(line: bytes) -> str:
    """A line's shown bytes as text: invalid ones replaced, without a carriage return."""
    return line.decode("utf-8", "replace").removesuffix("\r")
