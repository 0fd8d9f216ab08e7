"""Parses Groovy statements; `parse_groovy` is the door.

When our reading of a statement fails, tree-sitter's Groovy grammar is asked: if it finds the text in order, the
statement is kept as an `OpaqueStatement` (it cannot run here); if it does not, the syntax error stands.
"""

from __future__ import annotations

import time
from functools import cache

import tree_sitter
import tree_sitter_groovy

from fangduoduo_release.common.sentence import S

from . import nodes as n
from .declarations import TYPES, DeclarationParser
from .lexer import Lexer
from .tokens import END, KEYWORD, NAME, SyntaxProblem, Token

# Words that only go on with a statement.
_FOLLOWERS = frozenset({"else", "catch", "finally", "case", "extends", "implements", "throws", "instanceof"})
# Seconds that a second opinion may take; ours costs milliseconds.
_PATIENCE = 0.25


def parse_groovy(text: str) -> tuple[n.Statement, ...]:
    """The statements of a text; raises SyntaxProblem with its place."""
    tokens = Lexer(text).tokens()
    try:
        return StatementParser(tokens).everything()
    except SyntaxProblem as problem:
        if problem.final or not _in_order(text):
            raise
        return StatementParser(tokens, tolerant=True).everything()


@cache
def _grammar() -> tree_sitter.Language:
    return tree_sitter.Language(tree_sitter_groovy.language())


def _in_order(text: str) -> bool:
    """Whether tree-sitter's grammar finds no error; no when it takes too long to tell (it recovers at great cost)."""
    source = text.encode("utf-8", "replace")
    deadline = time.monotonic() + _PATIENCE
    try:
        tree = tree_sitter.Parser(_grammar()).parse(
            lambda offset, _point: source[offset : offset + 65536],
            progress_callback=lambda _offset, _error: time.monotonic() > deadline,
        )
    except ValueError:  # what it raises when the callback stops it
        return False
    return not tree.root_node.has_error


