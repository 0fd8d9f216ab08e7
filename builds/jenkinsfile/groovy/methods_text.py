"""Methods of texts and numbers that scripts use, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from fangduoduo_release.common.sentence import S

from .errors import GroovyError, wrong_value
from .patterns import Matcher, compiled, replacement, subject
from .values import MAX_TEXT, Function, Native, bounded, bounded_items, same, text_of, times, too_long

# What calls a closure with arguments.
Invoke = Callable[..., Any]


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise wrong_value(
            S("begin %(begin)s, end %(end)s, length %(length)s", begin=start, end=stop, length=len(text)),
            "java.lang.StringIndexOutOfBoundsException",
        )
    return text[start:stop]


def _split(text: str, pattern: Any = None, limit: int = 0) -> list[str]:
    if pattern is None:
        return text.split()
    if text == "":
        return [""]
    parts = compiled(text_of(pattern)).split(subject(text), maxsplit=limit - 1 if limit > 0 else 0)
    out = [part for part in parts if part is not None]
    if limit == 0:
        while len(out) > 1 and out[-1] == "":
            out.pop()
    return out


def _tokenize(text: str, characters: Any = None) -> list[str]:
    if characters is None:
        return text.split()
    return [part for part in re.split("[" + re.escape(text_of(characters)) + "]", text) if part]


def _replace_all(text: str, pattern: Any, by: Any, invoke: Invoke, count: int = 0) -> str:
    found = compiled(text_of(pattern))
    if isinstance(by, Function | Native):
        size = 0

        def replaced(match: re.Match[str]) -> str:
            nonlocal size
            made = text_of(invoke(by, match.group(0), *match.groups()))
            size += len(made)
            if size > MAX_TEXT:
                raise too_long()
            return made

        return bounded(found.sub(replaced, subject(text), count=count))
    plain = text_of(by)
    hits = sum(1 for _ in found.finditer(subject(text)))
    if (min(hits, count) if count else hits) * len(plain) > MAX_TEXT:
        raise too_long()
    if "\\" not in plain and "$" not in plain:
        return bounded(found.sub(lambda _match: plain, text, count=count))
    try:
        return bounded(found.sub(replacement(plain), text, count=count))
    except (re.error, IndexError):
        raise wrong_value(S("No such group in “%(text)s”", text=text_of(by))) from None


def _replaced(text: str, old: str, new: str) -> str:
    if (text.count(old) if old else len(text) + 1) * len(new) > MAX_TEXT:
        raise too_long()
    return bounded(text.replace(old, new))


def _padded(text: str, size: int, filler: Any, side: str) -> str:
    if size > MAX_TEXT:
        raise too_long()
    fill = text_of(filler)
    missing = size - len(text)
    if missing <= 0 or not fill:
        return text
    if side == "center":
        before = missing // 2
        return _fill(fill, before) + text + _fill(fill, missing - before)
    return _fill(fill, missing) + text if side == "left" else text + _fill(fill, missing)


def _fill(fill: str, size: int) -> str:
    return (fill * (size // len(fill) + 1))[:size]


def whole_number(value: Any) -> int:
    """`toInteger()`; GroovyError for what is no whole number."""
    text = text_of(value).strip()
    if re.fullmatch(r"[+-]?\d{1,40}", text):
        return int(text)
    raise wrong_value(S('For input string: "%(text)s"', text=text[:80]), "java.lang.NumberFormatException")


def decimal_number(value: Any) -> Decimal:
    """`toBigDecimal()` and the like."""
    text = text_of(value).strip()
    try:
        if len(text) <= 80 and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text):
            return Decimal(text)
    except InvalidOperation:
        pass
    raise wrong_value(S('For input string: "%(text)s"', text=text[:80]), "java.lang.NumberFormatException")


def _is_number(text: str, check: Callable[[Any], Any]) -> bool:
    try:
        check(text)
    except GroovyError:
        return False
    return True


def _find(text: str, pattern: Any) -> str | None:
    match = compiled(text_of(pattern)).search(subject(text))
    return match.group(0) if match else None


def _expand(text: str) -> list[str]:
    return text.splitlines()


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


def _strip_indent(text: str) -> str:
    lines = text.split("\n")
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    least = min(indents, default=0)
    return "\n".join(line[least:] for line in lines)


def _strip_margin(text: str, margin: str = "|") -> str:
    return "\n".join(re.sub(r"^\s*" + re.escape(text_of(margin)), "", line) for line in text.split("\n"))


TEXT_METHODS: Mapping[str, Callable[..., Any]] = {
    "trim": lambda t: t.strip(),
    "strip": lambda t: t.strip(),
    "stripIndent": lambda t: _strip_indent(t),
    "stripMargin": _strip_margin,
    "size": len,
    "length": len,
    "isEmpty": lambda t: t == "",
    "isBlank": lambda t: t.strip() == "",
    "contains": lambda t, other: text_of(other) in t,
    "startsWith": lambda t, other: t.startswith(text_of(other)),
    "endsWith": lambda t, other: t.endswith(text_of(other)),
    "indexOf": lambda t, other, start=0: t.find(text_of(other), start),
    "lastIndexOf": lambda t, other: t.rfind(text_of(other)),
    "replace": lambda t, old, new: _replaced(t, text_of(old), text_of(new)),
    "minus": lambda t, other: t.replace(text_of(other), "", 1),
    "plus": lambda t, other: bounded(t + text_of(other)),
    "concat": lambda t, other: bounded(t + text_of(other)),
    "multiply": times,
    "toUpperCase": lambda t: t.upper(),
    "toLowerCase": lambda t: t.lower(),
    "capitalize": _capitalize,
    "uncapitalize": lambda t: t[:1].lower() + t[1:],
    "reverse": lambda t: t[::-1],
    "substring": _substring,
    "take": lambda t, count: t[: max(0, count)],
    "drop": lambda t, count: t[max(0, count) :],
    "charAt": lambda t, index: _substring(t, index, index + 1),
    "split": _split,
    "tokenize": _tokenize,
    "readLines": _expand,
    "lines": _expand,
    "toList": list,
    "matches": lambda t, pattern: compiled(text_of(pattern)).fullmatch(subject(t)) is not None,
    "find": _find,
    "count": lambda t, other: t.count(text_of(other)) if text_of(other) else 0,
    "padLeft": lambda t, size, filler=" ": _padded(t, size, filler, "left"),
    "padRight": lambda t, size, filler=" ": _padded(t, size, filler, "right"),
    "center": lambda t, size, filler=" ": _padded(t, size, filler, "center"),
    "toInteger": whole_number,
    "toLong": whole_number,
    "toBigInteger": whole_number,
    "toBigDecimal": decimal_number,
    "toDouble": decimal_number,
    "toFloat": decimal_number,
    "toBoolean": lambda t: t.strip().lower() in ("true", "y", "1"),
    "isInteger": lambda t: _is_number(t, whole_number),
    "isLong": lambda t: _is_number(t, whole_number),
    "isNumber": lambda t: _is_number(t, decimal_number),
    "isBigDecimal": lambda t: _is_number(t, decimal_number),
    "equalsIgnoreCase": lambda t, other: isinstance(other, str) and t.lower() == other.lower(),
    "compareTo": lambda t, other: (t > text_of(other)) - (t < text_of(other)),
    "normalize": lambda t: t.replace("\r\n", "\n").replace("\r", "\n"),
}

# Text methods that may call a closure.
TEXT_CLOSURE_METHODS: Mapping[str, Callable[..., Any]] = {
    "replaceAll": lambda invoke, t, pattern, by: _replace_all(t, pattern, by, invoke),
    "replaceFirst": lambda invoke, t, pattern, by: _replace_all(t, pattern, by, invoke, 1),
    "eachLine": lambda invoke, t, closure: [invoke(closure, line) for line in t.splitlines()][-1:] and None,
    "each": lambda invoke, t, closure: [invoke(closure, char) for char in t][-1:] and t,
    "collect": lambda invoke, t, closure: [invoke(closure, char) for char in t],
    "findAll": lambda invoke, t, pattern: Matcher(text_of(pattern), t).items(),
}


def _rounded(value: Any, digits: int = 0) -> Any:
    exponent = Decimal(1).scaleb(-max(-50, min(50, digits)))
    result = Decimal(str(value)).quantize(exponent, ROUND_HALF_UP)
    return int(result) if digits <= 0 else result


def _times(invoke: Invoke, number: Any, closure: Any) -> None:
    bounded_items(int(number))
    for index in range(int(number)):
        invoke(closure, index)


NUMBER_METHODS: Mapping[str, Callable[..., Any]] = {
    "toInteger": int,
    "toLong": int,
    "intValue": int,
    "longValue": int,
    "toBigInteger": int,
    "toBigDecimal": lambda v: Decimal(str(v)),
    "toDouble": lambda v: Decimal(str(v)),
    "toFloat": lambda v: Decimal(str(v)),
    "doubleValue": lambda v: Decimal(str(v)),
    "abs": abs,
    "round": _rounded,
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "intdiv": lambda a, b: int(a / b) if b else _by_zero(),
    "compareTo": lambda a, b: (a > b) - (a < b),
    "equals": same,
}

NUMBER_CLOSURE_METHODS: Mapping[str, Callable[..., Any]] = {
    "times": _times,
    "upto": lambda invoke, start, end, closure: [invoke(closure, v) for v in _span(start, end)][-1:] and None,
    "downto": lambda invoke, start, end, closure: [invoke(closure, v) for v in _span(end, start)[::-1]][-1:] and None,
}


def _span(low: Any, high: Any) -> range:
    bounded_items(int(high) - int(low))
    return range(int(low), int(high) + 1)


def _by_zero() -> int:
    raise wrong_value(S("Division by zero"), "java.lang.ArithmeticException")
