"""What Groovy's infix operators make of two values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fangduoduo_release.common.sentence import S

from .errors import GroovyError, NotRunnable, java_names
from .patterns import Matcher, compiled, subject
from .values import (
    Function,
    Thrown,
    arithmetic,
    bounded,
    bounded_items,
    compare,
    is_number,
    minus,
    plus,
    same,
    text_of,
    times,
)

_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "String": lambda v: isinstance(v, str),
    "GString": lambda v: False,
    "CharSequence": lambda v: isinstance(v, str),
    "Integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "Long": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "Number": is_number,
    "BigDecimal": lambda v: is_number(v) and not isinstance(v, int),
    "Boolean": lambda v: isinstance(v, bool),
    "List": lambda v: isinstance(v, list),
    "ArrayList": lambda v: isinstance(v, list),
    "Collection": lambda v: isinstance(v, list),
    "Iterable": lambda v: isinstance(v, list),
    "Map": lambda v: isinstance(v, Mapping),
    "LinkedHashMap": lambda v: isinstance(v, Mapping),
    "Closure": lambda v: isinstance(v, Function),
    "Object": lambda v: v is not None,
}


def apply(operator: str, left: Any, right: Any) -> Any:
    """The value of `left operator right`; for `instanceof` right is the type's name."""
    function = _OPERATORS.get(operator)
    return arithmetic(operator, left, right) if function is None else function(left, right)


def negate(value: Any) -> Any:
    """`-value`."""
    if not is_number(value):
        raise GroovyError(S("Only numbers have a negative."), java_names("MissingMethodException"))
    return -value


def _contains(item: Any, collection: Any) -> bool:
    if isinstance(collection, list | tuple):
        return any(same(item, other) for other in collection)
    if isinstance(collection, Mapping):
        return isinstance(item, str | int) and item in collection
    if isinstance(collection, re.Pattern):
        return _matches(item, collection)
    return same(item, collection)


def _matches(text: Any, pattern: Any) -> bool:
    expression = pattern if isinstance(pattern, re.Pattern) else compiled(text_of(pattern))
    return text is not None and expression.fullmatch(subject(text_of(text))) is not None


def _found(text: Any, pattern: Any) -> Matcher:
    return Matcher(pattern.pattern if isinstance(pattern, re.Pattern) else text_of(pattern), text_of(text))


def _append(left: Any, right: Any) -> Any:
    if isinstance(left, list):
        bounded_items(len(left) + 1)
        left.append(right)
        return left
    return bounded(left + text_of(right)) if isinstance(left, str) else arithmetic("<<", left, right)


def _is_kind(value: Any, name: str) -> bool:
    simple = name.rpartition(".")[2]
    if isinstance(value, Thrown):
        return simple in value.error.type_names
    if simple not in _KINDS:
        if simple.endswith(("Exception", "Error", "Throwable")):
            return False
        raise NotRunnable(S("The type “%(name)s” is not known in the embedded builder.", name=name))
    return _KINDS[simple](value)


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": plus,
    "-": minus,
    "*": times,
    "<<": _append,
    "==": same,
    "!=": lambda a, b: not same(a, b),
    "===": lambda a, b: a is b,
    "!==": lambda a, b: a is not b,
    "<=>": compare,
    "<": lambda a, b: compare(a, b) < 0,
    "<=": lambda a, b: compare(a, b) <= 0,
    ">": lambda a, b: compare(a, b) > 0,
    ">=": lambda a, b: compare(a, b) >= 0,
    "in": _contains,
    "!in": lambda a, b: not _contains(a, b),
    "instanceof": _is_kind,
    "!instanceof": lambda a, b: not _is_kind(a, b),
    "==~": _matches,
    "=~": _found,
}
