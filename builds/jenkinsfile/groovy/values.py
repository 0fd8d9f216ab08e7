"""Groovy's values as Python's, and what its operators make of them, in bounds.

null, booleans, texts, numbers (int, Decimal), list, dict, plus the few classes below. Knows no nodes' meaning beyond
what a function needs to be called again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, DivisionByZero, InvalidOperation, localcontext
from typing import Any

from fangduoduo_release.common.sentence import S

from .errors import GroovyError, NotRunnable, java_names, wrong_value
from .nodes import Parameter, Statement

MAX_TEXT = 4 * 1024 * 1024
MAX_ITEMS = 100_000
_MAX_BITS = 4096


@dataclass(slots=True)
class Frame:
    """The local variables of a block and, by `parent`, of the blocks around it."""

    parent: Frame | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def holder(self, name: str) -> dict[str, Any] | None:
        """The variables that hold `name`, or None."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.values:
                return frame.values
            frame = frame.parent
        return None


@dataclass(frozen=True, slots=True)
class Function:
    """A closure or method: its code and where it was written. Whoever calls it runs it."""

    parameters: tuple[Parameter, ...] | None
    body: tuple[Statement, ...]
    frame: Frame | None
    is_method: bool = False


@dataclass(frozen=True, slots=True)
class Native:
    """A method of a value, taken as a closure (`list.&add`)."""

    call: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Thrown:
    """An exception as a script holds it; `error` is thrown again as it came."""

    error: GroovyError

    @property
    def message(self) -> str:
        return str(self.error.sentence)


def truth(value: Any) -> bool:
    """Groovy's truth: null, empty texts and collections, and zero are false."""
    return bool(value)


def text_of(value: Any) -> str:
    """As Groovy prints it: `null`, `true`, `[a, b]`, `[k:v]`; bounded."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Thrown):
        return f"{value.error.type_names[0]}: {value.message}"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Function | Native):
        return "closure"
    if isinstance(value, list | tuple | Mapping):
        return _collection_text(value, 0)
    return bounded(str(value))


def _collection_text(value: Any, depth: int) -> str:
    if depth > 20:
        return "(...)"
    parts: list[str] = []
    size = 0
    is_map = isinstance(value, Mapping)
    for item in value.items() if is_map else value:
        shown = ":".join(_item_text(part, depth) for part in item) if is_map else _item_text(item, depth)
        size += len(shown) + 2
        if size > MAX_TEXT:
            raise too_long()
        parts.append(shown)
    return "[" + (", ".join(parts) or (":" if is_map else "")) + "]"


def _item_text(value: Any, depth: int) -> str:
    return _collection_text(value, depth + 1) if isinstance(value, list | tuple | Mapping) else text_of(value)


def too_long() -> NotRunnable:
    return NotRunnable(S("A text in the script is longer than %(limit)s KiB.", limit=MAX_TEXT // 1024))


def bounded(text: str) -> str:
    """`text`, unless it is too long."""
    if len(text) > MAX_TEXT:
        raise too_long()
    return text


def bounded_items(count: int) -> None:
    """Refuses collections that are too large."""
    if count > MAX_ITEMS:
        raise NotRunnable(S("A collection in the script has more than %(limit)s items.", limit=MAX_ITEMS))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def same(left: Any, right: Any) -> bool:
    """Groovy's `==`: numbers by value, a text is never a number, true is never 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def compare(left: Any, right: Any) -> int:
    """Groovy's `<=>`: -1, 0 or 1; null is least."""
    if left is None or right is None:
        return (left is not None) - (right is not None)
    comparable = (
        (is_number(left) and is_number(right))
        or (isinstance(left, str) and isinstance(right, str))
        or (isinstance(left, bool) and isinstance(right, bool))
    )
    if not comparable:
        raise wrong_value(
            S("Cannot compare %(left)s with %(right)s", left=kind_of(left), right=kind_of(right)),
            "java.lang.IllegalArgumentException",
        )
    return int(left > right) - int(left < right)


