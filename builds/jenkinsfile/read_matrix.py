"""Reads `matrix { axes … excludes … stages … }`."""

from __future__ import annotations

import re
from decimal import Decimal

from .groovy import nodes as n
from .model import Axis, Exclude
from .reading import Reader, block_of

_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_INVALID = 'Not a valid section definition: "%(text)s". Some extra configuration is required.'


def read_axes(reader: Reader, call: n.Call) -> tuple[Axis, ...]:
    """`axes { axis { name 'OS' values 'a', 'b' } }`."""
    closure = reader.block(call, "axes")
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "No axes specified")
    return _axis_list(reader, closure, negatable=False)


def read_excludes(reader: Reader, call: n.Call) -> tuple[Exclude, ...]:
    """`excludes { exclude { axis { … } } }`."""
    closure = reader.block(call, "excludes")
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "No excludes specified")
    found: list[Exclude] = []
    for statement in closure.body:
        item = reader.call(statement)
        if item is None or item.target is not None or item.name != "exclude":
            reader.error(statement.position, "Expected an exclude")
            continue
        body = reader.block(item, "exclude")
        if body is None:
            continue
        if not body.body:
            reader.error(item.position, "No axes specified")
        found.append(Exclude(_axis_list(reader, body, negatable=True), item.position))
    return tuple(found)


def _axis_list(reader: Reader, closure: n.Closure, *, negatable: bool) -> tuple[Axis, ...]:
    axes: dict[str, Axis] = {}
    for statement in closure.body:
        item = reader.call(statement)
        if item is None or item.target is not None or item.name != "axis" or block_of(item) is None:
            reader.error(statement.position, "Expected an axis")
            continue
        axis = _axis(reader, item, negatable=negatable)
        if axis is None:
            continue
        if axis.name in axes:
            reader.error(axis.position, 'Duplicate axis name: "%(name)s"', name=axis.name)
        else:
            axes[axis.name] = axis
    return tuple(axes.values())


def _axis(reader: Reader, call: n.Call, *, negatable: bool) -> Axis | None:
    closure = block_of(call)
    if closure is None:
        return None
    name: str | None = None
    values: tuple[str, ...] | None = None
    negated = False
    known_errors = len(reader.errors)
    for section, item in reader.sections(closure.body, _INVALID):
        if section == "name":
            name = _axis_name(reader, item)
        elif section == "values" or (section == "notValues" and negatable):
            if values is not None:
                reader.error(item.position, 'Only one of "values" or "notValues" is allowed in an axis.')
            negated = section == "notValues"
            values = _axis_values(reader, item)
        else:
            reader.error(item.position, 'Undefined section "%(section)s"', section=section)
    if len(reader.errors) > known_errors:
        return None
    if name is None:
        reader.error(call.position, 'Missing required section "%(section)s"', section="name")
    if not values:
        reader.error(call.position, 'Missing required section "%(section)s"', section="values")
    return Axis(name, values, call.position, negated) if name is not None and values else None


def _axis_name(reader: Reader, call: n.Call) -> str | None:
    value = reader.single(call, 'No argument for field "%(name)s"', 'Too many arguments for field "%(name)s"')
    if value is None:
        return None
    if not isinstance(value, n.Literal) or not isinstance(value.value, str):
        reader.error(value.position, "Expected string literal")
        return None
    if not _IDENTIFIER.fullmatch(value.value):
        reader.error(
            value.position,
            '"%(name)s" is not a valid identifier and cannot be used for an environment variable. Identifiers must '
            "start with a letter or underscore and can contain only letters, numbers or underscores.",
            name=value.value,
        )
        return None
    return value.value


def _axis_values(reader: Reader, call: n.Call) -> tuple[str, ...]:
    values: list[str] = []
    for arg in call.args:
        if not isinstance(arg, n.Literal) or arg.value is None:
            reader.error(
                arg.position, "Expected string literal but got %(text)s", text=reader.snippet(arg.position).rstrip(",")
            )
            continue
        text = _literal(arg.value)
        if text in values:
            reader.error(arg.position, 'Duplicate axis value: "%(value)s"', value=text)
        else:
            values.append(text)
    if not call.args:
        reader.error(call.position, 'No argument for field "%(name)s"', name=call.name)
    return tuple(values)


def _literal(value: str | int | Decimal | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
