"""Looks at Groovy statements the way Jenkins' declarative parser does, and collects what is wrong with them.

Shared by all `read_*` modules; knows the shapes (a call, a block, a section), not what any section means.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from fangduoduo_release.common.sentence import S, Sentence

from .groovy import nodes as n
from .model import Problem

_SNIPPET = 60


class Reader:
    """Errors and warnings with their places, and the text they are about."""

    def __init__(self, text: str) -> None:
        self._lines = text.removeprefix("\ufeff").splitlines() or [""]
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, position: n.Position, msgid: str, **params: Any) -> None:
        self.errors.append(Problem(position.line, position.column, S(msgid, **params)))

    def warn(self, position: n.Position, msgid: str, **params: Any) -> None:
        self.warnings.append(Problem(position.line, position.column, S(msgid, **params)))

    def note(self, position: n.Position, sentence: Sentence) -> None:
        """A warning whose sentence is made elsewhere."""
        self.warnings.append(Problem(position.line, position.column, sentence))

    def snippet(self, position: n.Position) -> str:
        """What is written at a place, to the end of its line and short."""
        line = self._lines[position.line - 1] if position.line <= len(self._lines) else ""
        text = line[position.column - 1 :].strip()
        return text if len(text) <= _SNIPPET else text[: _SNIPPET - 1] + "…"

    # --- shapes -----------------------------------------------------------------------------------------------

    def call(self, statement: n.Statement) -> n.Call | None:
        """The call that a statement is, or None."""
        if isinstance(statement, n.ExpressionStatement) and isinstance(statement.expression, n.Call):
            return statement.expression
        return None

    def name(self, call: n.Call) -> str | None:
        """The name of a call on nothing; a call on an object is an error and None."""
        bare = call.target is None or (isinstance(call.target, n.Variable) and call.target.name == "this")
        if bare and isinstance(call.name, str):
            return call.name
        if isinstance(call.target, n.Expression):
            self.error(call.position, 'Method calls on objects not allowed outside "script" blocks.')
        else:
            self.error(call.position, "Expected a symbol")
        return None

    def block(self, call: n.Call, what: str) -> n.Closure | None:
        """The block of `what { … }`; its absence is an error."""
        closure = block_of(call)
        if closure is None:
            self.error(call.position, "Expected a block for %(section)s", section=what)
        return closure

    def sections(self, body: Iterable[n.Statement], invalid: str) -> Iterator[tuple[str, n.Call]]:
        """The sections of a block by name; repeated and shapeless ones are errors (the repeated come again)."""
        seen: set[str] = set()
        for statement in body:
            call = self.call(statement)
            if call is None:
                self.error(statement.position, invalid, text=self.snippet(statement.position))
                continue
            name = self.name(call)
            if name is None:
                continue
            if name in seen:
                self.error(call.position, "Multiple occurrences of the %(section)s section", section=name)
                continue
            seen.add(name)
            yield name, call

    def boolean(self, call: n.Call) -> bool:
        """The value of `name true`; anything else is an error and False."""
        if len(call.args) == 1 and not call.named and isinstance(call.args[0], n.Literal):
            value = call.args[0].value
            if isinstance(value, bool):
                return value
        self.error(call.position, "Expected a boolean with %(name)s", name=call.name)
        return False

    def single(self, call: n.Call, none: str, many: str) -> n.Expression | None:
        """The one argument of `key value`; `none` and `many` are the msgids of the errors otherwise."""
        count = len(call.args) + (1 if call.named else 0)
        if count == 0:
            self.error(call.position, none, name=call.name)
        elif count > 1:
            self.error(call.position, many, name=call.name)
        elif call.named:
            return as_map(call.position, call.named)
        else:
            return call.args[0]
        return None

    def mixed(self, call: n.Call) -> bool:
        """Whether named and unnamed arguments are mixed, which is an error."""
        if call.named and call.args:
            self.error(call.position, "Can't mix named and unnamed arguments")
            return True
        return False

    def text(self, expression: n.Expression) -> str | None:
        """The string a literal (or a bare word) is; anything else is an error and None."""
        value = literal_text(expression)
        if value is None:
            self.error(expression.position, "Expected string literal")
        return value


def block_of(call: n.Call) -> n.Closure | None:
    """The trailing closure of a call."""
    if call.args and isinstance(call.args[-1], n.Closure):
        return call.args[-1]
    return None


def literal_text(expression: n.Expression) -> str | None:
    """The text of a string literal or a bare word."""
    if isinstance(expression, n.Literal) and isinstance(expression.value, str):
        return expression.value
    return expression.name if isinstance(expression, n.Variable) else None


def as_map(position: n.Position, named: tuple[n.NamedArgument, ...]) -> n.MapLiteral:
    """Named arguments where one value is meant: Groovy makes a map of them."""
    entries = tuple(
        (n.Literal(item.position, item.name) if isinstance(item.name, str) else item.name, item.value) for item in named
    )
    return n.MapLiteral(position, entries)


def as_named(value: n.MapLiteral) -> tuple[n.NamedArgument, ...]:
    """The other way round, for `step([key: value])`."""
    return tuple(
        n.NamedArgument(
            key.position, key.value if isinstance(key, n.Literal) and isinstance(key.value, str) else key, item
        )
        for key, item in value.entries
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like `name`."""
    names = list(known)
    close = difflib.get_close_matches(name, names, 1, 0.0)
    return close[0] if close else ""


def listed(names: Iterable[str]) -> str:
    """Names in brackets, as Jenkins lists them."""
    return "[" + ", ".join(names) + "]"
