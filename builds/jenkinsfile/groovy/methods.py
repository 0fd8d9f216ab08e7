"""Finds the method or property of a value by name: what `value.name(…)` and `value.name` mean.

Everything not listed here or in `methods_text` and `methods_collections` is refused, so a script reaches no file, no
process and none of Python's own attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from fangduoduo_release.common.sentence import S

from .errors import GroovyError, NotRunnable, java_names, missing_property, null_access, wrong_value
from .methods_collections import LIST_CLOSURE_METHODS, LIST_METHODS, MAP_CLOSURE_METHODS, MAP_METHODS, key_of
from .methods_text import (
    NUMBER_CLOSURE_METHODS,
    NUMBER_METHODS,
    TEXT_CLOSURE_METHODS,
    TEXT_METHODS,
    decimal_number,
    whole_number,
)
from .patterns import Matcher
from .values import MAX_TEXT, Function, Native, Thrown, bounded, is_number, kind_of, same, text_of, too_long, truth

Invoke = Callable[..., Any]

_MATCHER: Mapping[str, Callable[..., Any]] = {
    "find": Matcher.find,
    "matches": Matcher.matches,
    "group": Matcher.group,
    "size": len,
    "getCount": len,
    "hasGroup": lambda m: m.pattern.groups > 0,
    "groupCount": lambda m: m.pattern.groups,
}
_DATE_PARTS = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "SSS": "000"}


def _formatted(pattern: str, *values: Any) -> str:
    """`String.format`: `%s`, `%d`, `%05d`, `%.2f`, `%x`, `%%` and `%n`."""
    given = iter(values)
    size = 0

    def put(match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind in "%n":
            return "%" if kind == "%" else "\n"
        if int(width or 0) > 1000 or int((precision or ".0")[1:]) > 100:
            raise wrong_value(S("“%(format)s” is too wide.", format=match.group()))
        value = next(given, None)
        if kind in "sS":
            nonlocal size
            size += len(text_of(value))
            if size > MAX_TEXT:
                raise too_long()
            return ("%" + flags.replace("0", "") + width + (precision or "") + "s") % text_of(value)
        if not is_number(value):
            raise wrong_value(S("“%(format)s” needs a number.", format=match.group()))
        number = Decimal(str(value)) if kind in "fe" else int(str(value).partition(".")[0])
        return ("%" + flags + width + (precision or "") + kind) % number

    return bounded(re.sub(r"%([-0+ ]*)(\d{0,4})(\.\d{1,3})?([sSdfexX%n])", put, text_of(pattern)))


STATICS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "Math": {
        "max": max,
        "min": min,
        "abs": abs,
        "round": lambda v: int(Decimal(str(v)).to_integral_value()),
        "floor": lambda v: Decimal(str(v)).to_integral_value(ROUND_FLOOR),
        "ceil": lambda v: Decimal(str(v)).to_integral_value(ROUND_CEILING),
    },
    "Integer": {"parseInt": whole_number, "valueOf": whole_number, "toString": text_of},
    "Long": {"parseLong": whole_number, "valueOf": whole_number, "toString": text_of},
    "Double": {"parseDouble": decimal_number, "valueOf": decimal_number},
    "BigDecimal": {"valueOf": decimal_number},
    "Boolean": {
        "parseBoolean": lambda v: text_of(v).lower() == "true",
        "valueOf": lambda v: text_of(v).lower() == "true",
    },
    "String": {
        "format": _formatted,
        "valueOf": text_of,
        "join": lambda glue, items: LIST_METHODS["join"](items, glue),
    },
    "System": {"currentTimeMillis": lambda: int(datetime.now(UTC).timestamp() * 1000)},
    "Collections": {"emptyList": list, "emptyMap": dict},
}


def _date_text(value: datetime, pattern: str, *_zone: Any) -> str:
    wanted = re.sub("'([^']*)'", r"\1", pattern) if "'" in pattern else pattern
    return re.sub("yyyy|SSS|yy|MM|dd|HH|mm|ss", lambda m: value.strftime(_DATE_PARTS[m.group()]), wanted)


def call_method(invoke: Invoke, value: Any, name: str, args: list[Any]) -> Any:
    """Calls a method of a value; GroovyError when it has none of that name or the arguments do not fit."""
    if value is None:
        raise null_access(f"{name}()")
    if name == "toString" and not args:
        return text_of(value)
    if name == "equals" and len(args) == 1:
        return same(value, args[0])
    if name == "hashCode" and not args:
        return hash(text_of(value)) & 0x7FFFFFFF
    if name == "getClass" and not args:
        return {"name": kind_of(value), "simpleName": kind_of(value)}
    function = _method(invoke, value, name)
    if function is None:
        if name.startswith("get") and len(name) > 3 and not args:
            return property_of(value, name[3].lower() + name[4:])
        raise _no_method(value, name, args)
    try:
        return function(*args)
    except (TypeError, AttributeError, ValueError, IndexError, KeyError, ArithmeticError):
        raise _no_method(value, name, args) from None


def _no_method(value: Any, name: str, args: list[Any]) -> GroovyError:
    return GroovyError(
        S("No signature of method: %(type)s.%(name)s() is applicable for argument types: (%(types)s)",
          type=kind_of(value), name=name, types=", ".join(map(kind_of, args))),
        java_names("groovy.lang.MissingMethodException"),
    )  # fmt: skip


def _bind(function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    return lambda *rest: function(*first, *rest)


def _method(invoke: Invoke, value: Any, name: str) -> Callable[..., Any] | None:
    if isinstance(value, Function | Native):
        return _bind(invoke, value) if name in ("call", "doCall") else None
    if isinstance(value, str):
        return _from(TEXT_METHODS, TEXT_CLOSURE_METHODS, invoke, value, name)
    if isinstance(value, bool):
        return (lambda: value) if name in ("booleanValue", "toBoolean") else None
    if is_number(value):
        return _from(NUMBER_METHODS, NUMBER_CLOSURE_METHODS, invoke, value, name)
    if isinstance(value, list | tuple):
        return _from(LIST_METHODS, LIST_CLOSURE_METHODS, invoke, value, name)
    if isinstance(value, Matcher):
        return (
            _bind(_MATCHER[name], value)
            if name in _MATCHER
            else _from(LIST_METHODS, LIST_CLOSURE_METHODS, invoke, value.items(), name)
        )
    if isinstance(value, datetime):
        if name == "format":
            return _bind(_date_text, value)
        return (lambda: int(value.timestamp() * 1000)) if name == "getTime" else None
    if isinstance(value, Mapping):
        return _map_method(invoke, value, name)
    return None


def _map_method(invoke: Invoke, value: Mapping[Any, Any], name: str) -> Callable[..., Any] | None:
    if isinstance(value.get(name), Function):
        return _bind(invoke, value[name])

    def pair(closure: Any, key: Any, item: Any) -> Any:
        two = isinstance(closure, Function) and closure.parameters is not None and len(closure.parameters) >= 2
        return invoke(closure, key, item) if two else invoke(closure, {"key": key, "value": item})

    if name in ("getProperty", "getEnvironment"):
        return (lambda key: value.get(key)) if name == "getProperty" else (lambda: dict(value))
    return _from(MAP_METHODS, MAP_CLOSURE_METHODS, invoke, value, name, pair)


def _from(
    plain: Mapping[str, Callable[..., Any]],
    closures: Mapping[str, Callable[..., Any]],
    invoke: Invoke,
    value: Any,
    name: str,
    call: Callable[..., Any] | None = None,
) -> Callable[..., Any] | None:
    function = closures.get(name)
    if function is not None and not (name in plain and name == "count"):
        with_closure, simple = _bind(function, call or invoke, value), plain.get(name)
        if simple is None:
            return with_closure
        fallback = _bind(simple, value)
        return lambda *args: (with_closure if any(isinstance(a, Function | Native) for a in args) else fallback)(*args)
    function = plain.get(name)
    return None if function is None else _bind(function, value)


def property_of(value: Any, name: str) -> Any:
    """The value of `value.name`; of a list, those of its items."""
    if value is None:
        raise null_access(name)
    if isinstance(value, Mapping):
        return value.get(name)
    if name == "class":
        return {"name": kind_of(value), "simpleName": kind_of(value)}
    if isinstance(value, list | tuple):
        return [property_of(item, name) for item in value]
    if isinstance(value, Thrown):
        known: dict[str, Any] = {
            "message": value.message,
            "localizedMessage": value.message,
            "cause": None,
            "stackTrace": [],
        }
        if name in known:
            return known[name]
    raise missing_property(name)


def set_property(value: Any, name: str, new: Any) -> None:
    """`value.name = new`; only maps (env among them) take it."""
    if value is None:
        raise null_access(name)
    if not isinstance(value, MutableMapping):
        raise GroovyError(
            S("Cannot set “%(name)s” of %(type)s", name=name, type=kind_of(value)),
            java_names("groovy.lang.ReadOnlyPropertyException"),
        )
    value[name] = new


def item_of(value: Any, index: Any) -> Any:
    """The value of `value[index]`."""
    if value is None:
        raise null_access(text_of(index))
    if isinstance(value, Mapping):
        return value.get(key_of(index))
    if isinstance(index, list):
        picked = [item_of(value, one) for one in index]
        return "".join(picked) if isinstance(value, str) else picked
    if isinstance(index, bool) or not isinstance(index, int):
        return property_of(value, text_of(index))
    if isinstance(value, Matcher):
        return value.item(index)
    if isinstance(value, list | tuple):
        return value[index] if -len(value) <= index < len(value) else None
    if isinstance(value, str):
        if -len(value) <= index < len(value):
            return value[index]
        raise wrong_value(
            S("String index out of range: %(index)s", index=index), "java.lang.StringIndexOutOfBoundsException"
        )
    raise _no_method(value, "getAt", [index])


def slice_of(value: Any, low: Any, high: Any, inclusive: bool) -> Any:
    """`value[low..high]` of a text or list, negative places counted from the end."""
    if not isinstance(value, str | list | tuple) or not isinstance(low, int) or not isinstance(high, int):
        raise wrong_value(S("Only texts and lists have ranges."))
    size = len(value)
    start = low + size if low < 0 else low
    end = high + size if high < 0 else high
    if not inclusive and high >= 0:
        end -= 1
    if not 0 <= start <= size or not -1 <= end < size:
        raise wrong_value(
            S("The range %(low)s..%(high)s is outside of %(size)s items.", low=low, high=high, size=size),
            "java.lang.IndexOutOfBoundsException",
        )
    return value[start : end + 1] if end >= start - 1 else value[end : start + 1][::-1]


def convert(type_name: str, value: Any) -> Any:
    """`value as Type` and `(Type) value`."""
    simple = type_name.rpartition(".")[2]
    if simple in ("String", "GString", "CharSequence"):
        return None if value is None else text_of(value)
    if simple in ("int", "Integer", "long", "Long", "BigInteger", "short", "byte"):
        if value is None or isinstance(value, int):
            return value
        return int(value) if is_number(value) else whole_number(value)
    if simple in ("double", "Double", "float", "Float", "BigDecimal"):
        return Decimal(str(value)) if is_number(value) else decimal_number(value)
    if simple in ("boolean", "Boolean"):
        return truth(value)
    if simple in (
        "List",
        "ArrayList",
        "Collection",
        "Set",
        "HashSet",
        "LinkedHashSet",
        "String[]",
        "Object[]",
        "int[]",
    ):
        return LIST_METHODS["toSet"](list(value)) if "Set" in simple else list(value or [])
    if simple in ("Map", "HashMap", "LinkedHashMap", "Object", "def", "Closure"):
        return value
    raise NotRunnable(S("Values cannot be converted to “%(type)s” in the embedded builder.", type=type_name))
