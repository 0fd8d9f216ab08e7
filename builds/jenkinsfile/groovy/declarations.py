"""Parses declarations: variables, methods, classes, annotations."""

from __future__ import annotations

from . import nodes as n
from .expressions import ExpressionParser
from .tokens import END, KEYWORD, MODIFIERS, NAME, STRING, Token

TYPES = frozenset({"class", "interface", "enum", "trait"})


class DeclarationParser(ExpressionParser):
    """Reads declarations from tokens; raises SyntaxProblem."""

    def block(self) -> tuple[n.Statement, ...]:
        """`{ statements }`."""
        self.expect("{")
        body = self.statements("}")
        self.expect("}")
        return body

    def annotation(self) -> str:
        """Skips an annotation; its name."""
        self.expect("@")
        if self.token.kind not in (NAME, KEYWORD):
            raise self.unexpected()
        if self.at("interface"):
            raise self.unexpected()
        name = self.take().text
        while self.at(".") and self.ahead().kind == NAME:
            self.index += 2
        if self.at("(") and not self.token.line_break:
            self.index = self.closing(self.index) + 1
        return name

    def declaration(self, out: list[n.Statement]) -> bool:
        """A variable or method when one stands here; False (and nothing taken) otherwise."""
        start = self.token
        at = self.index
        while self.tokens[at].kind == KEYWORD and self.tokens[at].text in MODIFIERS:
            at += 1
            if self.tokens[at].text == "@":
                return False
        modified = at > self.index
        if modified and self.tokens[at].text in TYPES:
            self.index = at
            out.append(self.type_definition())
            return True
        end = self.type_end(at)
        if end is not None and self.tokens[end].kind in (NAME, STRING) and not self.tokens[end].line_break:
            if self.tokens[end].kind == STRING and not modified:
                return False
            at = end
        elif not modified:
            return False
        elif self.tokens[at].kind == NAME and self.tokens[at + 1].kind == NAME and not self.tokens[at + 1].line_break:
            at += 1  # `def list items`: a lower-case type
        self.index = at
        if self.at("(") and modified:
            out.append(self._declare_multiple(start))
            return True
        name = self.token
        if name.kind not in (NAME, STRING):
            raise self.unexpected()
        self.take()
        if self.at("(") and not self.token.line_break:
            out.append(self._method(start, name))
        else:
            self._declare(out, start, name)
        return True

    def _declare(self, out: list[n.Statement], start: Token, name: Token) -> None:
        while True:
            if name.kind != NAME:
                raise self.unexpected()
            value = None
            if self.at("=") and not self.token.line_break:
                self.take()
                value = self.expression(command=True)
            out.append(n.Declare(start.position, (name.text,), value))
            if not self.accept(","):
                return
            name = self.token
            if name.kind != NAME:
                raise self.unexpected()
            self.take()

    def _declare_multiple(self, start: Token) -> n.Statement:
        self.expect("(")
        names = tuple(item.name for item in self.parameters(")"))
        self.expect(")")
        self.expect("=")
        return n.Declare(start.position, names, self.expression(command=True), multiple=True)

    def _method(self, start: Token, name: Token) -> n.Statement:
        self.expect("(")
        parameters = self.parameters(")")
        self.expect(")")
        if self.accept("throws"):
            while self.token.kind == NAME or self.at(".", ","):
                self.take()
        if not self.at("{"):
            raise self.unexpected()
        title = name.text if name.kind == NAME else "".join(p for p in name.value if isinstance(p, str))  # type: ignore[attr-defined]
        return n.MethodDefinition(start.position, title, parameters, self.block())

    def type_definition(self) -> n.Statement:
        """Keeps a class whole, unread."""
        token = self.take()
        name = self.take()
        while not self.at("{"):
            if self.token.kind == END:
                raise self.unexpected()
            self.take()
        self.index = self.closing(self.index) + 1
        return n.OpaqueStatement(token.position, f"{token.text} {name.text}")
