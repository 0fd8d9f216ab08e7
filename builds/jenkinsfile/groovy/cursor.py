"""Walks over tokens with bounded depth: what the expression and the statement parser have in common."""

from __future__ import annotations

from fangduoduo_release.common.sentence import S, Sentence

from .nodes import Position
from .tokens import END, KEYWORD, NAME, PRIMITIVES, STRING, SyntaxProblem, Token

# Statements and expressions within each other; each costs the parser at most five Python frames.
MAX_DEPTH = 110
# Operators, calls or indexes in a row in one expression: they nest in the tree as well.
MAX_CHAIN = 300

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
TOO_DEEP = S("This is nested too deeply to be read.")


class Cursor:
    """A place in a list of tokens that ends with END."""

    def __init__(self, tokens: list[Token], depth: int = 0) -> None:
        self.tokens = tokens
        self.index = 0
        self.depth = depth

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def ahead(self, count: int = 1) -> Token:
        """The token `count` further on, END when there is none."""
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The current token; moves on unless it is END."""
        token = self.tokens[self.index]
        if token.kind != END:
            self.index += 1
        return token

    def at(self, *texts: str) -> bool:
        return self.tokens[self.index].text in texts

    def accept(self, text: str) -> bool:
        if self.tokens[self.index].text == text:
            self.index += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        token = self.token
        if token.text != text:
            raise SyntaxProblem(
                S("expecting '%(expected)s', found %(found)s", expected=text, found=describe(token)), token.position
            )
        self.index += 1
        return token

    def unexpected(self) -> SyntaxProblem:
        return SyntaxProblem(S("unexpected token: %(token)s", token=describe(self.token)), self.token.position)

    def deeper(self) -> None:
        """Counts one level of nesting, until `depth` is put back; too many are a SyntaxProblem."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.too_deep()

    def too_deep(self, position: Position | None = None, sentence: Sentence = TOO_DEEP) -> SyntaxProblem:
        return SyntaxProblem(sentence, position or self.token.position, final=True)

    def closing(self, index: int) -> int:
        """Where the bracket at `index` closes. The lexer made sure that it does."""
        opener = self.tokens[index].text
        closer, level = _CLOSERS[opener], 0
        for at in range(index, len(self.tokens)):
            text = self.tokens[at].text
            if text == opener:
                level += 1
            elif text == closer:
                level -= 1
                if level == 0:
                    return at
        raise self.unexpected()

    def type_end(self, index: int) -> int | None:
        """The index after a type (`int`, `Map<String, List<X>>[]`, `a.b.C`) that starts at `index`, or None."""
        token = self.tokens[index]
        if token.kind == KEYWORD and token.value in PRIMITIVES:
            index += 1
        elif token.kind == NAME:
            while self.tokens[index + 1].text == "." and self.tokens[index + 2].kind == NAME:
                index += 2
            if not str(self.tokens[index].value)[0].isupper():
                return None
            index += 1
            if self.tokens[index].text == "<":
                after = self._generics_end(index)
                if after is None:
                    return None
                index = after
        else:
            return None
        while self.tokens[index].text == "[" and self.tokens[index + 1].text == "]":
            index += 2
        return index

    def _generics_end(self, index: int) -> int | None:
        level = 0
        for at in range(index, min(index + 60, len(self.tokens))):
            token = self.tokens[at]
            if token.text == "<":
                level += 1
            elif token.text in (">", ">>", ">>>"):
                level -= len(token.text)
                if level <= 0:
                    return at + 1 if level == 0 else None
            elif token.kind != NAME and token.text not in (",", "?", ".", "extends", "super", "[", "]"):
                return None
        return None

    def type_text(self, end: int) -> str:
        """Takes the tokens up to `end` and gives the type's bare name."""
        words: list[str] = []
        for token in self.tokens[self.index : end]:
            if token.text == "<":
                break
            words.append(token.text)
        self.index = end
        return "".join(words)


def describe(token: Token) -> str:
    """How a token is named in a sentence."""
    if token.kind == END:
        return "end of file"
    if token.kind == STRING:
        return "a string"
    return f"'{token.value}'"
