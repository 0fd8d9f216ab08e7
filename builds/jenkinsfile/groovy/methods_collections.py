"""Methods of lists and maps that scripts use, by name. `invoke(closure, *arguments)` calls a closure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any

from fangduoduo_release.common.sentence import S

from .errors import wrong_value
from .values import (
    MAX_TEXT,
    Function,
    bounded_items,
    compare,
    is_number,
    minus,
    plus,
    same,
    text_of,
    too_long,
    truth,
)

Invoke = Callable[..., Any]


def _index(items: list[Any], value: Any) -> int:
    return next((at for at, item in enumerate(items) if same(item, value)), -1)


def _join(items: list[Any], separator: Any = "") -> str:
    parts = [text_of(item) for item in items]
    glue = text_of(separator)
    if sum(map(len, parts)) + len(glue) * len(parts) > MAX_TEXT:
        raise too_long()
    return glue.join(parts)


def _add(items: list[Any], *values: Any) -> bool:
    bounded_items(len(items) + 1)
    if len(values) == 2:
        items.insert(values[0], values[1])
    else:
        items.append(*values)
    return True


def _add_all(items: list[Any], values: Any) -> bool:
    bounded_items(len(items) + len(values))
    items.extend(values)
    return bool(values)


def _remove(items: list[Any], value: Any) -> Any:
    if is_number(value):
        return items.pop(value) if -len(items) <= value < len(items) else _out_of_range(value, items)
    at = _index(items, value)
    if at >= 0:
        del items[at]
    return at >= 0


def _out_of_range(index: Any, items: list[Any]) -> Any:
    raise wrong_value(
        S("Index: %(index)s, Size: %(size)s", index=int(index), size=len(items)), "java.lang.IndexOutOfBoundsException"
    )


def _get(items: list[Any], index: int, default: Any = None) -> Any:
    return items[index] if -len(items) <= index < len(items) else default


def _edge(items: list[Any], at: int) -> Any:
    return items[at] if items else _out_of_range(0, items)


def _unique(items: list[Any]) -> list[Any]:
    out: list[Any] = []
    for item in items:
        if _index(out, item) < 0:
            out.append(item)
        bounded_items(len(out) * 50)
    return out


def _flat(items: Any, depth: int = 0) -> list[Any]:
    out: list[Any] = []
    for item in items:
        if isinstance(item, list | tuple) and depth < 50:
            out.extend(_flat(item, depth + 1))
        else:
            out.append(item)
        bounded_items(len(out))
    return out


def _sum(items: list[Any]) -> Any:
    total: Any = None
    for item in items:
        total = item if total is None else plus(total, item)
    return total


def _pop(items: list[Any]) -> Any:
    return items.pop() if items else _out_of_range(0, items)


LIST_METHODS: Mapping[str, Callable[..., Any]] = {
    "size": len,
    "isEmpty": lambda items: not items,
    "contains": lambda items, value: _index(items, value) >= 0,
    "containsAll": lambda items, values: all(_index(items, value) >= 0 for value in values),
    "indexOf": _index,
    "join": _join,
    "add": _add,
    "push": lambda items, value: _add(items, value),
    "leftShift": lambda items, value: (_add(items, value), items)[1],
    "addAll": _add_all,
    "remove": _remove,
    "removeAll": lambda items, values: _replace(items, minus(items, values)),
    "pop": _pop,
    "clear": lambda items: items.clear(),
    "get": _get,
    "getAt": _get,
    "first": lambda items: _edge(items, 0),
    "head": lambda items: _edge(items, 0),
    "last": lambda items: _edge(items, -1),
    "tail": lambda items: items[1:],
    "init": lambda items: items[:-1],
    "take": lambda items, count: items[: max(0, count)],
    "drop": lambda items, count: items[max(0, count) :],
    "subList": lambda items, start, end: items[start:end],
    "reverse": lambda items: items[::-1],
    "flatten": _flat,
    "toList": list,
    "toSet": _unique,
    "plus": plus,
    "minus": minus,
    "asImmutable": list,
    "withIndex": lambda items: [[item, at] for at, item in enumerate(items)],
    "intersect": lambda items, other: [item for item in items if _index(list(other), item) >= 0],
    "transpose": lambda items: [list(row) for row in zip(*items, strict=False)],
    "collate": lambda items, size: [items[at : at + max(1, size)] for at in range(0, len(items), max(1, size))],
    "iterator": list,
}


def _replace(items: list[Any], now: list[Any]) -> bool:
    changed = len(items) != len(now)
    items[:] = now
    return changed


def _sorted(invoke: Invoke, items: list[Any], *rest: Any) -> list[Any]:
    closure = next((item for item in rest if isinstance(item, Function)), None)
    if closure is None:
        out = sorted(items, key=cmp_to_key(compare))
    elif closure.parameters is not None and len(closure.parameters) == 2:
        out = sorted(items, key=cmp_to_key(lambda a, b: int(invoke(closure, a, b))))
    else:
        out = sorted(items, key=cmp_to_key(lambda a, b: compare(invoke(closure, a), invoke(closure, b))))
    if rest[:1] != (False,):
        items[:] = out
    return out


def _best(invoke: Invoke, items: list[Any], closure: Any, wanted: int) -> Any:
    best: Any = None
    for at, item in enumerate(items):
        left = invoke(closure, item) if closure else item
        if at == 0 or compare(left, invoke(closure, best) if closure else best) == wanted:
            best = item
    return best


def _each(invoke: Invoke, items: Any, closure: Any) -> Any:
    for item in list(items):
        invoke(closure, item)
    return items


def _each_with_index(invoke: Invoke, items: Any, closure: Any) -> Any:
    for at, item in enumerate(list(items)):
        invoke(closure, item, at)
    return items


def _inject(invoke: Invoke, items: list[Any], *rest: Any) -> Any:
    closure = rest[-1]
    values = list(items)
    total = rest[0] if len(rest) > 1 else (values.pop(0) if values else None)
    for item in values:
        total = invoke(closure, total, item)
    return total


def _group(invoke: Invoke, items: list[Any], closure: Any) -> dict[Any, list[Any]]:
    out: dict[Any, list[Any]] = {}
    for item in items:
        out.setdefault(key_of(invoke(closure, item)), []).append(item)
    return out


def _pairs(invoke: Invoke, items: list[Any], closure: Any) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    for item in items:
        made = invoke(closure, item)
        out.update(made if isinstance(made, Mapping) else {key_of(made[0]): made[1]})
    return out


def _sum_closure(invoke: Invoke, items: list[Any], closure: Any = None) -> Any:
    return _sum(items if closure is None else [invoke(closure, item) for item in items])


def _match(invoke: Invoke, items: list[Any], closure: Any) -> list[Any]:
    return [item for item in items if _holds(invoke, closure, item)]


def _holds(invoke: Invoke, closure: Any, item: Any) -> bool:
    return truth(item) if closure is None else truth(invoke(closure, item))


LIST_CLOSURE_METHODS: Mapping[str, Callable[..., Any]] = {
    "each": _each,
    "eachWithIndex": _each_with_index,
    "collect": lambda invoke, items, closure=None: [invoke(closure, i) if closure else i for i in items],
    "collectMany": lambda invoke, items, closure: [x for i in items for x in invoke(closure, i)],
    "collectEntries": _pairs,
    "find": lambda invoke, items, closure=None: next(iter(_match(invoke, items, closure)), None),
    "findAll": lambda invoke, items, closure=None: _match(invoke, items, closure),
    "findIndexOf": lambda invoke, items, closure: next((at for at, i in enumerate(items) if _holds(invoke, closure, i)), -1),
    "grep": lambda invoke, items, closure=None: _match(invoke, items, closure),
    "any": lambda invoke, items, closure=None: any(_holds(invoke, closure, i) for i in items),
    "every": lambda invoke, items, closure=None: all(_holds(invoke, closure, i) for i in items),
    "count": lambda invoke, items, what: sum(
        _holds(invoke, what, i) if isinstance(what, Function) else same(i, what) for i in items
    ),
    "sort": _sorted,
    "toSorted": lambda invoke, items, *rest: _sorted(invoke, list(items), *rest),
    "unique": lambda invoke, items, closure=None: _unique(items),
    "max": lambda invoke, items, closure=None: _best(invoke, items, closure, 1),
    "min": lambda invoke, items, closure=None: _best(invoke, items, closure, -1),
    "sum": _sum_closure,
    "inject": _inject,
    "groupBy": _group,
    "removeIf": lambda invoke, items, closure: _replace(items, [i for i in items if not truth(invoke(closure, i))]),
    "split": lambda invoke, items, closure: [
        _match(invoke, items, closure), [i for i in items if not truth(invoke(closure, i))],
    ],
}  # fmt: skip


def key_of(value: Any) -> Any:
    """A value that can be a key of a map."""
    if value is None or isinstance(value, str | int | bool) or is_number(value):
        return value
    return text_of(value)


def _put(entries: dict[Any, Any], key: Any, value: Any) -> Any:
    bounded_items(len(entries) + 1)
    before = entries.get(key_of(key))
    entries[key_of(key)] = value
    return before


def _put_all(entries: dict[Any, Any], other: Mapping[Any, Any]) -> None:
    bounded_items(len(entries) + len(other))
    entries.update(other)


MAP_METHODS: Mapping[str, Callable[..., Any]] = {
    "size": len,
    "isEmpty": lambda entries: not entries,
    "get": lambda entries, key, default=None: entries.get(key_of(key), default),
    "getOrDefault": lambda entries, key, default: entries.get(key_of(key), default),
    "getAt": lambda entries, key: entries.get(key_of(key)),
    "put": _put,
    "putAt": _put,
    "putAll": _put_all,
    "containsKey": lambda entries, key: key_of(key) in entries,
    "containsValue": lambda entries, value: _index(list(entries.values()), value) >= 0,
    "remove": lambda entries, key: entries.pop(key_of(key), None),
    "clear": lambda entries: entries.clear(),
    "keySet": list,
    "values": lambda entries: list(entries.values()),
    "entrySet": lambda entries: [{"key": k, "value": v} for k, v in entries.items()],
    "plus": plus,
    "minus": minus,
    "subMap": lambda entries, keys: {key: entries[key] for key in keys if key in entries},
}

# Over entries: a closure of two parameters gets key and value, any other the entry.
MAP_CLOSURE_METHODS: Mapping[str, Callable[..., Any]] = {
    "each": lambda pair, m, closure: [pair(closure, k, v) for k, v in list(m.items())][-1:] and m,
    "collect": lambda pair, m, closure: [pair(closure, k, v) for k, v in m.items()],
    "collectEntries": lambda pair, m, closure: _pairs(lambda c, i: pair(c, i[0], i[1]), list(m.items()), closure),
    "find": lambda pair, m, closure: next(
        ({"key": k, "value": v} for k, v in m.items() if truth(pair(closure, k, v))), None
    ),
    "findAll": lambda pair, m, closure: {k: v for k, v in m.items() if truth(pair(closure, k, v))},
    "any": lambda pair, m, closure: any(truth(pair(closure, k, v)) for k, v in m.items()),
    "every": lambda pair, m, closure: all(truth(pair(closure, k, v)) for k, v in m.items()),
    "count": lambda pair, m, closure: sum(truth(pair(closure, k, v)) for k, v in m.items()),
    "sort": lambda pair, m, *rest: {key: m[key] for key in sorted(m, key=cmp_to_key(compare))},
}
