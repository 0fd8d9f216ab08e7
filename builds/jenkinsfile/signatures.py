"""Checks the arguments of calls against what Jenkins knows of them: names, number, types of literals.

A `Signature` is data; `steps` and `rules_parameters` hold the tables. Only literals are judged: any other expression
has its value at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from .groovy import nodes as n
from .model import Invocation
from .reading import Reader, nearest

STRING, INTEGER, BOOLEAN, ANY = "class java.lang.String", "int", "boolean", "class java.lang.Object"
_MAX_LONG = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Signature:
    """`parameters` by name with their Java type. `closed` when no other name can be right in any version.

    `single` names the parameter of one unnamed argument where the required ones do not tell it.
    """

    parameters: Mapping[str, str]
    required: tuple[str, ...] = ()
    closed: bool = True
    block: bool = False
    single: str | None = None

    @property
    def sole(self) -> str | None:
        """The parameter that one unnamed argument stands for."""
        if self.single is not None:
            return self.single
        if len(self.required) == 1:
            return self.required[0]
        return next(iter(self.parameters)) if len(self.parameters) == 1 else None


def check_invocation(reader: Reader, item: Invocation, signature: Signature) -> None:
    """Reports every argument that Jenkins would refuse."""
    if item.named and item.args:
        reader.error(item.position, "Can't mix named and unnamed arguments")
    elif item.named or not item.args:
        _check_named(reader, item, signature)
    elif len(item.args) > 1:
        reader.error(item.position, 'Arguments to "%(name)s" must be explicitly named.', name=item.name)
    else:
        _check_single(reader, item, signature)


def _check_named(reader: Reader, item: Invocation, signature: Signature) -> None:
    given: set[str] = set()
    for argument in item.named:
        if not isinstance(argument.name, str):
            return
        given.add(argument.name)
        kind = signature.parameters.get(argument.name)
        if kind is None:
            if signature.closed:
                reader.error(
                    argument.position, 'Invalid parameter "%(name)s", did you mean "%(nearest)s"?',
                    name=argument.name, nearest=nearest(argument.name, signature.parameters),
                )  # fmt: skip
            continue
        check_type(reader, argument.value, kind, argument.name)
    if any(isinstance(arg, n.Spread) for arg in item.args):
        return
    for name in signature.required:
        if name not in given:
            reader.error(item.position, 'Missing required parameter: "%(name)s"', name=name)


def _check_single(reader: Reader, item: Invocation, signature: Signature) -> None:
    value = item.args[0]
    if isinstance(value, n.Spread | n.MapLiteral):
        return
    if signature.sole is None:
        if not signature.block:
            reader.error(item.position, "Step does not take a single required parameter - use named parameters instead")
        return
    check_type(reader, value, signature.parameters[signature.sole], "")


def check_type(reader: Reader, value: n.Expression, kind: str, name: str) -> None:
    """Reports a literal of a type that Jenkins does not convert."""
    if not isinstance(value, n.Literal) or value.value is None:
        return
    literal = value.value
    if isinstance(literal, int) and not isinstance(literal, bool) and abs(literal) > _MAX_LONG:
        reader.error(
            value.position,
            "BigIntegers cannot be used as constants in Declarative. The maximum value for an integer is "
            "9,223,372,036,854,775,807 and the minimum value for an integer is -9,223,372,036,854,775,808.",
        )
        return
    wrong = (kind == STRING and isinstance(literal, bool | int)) or (
        kind == INTEGER and isinstance(literal, str | bool)
    )
    if not wrong:
        return
    shown = str(literal).lower() if isinstance(literal, bool) else str(literal)
    if name:
        reader.error(
            value.position,
            'Expecting "%(expected)s" for parameter "%(name)s" but got "%(value)s" of type %(type)s instead',
            expected=kind, name=name, value=shown, type=_java_type(literal),
        )  # fmt: skip
    else:
        reader.error(
            value.position, 'Expecting "%(expected)s" but got "%(value)s" of type %(type)s instead',
            expected=kind, value=shown, type=_java_type(literal),
        )  # fmt: skip


def _java_type(value: str | int | Decimal | bool) -> str:
    if isinstance(value, bool):
        return "class java.lang.Boolean"
    if isinstance(value, int):
        return "class java.lang.Integer" if abs(value) < 2**31 else "class java.lang.Long"
    return "class java.lang.String" if isinstance(value, str) else "class java.math.BigDecimal"
