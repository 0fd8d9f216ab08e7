"""Reads `when { … }`: the conditions Jenkins knows and what they take."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .groovy import nodes as n
from .model import Condition, When
from .reading import Reader, block_of
from .signatures import ANY, BOOLEAN, STRING, Signature, check_invocation

_PATTERN = {"pattern": STRING, "comparator": STRING}
CONDITIONS: Mapping[str, Signature] = {
    "branch": Signature(_PATTERN, ("pattern",)),
    "buildingTag": Signature({}),
    "changelog": Signature({**_PATTERN}, ("pattern",), closed=False),
    "changeset": Signature({**_PATTERN, "glob": STRING, "caseSensitive": BOOLEAN}, closed=False, single="pattern"),
    "changeRequest": Signature({"target": STRING}, closed=False),
    "environment": Signature({"name": STRING, "value": STRING, "ignoreCase": BOOLEAN}, ("name", "value")),
    "equals": Signature({"expected": ANY, "actual": ANY}, ("expected", "actual")),
    "isRestartedRun": Signature({}),
    "tag": Signature(_PATTERN, single="pattern"),
    "triggeredBy": Signature({"cause": STRING, "detail": ANY}, ("cause",)),
}  # fmt: skip
_GROUPS = frozenset({"allOf", "anyOf", "not"})
_KNOWN = sorted([*CONDITIONS, *_GROUPS, "expression"])
_SWITCHES = frozenset({"beforeAgent", "beforeInput", "beforeOptions"})


def read_when(reader: Reader, call: n.Call) -> When | None:
    """The conditions and switches of `when`."""
    closure = reader.block(call, "when")
    if closure is None:
        return None
    conditions: list[Condition] = []
    switches: dict[str, bool] = {}
    known_errors = len(reader.errors)
    for statement in closure.body:
        item = reader.call(statement)
        if item is not None and item.target is None and item.name in _SWITCHES:
            switches[str(item.name)] = reader.boolean(item)
        elif (condition := _condition(reader, statement)) is not None:
            conditions.append(condition)
    if not conditions and len(reader.errors) == known_errors:
        reader.error(call.position, "Empty when closure, remove the property or add some content.")
    return When(
        tuple(conditions),
        call.position,
        switches.get("beforeAgent", False),
        switches.get("beforeInput", False),
        switches.get("beforeOptions", False),
    )


def _condition(reader: Reader, statement: n.Statement) -> Condition | None:
    call = reader.call(statement)
    if call is None:
        reader.error(statement.position, "Expected a when condition")
        return None
    name = reader.name(call)
    if name is None:
        return None
    closure = block_of(call)
    if name == "expression":
        if closure is None:
            reader.error(call.position, "When step without a block")
            return None
        return Condition(name, call.position, closure=closure)
    if name in _GROUPS:
        return _group(reader, name, call, closure)
    signature = CONDITIONS.get(name)
    if signature is None:
        reader.error(
            call.position, "Unknown conditional %(name)s. Valid conditionals are: %(known)s",
            name=name, known=", ".join(_KNOWN),
        )  # fmt: skip
        return None
    if closure is not None:
        reader.error(call.position, 'No children when conditions are allowed for when condition "%(name)s".', name=name)
        return None
    condition = Condition(name, call.position, call.args, call.named)
    check_invocation(reader, condition, signature)
    _check_regex(reader, condition)
    return condition


def _group(reader: Reader, name: str, call: n.Call, closure: n.Closure | None) -> Condition | None:
    if closure is None or len(call.args) > 1 or call.named:
        if closure is None and not call.args and not call.named:
            reader.error(
                call.position, 'Nested when condition "%(name)s" requires at least one child condition.', name=name
            )
        else:
            reader.error(
                call.position,
                'No additional arguments are allowed for children when condition "%(name)s".',
                name=name,
            )
        return None
    if name == "not" and len(closure.body) != 1:
        reader.error(
            call.position, 'Nested when condition "%(name)s" requires exactly %(count)s child condition(s).',
            name=name, count=1,
        )  # fmt: skip
        return None
    if not closure.body:
        reader.error(
            call.position, 'Nested when condition "%(name)s" requires at least one child condition.', name=name
        )
        return None
    children = [_condition(reader, statement) for statement in closure.body]
    return Condition(name, call.position, children=tuple(child for child in children if child is not None))


def _check_regex(reader: Reader, condition: Condition) -> None:
    """A changelog pattern is compiled by Jenkins; we only refuse what no engine can read: unbalanced brackets."""
    if condition.name != "changelog":
        return
    pattern = condition.argument("pattern")
    if not isinstance(pattern, n.Literal) or not isinstance(pattern.value, str):
        return
    try:
        re.compile(pattern.value)
    except re.error as problem:
        if "unterminated" in str(problem) or "missing )" in str(problem) or "unbalanced" in str(problem):
            reader.error(
                pattern.position, '"%(pattern)s" is not a valid regular expression. %(why)s',
                pattern=pattern.value, why=str(problem),
            )  # fmt: skip