def kind_of(value: Any) -> str:
    """The Java class a person would expect to read."""
    if isinstance(value, Thrown):
        return value.error.type_names[0]
    table: tuple[tuple[type, str], ...] = (
        (bool, "Boolean"), (str, "String"), (int, "Integer"), (Decimal, "BigDecimal"), (float, "Double"),
        (Mapping, "Map"), (list, "List"), (tuple, "List"), (Function, "Closure"), (Native, "Closure"),
    )  # fmt: skip
    return "null" if value is None else next((name for kind, name in table if isinstance(value, kind)), "Object")


# --- operators ------------------------------------------------------------------------------------------------------


def plus(left: Any, right: Any) -> Any:
    """`+` on numbers, texts, lists and maps."""
    if is_number(left) and is_number(right):
        return arithmetic("+", left, right)
    if isinstance(left, str) or isinstance(right, str):
        return bounded(text_of(left) + text_of(right))
    if isinstance(left, list):
        extra = right if isinstance(right, list | tuple) else [right]
        bounded_items(len(left) + len(extra))
        return [*left, *extra]
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return {**left, **right}
    raise _no_operation("+", left, right)


def minus(left: Any, right: Any) -> Any:
    """`-` on numbers, texts (removes the first occurrence), lists and maps."""
    if isinstance(left, str):
        return left.replace(text_of(right), "", 1)
    if isinstance(left, list):
        gone = right if isinstance(right, list | tuple) else [right]
        return [item for item in left if not any(same(item, other) for other in gone)]
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return {key: value for key, value in left.items() if key not in right}
    return arithmetic("-", left, right)


def times(left: Any, right: Any) -> Any:
    """`*` on numbers; a text or list times a number is repeated."""
    if isinstance(left, str | list) and isinstance(right, int) and not isinstance(right, bool):
        if right < 0:
            raise wrong_value(S("times() should be called with a number of 0 or greater value."))
        if isinstance(left, str):
            if len(left) * right > MAX_TEXT:
                raise too_long()
        else:
            bounded_items(len(left) * right)
        return left * right
    return arithmetic("*", left, right)


def arithmetic(operator: str, left: Any, right: Any) -> Any:
    """Numbers only; division gives a decimal, as in Groovy, or a whole number when it goes even."""
    if not (is_number(left) and is_number(right)):
        raise _no_operation(operator, left, right)
    left = Decimal(repr(left)) if isinstance(left, float) else left
    right = Decimal(repr(right)) if isinstance(right, float) else right
    try:
        with localcontext(prec=40):
            return _sized(_ARITHMETIC[operator](left, right))
    except (DivisionByZero, ZeroDivisionError, InvalidOperation):
        raise GroovyError(S("Division by zero"), java_names("java.lang.ArithmeticException")) from None
    except OverflowError:
        raise _too_big() from None


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and right and left % right == 0:
        return left // right
    return (Decimal(left) / Decimal(right)).normalize()


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return Decimal(left) % Decimal(right)


def _power(left: Any, right: Any) -> Any:
    if not isinstance(left, int) or not isinstance(right, int) or right < 0:
        return Decimal(left) ** Decimal(right)
    if abs(left) > 1 and left.bit_length() * right > _MAX_BITS:
        raise _too_big()
    return left**right


def _shift(left: Any, right: Any, direction: int) -> Any:
    if not isinstance(left, int) or not isinstance(right, int) or not 0 <= right <= 64:
        raise _no_operation("<<", left, right)
    return left << right if direction > 0 else left >> right


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _modulo,
    "**": _power,
    "<<": lambda a, b: _shift(a, b, 1),
    ">>": lambda a, b: _shift(a, b, -1),
    ">>>": lambda a, b: _shift(a, b, -1),
    "&": lambda a, b: int(a) & int(b),
    "|": lambda a, b: int(a) | int(b),
    "^": lambda a, b: int(a) ^ int(b),
}


def _sized(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise _too_big()
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 1000):
        raise _too_big()
    return value


def _too_big() -> NotRunnable:
    return NotRunnable(S("A number in the script is too large."))


def _no_operation(operator: str, left: Any, right: Any) -> GroovyError:
    return GroovyError(
        S("“%(operator)s” does not fit %(left)s and %(right)s",
          operator=operator, left=kind_of(left), right=kind_of(right)),
        java_names("groovy.lang.MissingMethodException"),
    )  # fmt: skip
