"""Reads Groovy's strings: their escapes, and the tokens of what is interpolated.

What stands between `${` and `}` is cut into tokens by the subclass (`lexer`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NoReturn

from fangduoduo_release.common.sentence import S

from .nodes import Position
from .tokens import END, KEYWORD, KEYWORDS, NAME, OPERATOR, SyntaxProblem, Token

MAX_INTERPOLATION = 12

_INTERPOLATED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_STOPS = {'"': re.compile(r'[\\\r\n$"]'), "'": re.compile(r"[\\\r\n']")}
_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"', "$": "$",
}  # fmt: skip


class StringReader:
    """A place in a text, and the strings that may begin there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        starts = [0]
        starts.extend(match.end() for match in re.finditer(r"\r\n|\n|\r", text))
        self._line_starts = starts

    def position(self, offset: int) -> Position:
        """Line and column of an offset; a byte order mark does not count."""
        line = bisect_right(self._line_starts, offset)
        column = offset - self._line_starts[line - 1] + 1
        if line == 1 and column > 1 and self.text.startswith("\ufeff"):
            column -= 1
        return Position(line, column)

    def nested(self) -> list[Token]:
        """The tokens up to the brace that closes an interpolation."""
        raise NotImplementedError

    def quoted(self, start: int) -> tuple[object, ...]:
        """The parts of a string in quotes; the place moves behind it."""
        quote = self.text[start]
        delimiter = quote * 3 if self.text.startswith(quote * 3, start) else quote
        self.at = start + len(delimiter)
        parts: list[object] = []
        plain: list[str] = []
        text, size = self.text, len(self.text)
        stop = _STOPS[quote]
        while True:
            match = stop.search(text, self.at)
            if match is None:
                self._unterminated(start)
            plain.append(text[self.at : match.start()])
            self.at = match.start()
            char = text[self.at]
            if text.startswith(delimiter, self.at):
                self.at += len(delimiter)
                return _joined(parts, plain)
            if char == "\\":
                plain.append(self._escape())
            elif char in "\r\n":
                if len(delimiter) == 1:
                    self._unterminated(start)
                plain.append("\n")
                self.at += 2 if text.startswith("\r\n", self.at) else 1
            elif char == "$":
                self._interpolate(parts, plain, strict=True)
            else:
                plain.append(char)
                self.at += 1
            if self.at > size:
                self._unterminated(start)

    def _unterminated(self, start: int) -> NoReturn:
        raise SyntaxProblem(S("The string that starts here is not closed."), self.position(start), final=True)

    def _escape(self) -> str:
        text, at = self.text, self.at
        char = text[at + 1 : at + 2]
        if char in _ESCAPES and char:
            self.at += 2
            return _ESCAPES[char]
        if match := re.compile(r"\\u+([0-9a-fA-F]{4})|\\([0-3]?[0-7]{1,2})").match(text, at):
            self.at = match.end()
            return chr(int(match.group(1), 16)) if match.group(1) else chr(int(match.group(2), 8))
        if match := re.compile(r"\\(?:\r\n|\n|\r)").match(text, at):
            self.at = match.end()
            return ""
        raise SyntaxProblem(
            S("unexpected char: '\\' (“\\%(char)s” is no escape in a Groovy string; write “\\\\%(char)s”)", char=char),
            self.position(at), final=True,
        )  # fmt: skip

    def slashy(self, start: int) -> tuple[object, ...]:
        """The parts of a string in slashes."""
        text = self.text
        self.at = start + 1
        parts: list[object] = []
        plain: list[str] = []
        while self.at < len(text):
            char = text[self.at]
            if char == "/":
                self.at += 1
                return _joined(parts, plain)
            if text.startswith("\\/", self.at):
                plain.append("/")
                self.at += 2
            elif char == "$":
                self._interpolate(parts, plain, strict=False)
            else:
                plain.append(char)
                self.at += 1
        return self._unterminated(start)

    def dollar_slashy(self, start: int) -> tuple[object, ...]:
        """The parts of a string in `$/ … /$`."""
        text = self.text
        self.at = start + 2
        parts: list[object] = []
        plain: list[str] = []
        while self.at < len(text):
            if text.startswith("/$", self.at):
                self.at += 2
                return _joined(parts, plain)
            if text.startswith(("$$", "$/"), self.at):
                plain.append(text[self.at + 1])
                self.at += 2
            elif text[self.at] == "$":
                self._interpolate(parts, plain, strict=False)
            else:
                plain.append(text[self.at])
                self.at += 1
        return self._unterminated(start)

    def _interpolate(self, parts: list[object], plain: list[str], *, strict: bool) -> None:
        text, at = self.text, self.at
        if text.startswith("${", at):
            if self.depth >= MAX_INTERPOLATION:
                raise SyntaxProblem(S("Strings are nested too deeply here."), self.position(at), final=True)
            self.at = at + 2
            self.depth += 1
            tokens = self.nested()
            self.depth -= 1
            self.at += 1
        elif match := _INTERPOLATED.match(text, at + 1):
            tokens = self._dotted(at + 1, match.group())
            self.at = match.end()
        elif strict:
            raise SyntaxProblem(
                S('illegal string body character after dollar sign; write "\\$" for a dollar or "${…}" for a value'),
                self.position(at), final=True,
            )  # fmt: skip
        else:
            plain.append("$")
            self.at += 1
            return
        if plain:
            parts.append("".join(plain))
            plain.clear()
        parts.append(tokens)

    def _dotted(self, start: int, path: str) -> list[Token]:
        """The tokens of `name.name` after a bare dollar sign."""
        out: list[Token] = []
        at = start
        for index, name in enumerate(path.split(".")):
            if index:
                out.append(Token(OPERATOR, ".", self.position(at - 1), at - 1, at, text="."))
            kind = KEYWORD if name in KEYWORDS else NAME
            out.append(Token(kind, name, self.position(at), at, at + len(name), text=name))
            at += len(name) + 1
        out.append(Token(END, "", self.position(at - 1), at - 1, at - 1, True, True))
        return out


def _joined(parts: list[object], plain: list[str]) -> tuple[object, ...]:
    if plain:
        parts.append("".join(plain))
    return tuple(_paired(part) if isinstance(part, str) else part for part in parts if part != "")


def _paired(text: str) -> str:
    """Surrogates written as two escapes become the one character they mean; a lone one becomes U+FFFD."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
