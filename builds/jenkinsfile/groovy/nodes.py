"""Expression and statement nodes of the Groovy subset, all frozen and with their place in the text.

Pure data, shared by the parser, the validator, the interpreter and the executor; no behaviour lives here.
Lines and columns are 1-based; a tab counts as one column.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the Jenkinsfile: 1-based line and column."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """Anything with a place."""

    position: Position


class Expression(Node):
    """Something with a value."""

    __slots__ = ()


class Statement(Node):
    """Something that is executed."""

    __slots__ = ()


# --- expressions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A string without interpolation, a number, true, false or null (`None`)."""

    value: str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class GString(Expression):
    """A string with `$x` or `${…}`: plain text and expressions in order."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """A bare name, `this` and `super` included."""

    name: str


@dataclass(frozen=True, slots=True)
class Property(Expression):
    """`target.name`, `target?.name` (safe) or `target*.name` (spread); the name may be a GString."""

    target: Expression
    name: str | Expression
    safe: bool = False
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Index(Expression):
    """`target[index]`; more than one index makes a list of them."""

    target: Expression
    index: tuple[Expression, ...]
    safe: bool = False


@dataclass(frozen=True, slots=True)
class NamedArgument(Node):
    """`name: value` in a call. The name is a str unless it was written as `(expression): value` or a GString."""

    name: str | Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """`name(args)`, `target.name(args)` or the command form `name args`; trailing closures are the last `args`.

    `target` is None for a bare call; calling a value (`f()()`, `list[0]()`) has the value as target, `call` as name.
    """

    target: Expression | None
    name: str | Expression
    args: tuple[Expression, ...] = ()
    named: tuple[NamedArgument, ...] = ()
    safe: bool = False
    spread: bool = False


@dataclass(frozen=True, slots=True)
class New(Expression):
    """`new Type(args)`; arrays and anonymous classes too, with `plain` False."""

    type_name: str
    args: tuple[Expression, ...] = ()
    named: tuple[NamedArgument, ...] = ()
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """Prefix `!`, `-`, `+`, `~`, `++`, `--`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Postfix(Expression):
    """`x++`, `x--`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """All infix operators but assignment; `instanceof`, `in`, `as` and their negations among them.

    The right side of `instanceof` and `as` is a `Variable` with the type's name.
    """

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Ternary(Expression):
    """`condition ? then : otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Elvis(Expression):
    """`value ?: otherwise`."""

    value: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Assign(Expression):
    """`target = value`, `+=` and the like; the target is a Variable, Property, Index or a ListLiteral of Variables."""

    target: Expression
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """`(Type) value`."""

    type_name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class ListLiteral(Expression):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Expression):
    """`[a: 1]`, `[:]`; a key written as a bare word is a Literal string."""

    entries: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Range(Expression):
    """`low..high`, or `low..<high` (not inclusive)."""

    low: Expression
    high: Expression
    inclusive: bool = True


@dataclass(frozen=True, slots=True)
class Spread(Expression):
    """`*list` in arguments or a list."""

    value: Expression


@dataclass(frozen=True, slots=True)
class MethodPointer(Expression):
    """`target.&name` or `Target::name`."""

    target: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a closure or a method, with its default."""

    name: str
    default: Expression | None = None
    varargs: bool = False


@dataclass(frozen=True, slots=True)
class Closure(Expression):
    """`{ a, b -> … }`; `parameters` is None when no arrow is written (then `it` is meant)."""

    parameters: tuple[Parameter, ...] | None
    body: tuple[Statement, ...]


# --- statements --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpressionStatement(Statement):
    """An expression on its own line."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Declare(Statement):
    """`def x = 1`, `String x`, `def (a, b) = …`; a single name has one entry."""

    names: tuple[str, ...]
    value: Expression | None
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class If(Statement):
    """`if … else …`."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class ForIn(Statement):
    """`for (x in items)` and `for (T x : items)`."""

    name: str
    items: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ForClassic(Statement):
    """`for (start; condition; step)`."""

    start: tuple[Statement, ...]
    condition: Expression | None
    step: tuple[Expression, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class While(Statement):
    """`while`; with `check_first` False it is `do … while`."""

    condition: Expression
    body: tuple[Statement, ...]
    check_first: bool = True


@dataclass(frozen=True, slots=True)
class Catch(Node):
    """One `catch (A | B name)`; without a type `types` is empty and everything is caught."""

    types: tuple[str, ...]
    name: str
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Try(Statement):
    """`try … catch … finally`."""

    body: tuple[Statement, ...]
    catches: tuple[Catch, ...]
    finally_body: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Case(Node):
    """One `case value:`; `value` is None for `default:`."""

    value: Expression | None
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Switch(Statement):
    """`switch (value) { case … }` with fall-through."""

    value: Expression
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Return(Statement):
    """`return value`."""

    value: Expression | None


@dataclass(frozen=True, slots=True)
class Jump(Statement):
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Throw(Statement):
    """`throw value`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Assert(Statement):
    """`assert condition : message`."""

    condition: Expression
    message: Expression | None = None


@dataclass(frozen=True, slots=True)
class Block(Statement):
    """A bare `{ … }` or a labelled one."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class MethodDefinition(Statement):
    """`def name(parameters) { … }`."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Import(Statement):
    """`import a.b.C`, `package a.b` and `@Library('x')` (named "@Library"); nothing happens when it is executed."""

    name: str


@dataclass(frozen=True, slots=True)
class OpaqueStatement(Statement):
    """A statement that is kept but cannot be executed here; `what` says in English what it is."""

    what: str
