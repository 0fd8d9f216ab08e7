"""Makes a log stream safe to store and to show: valid UTF-8, printable, whole lines, no terminal tricks.

Only SGR colour sequences survive; OSC, cursor moves, NUL and other control characters go. `\\r` progress bars keep
their last state. Memory is bounded whatever comes in. Knows nothing of secrets, stages or sinks.
"""

from __future__ import annotations

import codecs
import re

LINE_LIMIT = 64 * 1024
_PLAIN = bytes([9, 10, *range(32, 127)])
# In this order: colours (kept), other CSI, OSC/DCS/APC/PM/SOS up to their end, other escapes, bare control characters.
_SPECIAL = re.compile(
    "(\x1b\\[[0-9;:]{0,64}m)"
    "|(?:\x1b\\[|\x9b)[0-?]{0,256}[ -/]{0,16}[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]{0,8192}"
    "(?:\x07|\x1b\\\\|\x9c|(?=[\x1b\x90\x98\x9d-\x9f\n])|$)"
    "|\x1b[ -/]{0,4}[0-~]?"
    "|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029]"
)
_COLOUR = re.compile("\x1b\\[[0-9;:]{0,64}m")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_OPEN_ESCAPE = re.compile("\x1b[^\n\r]{0,8192}$|[\x9b\x9d\x90\x98\x9e\x9f][^\n\r]{0,8192}$")


class Sanitiser:
    """Feed raw bytes, get clean bytes. Gives back whole lines; of a line beyond the limit also its beginning."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = b""  # clean ASCII of an unfinished line, or ...
        self._text = ""  # ... the text of one that needs the slow path
        self._streaming = False  # the line is beyond the limit: its beginning is already out

    def feed(self, data: bytes) -> bytes:
        if not self._text and not self._decoder.getstate()[0] and not data.translate(None, _PLAIN):
            return self._plain(data)
        return self._slow(self._decoder.decode(data))

    def finish(self) -> bytes:
        """The rest, ended by a newline when there is one."""
        out = self._slow(self._decoder.decode(b"", final=True))
        rest = _clean_line(self._held.decode("ascii") + self._text)
        self._held, self._text = b"", ""
        if rest or self._streaming:
            out += rest.encode() + b"\n"
        self._streaming = False
        return out

    def _plain(self, data: bytes) -> bytes:
        end = data.rfind(b"\n") + 1
        if end:
            out, self._held = self._held + data[:end], data[end:]
            self._streaming = False
        else:
            out, self._held = b"", self._held + data
        if len(self._held) > LINE_LIMIT:
            out += self._held
            self._held = b""
            self._streaming = True
        return out

    def _slow(self, text: str) -> bytes:
        text = self._held.decode("ascii") + self._text + text
        self._held = b""
        end = text.rfind("\n") + 1
        lines, rest = text[:end], text[end:]
        out = [_clean_lines(lines)]
        if lines:
            self._streaming = False
        rest = _keep_last_state(rest)
        if len(rest) > LINE_LIMIT:
            opened = _OPEN_ESCAPE.search(rest, max(0, len(rest) - 8200))
            cut = opened.start() if opened and opened.start() > 0 else len(rest)
            out.append(_clean_line(rest[:cut]))
            rest = rest[cut:]
            self._streaming = True
        if rest.isascii() and rest.isprintable():
            self._held, self._text = rest.encode(), ""
        else:
            self._text = rest
        return "".join(out).encode("utf-8", "replace")


def _clean_lines(lines: str) -> str:
    """Whole lines; those with nothing but text and colours, which is nearly all, in a few fast passes."""
    if not _CONTROL.search(lines):
        return lines
    if not _CONTROL.search(_COLOUR.sub("", lines)):
        return lines
    return "\n".join([_clean_line(line) for line in lines.split("\n")])


def _keep_last_state(rest: str) -> str:
    """Of an unfinished progress line only what is on screen now (a `\\r` at the very end may be half of `\\r\\n`)."""
    at = rest.rfind("\r", 0, max(0, len(rest) - 1))
    return rest if at < 0 else rest[at + 1 :]


def _clean_line(line: str) -> str:
    if "\r" in line:
        line = line.rstrip("\r")
        line = line.rpartition("\r")[2]
    if line.isprintable():
        return line
    return _SPECIAL.sub(lambda found: found.group(1) or "", line)


def clean_text(text: str) -> str:
    """The same rules for a text of ours that holds people's words (a name, a message): one string, lines kept."""
    text = to_bytes(text).decode("utf-8", "replace")
    return "\n".join(_clean_line(line) for line in text.split("\n"))


def to_bytes(text: str) -> bytes:
    """Any text as bytes; what is no character (a lone surrogate) becomes bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


class LineSplitter:
    """Cuts lines beyond the limit into several, with one note; gives back whole lines only."""

    NOTE = b" [a line longer than 64 KiB goes on]\n"

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        end = data.rfind(b"\n") + 1
        self._held = data[end:]
        out = data[:end]
        if len(out) > LINE_LIMIT and any(len(line) > LINE_LIMIT for line in out.split(b"\n")):
            out = b"".join(self._cut(line) for line in out.splitlines(keepends=True))
        if len(self._held) > LINE_LIMIT:
            pieces = self._cut(self._held)
            end = pieces.rfind(b"\n") + 1
            out += pieces[:end]
            self._held = pieces[end:]
        return out

    def finish(self) -> bytes:
        rest, self._held = self._held, b""
        return rest + b"\n" if rest else b""

    def _cut(self, line: bytes) -> bytes:
        pieces = []
        while len(line) > LINE_LIMIT + 1:
            at = LINE_LIMIT
            while at > LINE_LIMIT - 4 and line[at] & 0xC0 == 0x80:
                at -= 1
            pieces.append(line[:at] + self.NOTE)
            line = line[at:]
        return b"".join([*pieces, line])
