"""A build's log as Jenkins stores it: text with hidden annotations, read by raw offsets."""

from __future__ import annotations

import html
import re
import threading

# What Jenkins puts before a line to colour it and to link it; its size is what real ones have.
NOTE = b"\x1b[8mha:////4" + b"TGjNKU4P08vOT+vOD8nVc83PyU1x6OyILUoJzMv2y+/JJUBAhiZGBgqihhk0" * 4 + b"==\x1b[0m"
_NOTE = re.compile(rb"\x1b\[8mha:.*?\x1b\[0m", re.DOTALL)
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


class Log:
    """Written by one build, read by many."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._lock = threading.Lock()

    def line(self, text: str, *, annotated: bool = True) -> None:
        """One line of Jenkins' own."""
        self.write((NOTE if annotated else b"") + text.encode() + b"\n")

    def write(self, data: bytes) -> None:
        with self._lock:
            self._raw += data

    def replace(self, data: bytes) -> None:
        """As when somebody deleted the build's folder and it was begun anew."""
        with self._lock:
            self._raw[:] = data

    @property
    def size(self) -> int:
        return len(self._raw)

    def since(self, start: int) -> tuple[bytes, int]:
        """What is shown from a raw offset, and the offset after it. Past the end: everything again."""
        with self._lock:
            size = len(self._raw)
            raw = bytes(self._raw[start:] if start <= size else self._raw)
        return plain(raw), size

    def between(self, start: int, end: int) -> bytes:
        with self._lock:
            return plain(bytes(self._raw[start:end]))


def plain(raw: bytes) -> bytes:
    """Without the hidden annotations; a torn one shows what is left of it, as in Jenkins."""
    return _NOTE.sub(b"", raw)


def as_html(text: bytes) -> str:
    return html.escape(_COLOURS.sub(b"", text).decode("utf-8", "replace"), quote=False)