class StatementParser(DeclarationParser):
    """Statements and all within them."""

    def __init__(self, tokens: list[Token], depth: int = 0, *, tolerant: bool = False) -> None:
        super().__init__(tokens, depth)
        self.tolerant = tolerant

    def everything(self) -> tuple[n.Statement, ...]:
        """All statements up to the end."""
        body = self.statements()
        if self.token.kind != END:
            raise self.unexpected()
        return body

    def statements(self, *closers: str) -> tuple[n.Statement, ...]:
        """Statements up to one of the closers (not taken) or the end."""
        out: list[n.Statement] = []
        while True:
            while self.accept(";"):
                pass
            if self.token.kind == END or (self.token.text and self.token.text in closers):
                return tuple(out)
            self._one(out)

    def _one(self, out: list[n.Statement]) -> None:
        start, depth, known = self.index, self.depth, len(out)
        try:
            self.deeper()
            self._statement(out)
            self.depth -= 1
            self._end_statement()
        except SyntaxProblem as problem:
            if problem.final or not self.tolerant:
                raise
            del out[known:]
            self.depth = depth
            self.index = start
            out.append(self._skip())

    def _end_statement(self) -> None:
        token = self.token
        if token.kind == END or token.line_break or token.text in (";", "}"):
            return
        if self.tokens[self.index - 1].text == "}" and token.text in ("case", "default"):
            return
        raise self.unexpected()

    def _skip(self) -> n.Statement:
        """Keeps what we cannot read: up to the end of the line, brackets whole."""
        first = self.token
        while True:
            if self.at("(", "[", "{"):
                self.index = self.closing(self.index) + 1
            elif self.index == 0 or self.token.kind != END:
                self.take()
            token = self.token
            if token.kind == END or token.line_break or token.text in (";", "}"):
                return n.OpaqueStatement(first.position, str(first.text or "…"))

    # --- statements -------------------------------------------------------------------------------------------

    def _statement(self, out: list[n.Statement]) -> None:
        while self.at("@"):
            start = self.token
            if self.annotation() == "Library":
                out.append(n.Import(start.position, "@Library"))
            if self.at("_") and not self.token.line_break:
                self.take()
                return
        token = self.token
        if token.text in _FOLLOWERS:
            raise SyntaxProblem(S("unexpected token: %(token)s", token=token.text), token.position, final=True)
        if token.kind == KEYWORD:
            handler = getattr(self, f"_{token.text}_statement", None)
            if handler is not None:
                self.take()
                out.append(handler(token))
                return
            if token.text in TYPES:
                out.append(self.type_definition())
                return
            if token.text == "static" and self.ahead().text == "{":
                raise self.unexpected()
        if token.kind == NAME and self.ahead().text == ":" and not self.ahead().line_break:
            self.index += 2
            self._statement(out)
            return
        if not self.declaration(out):
            out.append(self._expression_statement())

    def _expression_statement(self) -> n.Statement:
        token = self.token
        if token.text == "(" and (multiple := self._multiple_assignment()):
            return multiple
        expression = self.expression(command=True)
        position = token.position
        return n.ExpressionStatement(position, expression)

    def _multiple_assignment(self) -> n.Statement | None:
        end = self.closing(self.index)
        inside = self.tokens[self.index + 1 : end]
        if self.tokens[end + 1].text != "=" or len(inside) < 3:
            return None
        if any(item.kind != NAME and item.text != "," for item in inside):
            return None
        start = self.token
        names = tuple(n.Variable(item.position, item.text) for item in inside if item.kind == NAME)
        self.index = end + 2
        target = n.ListLiteral(start.position, names)
        value = self.expression(command=True)
        return n.ExpressionStatement(start.position, n.Assign(start.position, target, "=", value))

    # --- by keyword: `_<word>_statement` is called with the word taken --------------------------------------------

    def _body(self) -> tuple[n.Statement, ...]:
        if self.at("{"):
            return self.block()
        if self.accept(";"):
            return ()
        out: list[n.Statement] = []
        self.deeper()
        self._statement(out)
        self.depth -= 1
        return tuple(out)

    def _condition(self) -> n.Expression:
        self.expect("(")
        condition = self.expression(command=True)
        self.expect(")")
        return condition

    def _if_statement(self, start: Token) -> n.Statement:
        condition = self._condition()
        then = self._body()
        otherwise: tuple[n.Statement, ...] = ()
        if self.at(";") and self.ahead().text == "else":
            self.take()
        if self.accept("else"):
            otherwise = self._body()
        return n.If(start.position, condition, then, otherwise)

    def _for_statement(self, start: Token) -> n.Statement:
        self.expect("(")
        name = self._loop_name()
        if name is not None:
            items = self.expression()
            self.expect(")")
            return n.ForIn(start.position, name, items, self._body())
        first: list[n.Statement] = []
        if not self.at(";"):
            if not self.declaration(first):
                first.append(n.ExpressionStatement(self.token.position, self.expression()))
            while self.accept(","):
                first.append(n.ExpressionStatement(self.token.position, self.expression()))
        self.expect(";")
        condition = None if self.at(";") else self.expression()
        self.expect(";")
        step: list[n.Expression] = []
        while not self.at(")"):
            step.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")")
        return n.ForClassic(start.position, tuple(first), condition, tuple(step), self._body())

    def _loop_name(self) -> str | None:
        """Takes `[def|Type] name in` and gives the name; None (and nothing taken) for a classic loop."""
        at = self.index
        while self.tokens[at].text in ("def", "final"):
            at += 1
        end = self.type_end(at)
        if end is not None and self.tokens[end].kind == NAME:
            at = end
        if self.tokens[at].kind != NAME or self.tokens[at + 1].text not in ("in", ":"):
            return None
        self.index = at + 2
        return self.tokens[at].text

    def _while_statement(self, start: Token) -> n.Statement:
        return n.While(start.position, self._condition(), self._body())

    def _do_statement(self, start: Token) -> n.Statement:
        body = self._body()
        self.expect("while")
        return n.While(start.position, self._condition(), body, check_first=False)

    def _try_statement(self, start: Token) -> n.Statement:
        body = self.block()
        catches: list[n.Catch] = []
        while self.at("catch"):
            catches.append(self._catch())
        last = self.block() if self.accept("finally") else None
        if not catches and last is None:
            raise self.unexpected()
        return n.Try(start.position, body, tuple(catches), last or ())

    def _catch(self) -> n.Catch:
        start = self.take()
        self.expect("(")
        while self.at("final", "def"):
            self.take()
        types: list[str] = []
        while (end := self.type_end(self.index)) is not None and self.tokens[end].text != ")":
            types.append(self.type_text(end))
            if not self.accept("|"):
                break
        name = self.token
        if name.kind != NAME:
            raise self.unexpected()
        self.take()
        self.expect(")")
        return n.Catch(start.position, tuple(types), name.text, self.block())

    def _switch_statement(self, start: Token) -> n.Statement:
        value = self._condition()
        self.expect("{")
        cases: list[n.Case] = []
        while not self.at("}"):
            token = self.take()
            if token.text not in ("case", "default"):
                self.index -= 1
                raise self.unexpected()
            match = self.expression() if token.text == "case" else None
            self.expect(":")
            cases.append(n.Case(token.position, match, self.statements("case", "default", "}")))
        self.expect("}")
        return n.Switch(start.position, value, tuple(cases))

    def _return_statement(self, start: Token) -> n.Statement:
        token = self.token
        if token.kind == END or token.line_break or token.text in (";", "}"):
            return n.Return(start.position, None)
        return n.Return(start.position, self.expression(command=True))

    def _break_statement(self, start: Token) -> n.Statement:
        return self._jump(start)

    def _continue_statement(self, start: Token) -> n.Statement:
        return self._jump(start)

    def _jump(self, start: Token) -> n.Statement:
        if self.token.kind == NAME and not self.token.line_break:
            self.take()
        return n.Jump(start.position, start.text)

    def _throw_statement(self, start: Token) -> n.Statement:
        return n.Throw(start.position, self.expression(command=True))

    def _assert_statement(self, start: Token) -> n.Statement:
        condition = self.expression(command=True)
        message = self.expression() if self.accept(":") or self.accept(",") else None
        return n.Assert(start.position, condition, message)

    def _import_statement(self, start: Token) -> n.Statement:
        self.accept("static")
        words: list[str] = []
        while not self.token.line_break and not self.at(";", "}") and self.token.kind != END:
            words.append(str(self.take().value))
        if not words or not (words[0][0].isalpha() or words[0][0] in "_$"):
            raise self.unexpected()
        return n.Import(start.position, "".join(words))

    _package_statement = _import_statement
