"""Parses what stands between brackets: arguments, lists, maps, closures, parameters, strings with their values.

Expressions and statements within them are the subclasses' business (`expressions`, `statements`).
"""

from __future__ import annotations

from . import nodes as n
from .cursor import Cursor
from .tokens import END, KEYWORD, NAME, NUMBER, STRING, SyntaxProblem, Token


class LiteralParser(Cursor):
    """Reads bracketed things from tokens; raises SyntaxProblem."""

    def expression(self, *, command: bool = False) -> n.Expression:
        """One expression; with `command` also `name argument, argument`."""
        raise NotImplementedError

    def statements(self, *closers: str) -> tuple[n.Statement, ...]:
        """Statements up to a closer, which is not taken."""
        raise NotImplementedError

    def string(self, token: Token) -> n.Expression:
        """A STRING token as a literal or with its values."""
        parts: list[str | n.Expression] = []
        for part in token.value:  # type: ignore[attr-defined]
            if isinstance(part, str):
                parts.append(part)
                continue
            inner = type(self)(part, self.depth)
            inner.accept("->")
            try:
                parts.append(n.Literal(inner.token.position, None) if inner.token.kind == END else inner.expression())
            except SyntaxProblem as problem:
                # tree-sitter does not look closely into strings: its opinion is not asked.
                raise SyntaxProblem(problem.sentence, problem.position, final=True) from None
            if inner.token.kind != END:
                raise inner.unexpected()
        if all(isinstance(part, str) for part in parts):
            return n.Literal(token.position, "".join(str(part) for part in parts))
        return n.GString(token.position, tuple(parts))

    def arguments(self, closer: str | None) -> tuple[tuple[n.Expression, ...], tuple[n.NamedArgument, ...]]:
        """Comma-separated arguments up to `closer` (not taken), or for None to the end of a command's arguments."""
        args: list[n.Expression] = []
        named: list[n.NamedArgument] = []
        while closer is None or not self.at(closer):
            self._argument(args, named)
            if not self.accept(","):
                break
        return tuple(args), tuple(named)

    def _argument(self, args: list[n.Expression], named: list[n.NamedArgument]) -> None:
        token = self.token
        if self.ahead().text == ":" and token.kind in (NAME, KEYWORD, STRING, NUMBER):
            self.take()
            self.take()
            key: str | n.Expression = str(token.value)
            if token.kind == STRING:
                string = self.string(token)
                key = string.value if isinstance(string, n.Literal) and isinstance(string.value, str) else string
            named.append(n.NamedArgument(token.position, key, self.expression()))
        elif token.text in ("*", "*:"):
            self.take()
            args.append(n.Spread(token.position, self.expression()))
        else:
            value = self.expression(command=False)
            if self.at(":") and not self.token.line_break:
                self.take()
                named.append(n.NamedArgument(token.position, value, self.expression()))
            else:
                args.append(value)

    def list_or_map(self, opener: Token) -> n.Expression:
        """`[a, b]`, `[a: 1]`; the bracket is taken."""
        if self.at(":") and self.ahead().text == "]":
            self.index += 2
            return n.MapLiteral(opener.position, ())
        args, named = self.arguments("]")
        self.expect("]")
        if not named:
            return n.ListLiteral(opener.position, args)
        entries: list[tuple[n.Expression, n.Expression]] = []
        for item in named:
            key = n.Literal(item.position, item.name) if isinstance(item.name, str) else item.name
            entries.append((key, item.value))
        entries.extend((item, item.value) for item in args if isinstance(item, n.Spread))
        return n.MapLiteral(opener.position, tuple(entries))

    def new(self, start: Token) -> n.Expression:
        """`new Type(…)`; the word is taken."""
        end = self.type_end(self.index)
        if end is None:
            if self.token.kind != NAME:
                raise self.unexpected()
            end = self.index + 1
            while self.tokens[end].text == "." and self.tokens[end + 1].kind == NAME:
                end += 2
        name = self.type_text(end)
        if self.at("["):
            self.index = self.closing(self.index) + 1
            return n.New(start.position, name, plain=False)
        args: tuple[n.Expression, ...] = ()
        named: tuple[n.NamedArgument, ...] = ()
        if self.accept("("):
            args, named = self.arguments(")")
            self.expect(")")
        elif not name.endswith("]"):
            raise self.unexpected()
        if self.at("{") and not self.token.line_break:
            self.index = self.closing(self.index) + 1
            return n.New(start.position, name, args, named, plain=False)
        return n.New(start.position, name, args, named)

    def closure(self, opener: Token) -> n.Expression:
        """`{ parameters -> statements }`; the brace is taken."""
        self.deeper()
        parameters = self.parameters("->") if self._has_arrow() else None
        if parameters is not None:
            self.expect("->")
        body = self.statements("}")
        self.expect("}")
        self.depth -= 1
        return n.Closure(opener.position, parameters, body)

    def _has_arrow(self) -> bool:
        level = 0
        for at in range(self.index, len(self.tokens)):
            token = self.tokens[at]
            text = token.text
            if text == "->" and level == 0:
                return True
            if text in ("(", "["):
                level += 1
            elif text in (")", "]"):
                level -= 1
            if text in ("{", "}", ";") or level < 0 or token.kind == END:
                return False
            if token.line_break and at > self.index and self.tokens[at - 1].text != ",":
                return False
        return False

    def parameters(self, closer: str) -> tuple[n.Parameter, ...]:
        """Parameters of a closure or method up to `closer`, which is not taken."""
        out: list[n.Parameter] = []
        while not self.at(closer):
            while self.at("final", "def"):
                self.take()
            end = self.type_end(self.index)
            if end is not None and (self.tokens[end].kind == NAME or self.tokens[end].text == "..."):
                self.index = end
            varargs = self.accept("...")
            if self.token.kind != NAME:
                raise self.unexpected()
            name = self.take().text
            default = self.expression() if self.accept("=") else None
            out.append(n.Parameter(name, default, varargs))
            if not self.accept(","):
                break
        if not self.at(closer):
            raise self.unexpected()
        return tuple(out)
