"""Cuts Groovy text into tokens, strings with their interpolated parts included.

Follows Groovy 2.4, which Jenkins runs: line breaks count unless the innermost bracket is round or square, a slash
after a value divides, elsewhere it opens a string. Never recurses deeper than interpolation is nested (bounded).
"""

from __future__ import annotations

import re
from decimal import Decimal

from fangduoduo_release.common.sentence import S

from .strings import StringReader
from .tokens import END, KEYWORD, KEYWORDS, NAME, NUMBER, OPERATOR, STRING, SyntaxProblem, Token

MAX_DIGITS = 300

_SPACE = re.compile(r"(?:[ \t\f\u00a0]|\\\r?\n|//[^\r\n]*)+|[\r\n]+")
_NAME = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F][0-9a-fA-F_]*[lLiIgG]?|0[bB][01][01_]*[lLiIgG]?"
    r"|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?[lLiIgGfFdD]?"
)
_OPERATOR = re.compile(
    r">>>=|<=>|===|!==|==~|\*\*=|>>=|<<=|>>>|\.\.\.|\.\.<|\?\.|\*\.|\.&|\.@|\?:|->|\+\+|--|&&|\|\||==|!=|=~|<=|>="
    r"|<<|>>|\*\*|\+=|-=|\*=|/=|%=|&=|\|=|\^=|\?=|\.\.|::|\*:|[-+*/%=<>!~?:;,.&|^@(){}\[\]]"
)
_ONE_LINE_SLASHY = re.compile(r"/(?:[^/\\\r\n]|\\.)+/[ \t]*(?:[\r\n;,})]|$)")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_VALUE_WORDS = frozenset({"this", "super", "null", "true", "false"})


class Lexer(StringReader):
    """`Lexer(text).tokens()` gives all tokens with END last; raises SyntaxProblem."""

    def tokens(self) -> list[Token]:
        """All tokens of the text."""
        if self.text.startswith("\ufeff"):
            self.at = 1
        if self.text.startswith("#!", self.at):
            end = re.compile(r"[\r\n]").search(self.text, self.at)
            self.at = end.start() if end else len(self.text)
        return self._run(interpolation=False)

    def nested(self) -> list[Token]:
        """The tokens up to the brace that closes an interpolation."""
        return self._run(interpolation=True)

    def _run(self, *, interpolation: bool) -> list[Token]:
        text, size = self.text, len(self.text)
        out: list[Token] = []
        brackets: list[tuple[str, int]] = []
        while True:
            broken, space = self._skip_space()
            line_break = broken and not (brackets and brackets[-1][0] != "{")
            start = self.at
            if start >= size:
                self._check_closed(brackets, interpolation=interpolation, start=start)
                out.append(Token(END, "", self.position(start), start, start, True, True))
                return out
            if interpolation and not brackets and text[start] == "}":
                out.append(Token(END, "", self.position(start), start, start, True, True))
                return out
            kind, value = self._next(out[-1] if out else None, line_break=line_break, space=space)
            if kind == OPERATOR:
                self._track(str(value), start, brackets)
            text_value = "" if kind in (NUMBER, STRING) else str(value)
            out.append(Token(kind, value, self.position(start), start, self.at, line_break, space, text_value))

    def _skip_space(self) -> tuple[bool, bool]:
        """Skips white space and comments; tells whether a line ended on the way and whether there was any."""
        text, begin, broken = self.text, self.at, False
        while True:
            if match := _SPACE.match(text, self.at):
                broken = broken or text[self.at] in "\r\n"
                self.at = match.end()
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    raise SyntaxProblem(
                        S("The comment that starts here is not closed."), self.position(self.at), final=True
                    )
                self.at = end + 2
            else:
                return broken, self.at > begin

    def _check_closed(self, brackets: list[tuple[str, int]], *, interpolation: bool, start: int) -> None:
        if brackets:
            bracket, where = brackets[-1]
            closing = {"(": ")", "[": "]", "{": "}"}[bracket]
            opened = self.position(where)
            raise SyntaxProblem(
                S(
                    "expecting '%(expected)s', found end of file; '%(bracket)s' was opened at line %(line)s, column %(column)s.",
                    expected=closing, bracket=bracket, line=opened.line, column=opened.column,
                ),
                self.position(start), final=True,
            )  # fmt: skip
        if interpolation:
            raise SyntaxProblem(S("expecting '}', found end of file."), self.position(start), final=True)

    def _track(self, operator: str, start: int, brackets: list[tuple[str, int]]) -> None:
        if operator in "([{":
            brackets.append((operator, start))
        elif operator in ")]}":
            if not brackets or brackets[-1][0] != _PAIRS[operator]:
                raise SyntaxProblem(S("unexpected token: %(token)s", token=operator), self.position(start), final=True)
            brackets.pop()

    def _next(self, previous: Token | None, *, line_break: bool, space: bool) -> tuple[str, object]:
        text, start = self.text, self.at
        char = text[start]
        if char in "'\"":
            return STRING, self.quoted(start)
        if char == "/" and self._opens_slashy(previous, line_break=line_break, space=space):
            return STRING, self.slashy(start)
        if char == "$" and text.startswith("$/", start) and not _ends_value(previous):
            return STRING, self.dollar_slashy(start)
        if match := _NAME.match(text, start):
            self.at = match.end()
            word = match.group()
            return (KEYWORD if word in KEYWORDS else NAME), word
        if match := _NUMBER.match(text, start):
            self.at = match.end()
            return NUMBER, self._number(match.group(), start)
        if match := _OPERATOR.match(text, start):
            self.at = match.end()
            return OPERATOR, match.group()
        shown = char if char.isprintable() else f"0x{ord(char):02X}"
        raise SyntaxProblem(S("unexpected char: %(char)s", char=repr(shown)), self.position(start), final=True)

    def _number(self, text: str, start: int) -> int | Decimal:
        bare = text.replace("_", "")
        if bare[:2] in ("0x", "0X"):
            return int(bare.rstrip("lLiIgG"), 16)
        if bare[:2] in ("0b", "0B"):
            return int(bare.rstrip("lLiIgG"), 2)
        bare = bare.rstrip("lLiIgGfFdD")
        exponent = bare.lower().partition("e")[2]
        if len(bare) > MAX_DIGITS or (exponent and abs(int(exponent)) > MAX_DIGITS):
            raise SyntaxProblem(S("This number is too large."), self.position(start), final=True)
        if "." in bare or exponent or text[-1] in "fFdD":
            return Decimal(bare)
        if len(bare) > 1 and bare[0] == "0" and set(bare) <= set("01234567"):
            return int(bare, 8)
        return int(bare)

    def _opens_slashy(self, previous: Token | None, *, line_break: bool, space: bool) -> bool:
        if line_break or not _ends_value(previous):
            return True
        # `echo /x/`: a name, a space, a slash glued to what follows and closed on the same line.
        if previous is None or previous.kind != NAME or not space or self.text[self.at + 1 : self.at + 2] in " \t=":
            return False
        return _ONE_LINE_SLASHY.match(self.text, self.at) is not None


def _ends_value(token: Token | None) -> bool:
    if token is None:
        return False
    if token.kind in (NAME, NUMBER, STRING):
        return True
    if token.kind == KEYWORD:
        return token.value in _VALUE_WORDS
    return token.value in (")", "]", "}", "++", "--")
