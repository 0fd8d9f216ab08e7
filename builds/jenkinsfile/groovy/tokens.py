"""Tokens of Groovy and the words the language keeps for itself.

Data only; `lexer` makes tokens, `expressions` and `statements` read them.
"""

from __future__ import annotations

from dataclasses import dataclass

from fangduoduo_release.common.sentence import Sentence

from .nodes import Position

NAME, KEYWORD, NUMBER, STRING, OPERATOR, END = "name", "keyword", "number", "string", "operator", "end"

PRIMITIVES = frozenset({"void", "boolean", "byte", "char", "short", "int", "float", "long", "double"})
MODIFIERS = frozenset({
    "def", "final", "static", "public", "private", "protected", "abstract", "transient", "native", "synchronized",
    "volatile", "strictfp",
})  # fmt: skip
KEYWORDS = PRIMITIVES | MODIFIERS | {
    "as", "assert", "break", "case", "catch", "class", "const", "continue", "default", "do", "else", "enum", "extends",
    "false", "finally", "for", "goto", "if", "implements", "import", "in", "instanceof", "interface", "new", "null",
    "package", "return", "super", "switch", "this", "throw", "throws", "trait", "true", "try", "while",
}  # fmt: skip


@dataclass(slots=True)
class Token:
    """`line_break` and `space` tell what stood before it; inside ( ) and [ ] a line break is only space.

    `value` is the text, the number, or for a STRING the parts: str and lists of tokens. `text` is what names, keywords
    and operators are compared with; empty for anything else.
    """

    kind: str
    value: object
    position: Position
    start: int
    end: int
    line_break: bool = False
    space: bool = False
    text: str = ""


class SyntaxProblem(Exception):
    """The text is not Groovy at `position`, as far as we can tell. `final` when a second opinion cannot help."""

    def __init__(self, sentence: Sentence, position: Position, *, final: bool = False) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        self.position = position
        self.final = final
