"""Sets of fields, in the form in which `managedFields` has them (FieldsV1): `{"f:spec": {"f:replicas": {}}}`.

A node without children is in the set; one with children is only if it has the child `.`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .schema import ANY, DEFAULT_KEYS, Type

Fields = dict[str, Any]
Path = tuple[str, ...]


def _member(node: Fields) -> bool:
    return not node or "." in node


def _made(member: bool, children: Fields) -> Fields | None:
    if not children:
        return {} if member else None
    return {".": {}, **children} if member else children


def _children(node: Fields) -> Iterator[tuple[str, Fields]]:
    return ((name, child) for name, child in node.items() if name != ".")


def union(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return other if one is None else one
    children: dict[str, Any] = dict(_children(one))
    for name, child in _children(other):
        children[name] = union(children.get(name), child)
    return _made(_member(one) or _member(other), children)


def difference(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return one
    left = {name: difference(child, other.get(name)) for name, child in _children(one)}
    return _made(_member(one) and not _member(other), {name: node for name, node in left.items() if node is not None})


def intersection(one: Fields | None, other: Fields | None) -> Fields | None:
    if one is None or other is None:
        return None
    both = {name: intersection(child, other[name]) for name, child in _children(one) if name in other}
    return _made(_member(one) and _member(other), {name: node for name, node in both.items() if node is not None})


def at_root(fields: Fields | None) -> Fields | None:
    """The object itself is nobody's."""
    return None if not fields else {name: child for name, child in fields.items() if name != "."} or None


def paths(fields: Fields | None, above: Path = ()) -> Iterator[Path]:
    if fields is None:
        return
    if _member(fields):
        yield above
    for name, child in sorted(_children(fields)):
        yield from paths(child, (*above, name))


def spoken(path: Path) -> str:
    """`.spec.template.spec.containers[name="app"].image`."""
    words = []
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "k":
            pairs = orjson.loads(rest).items()
            words.append(f"[{','.join(f'{name}={orjson.dumps(value).decode()}' for name, value in sorted(pairs))}]")
        else:
            words.append(f".{rest}" if kind == "f" else f"[={rest}]")
    return "".join(words)


def key_of(item: Any, type_: Type) -> str:
    keys = {name: item.get(name, DEFAULT_KEYS.get(name)) for name in type_.keys}
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def of_value(value: Any, type_: Type) -> Fields:
    """All that an applied configuration speaks of."""
    if type_.form in ("struct", "map", "any") and isinstance(value, dict):
        return {f"f:{name}": of_value(each, type_.of(name)) for name, each in value.items()}
    if type_.form == "keyed" and isinstance(value, list):
        item = type_.item or ANY
        return {key_of(each, type_): _whole(each, item) for each in value}
    if type_.form == "set" and isinstance(value, list):
        return {f"v:{orjson.dumps(each).decode()}": {} for each in value}
    return {}


def compared(before: Any, after: Any, type_: Type) -> tuple[Fields | None, Fields | None]:
    """What was added or changed, and what is gone."""
    if before == after:
        return None, None
    if type_.form in ("struct", "map", "any") and isinstance(after, dict) and isinstance(before, dict | None):
        elements = {f"f:{name}": (before or {}).get(name, _NOTHING) for name in {*(before or ()), *after}}
        return _children_compared(elements, {f"f:{name}": each for name, each in after.items()}, type_, before is None)
    if type_.form in ("keyed", "set") and isinstance(after, list) and isinstance(before, list | None):
        old, new = (_elements(each or [], type_) for each in (before, after))
        return _children_compared(dict.fromkeys(new, _NOTHING) | old, new, type_, before is None)
    if after is None:
        return None, of_value(before, type_)
    return {}, None


_NOTHING = object()


def _elements(items: list[Any], type_: Type) -> dict[str, Any]:
    if type_.form == "keyed":
        return {key_of(item, type_): item for item in items}
    return {f"v:{orjson.dumps(item).decode()}": item for item in items}


def _children_compared(old: Fields, new: Fields, type_: Type, fresh: bool) -> tuple[Fields | None, Fields | None]:
    changed: Fields = {}
    gone: Fields = {}
    for name, before in old.items():
        after = new.get(name, _NOTHING)
        child = type_.of(name[2:]) if name.startswith("f:") else type_.item or ANY
        if after is _NOTHING:
            gone[name] = _whole(before, child)
        elif before is _NOTHING and after is None:
            continue  # a null says nothing
        elif before is _NOTHING:
            changed[name] = _added(after, child)
        else:
            more, less = compared(before, after, child)
            if more is not None:
                changed[name] = more
            if less is not None:
                gone[name] = less
    if fresh and changed:
        changed = {".": {}, **changed}
    return (changed or ({} if fresh else None)), gone or None


def _added(value: Any, type_: Type) -> Fields:
    """With everything above it that was not there: the set of an update knows that the map itself is new."""
    found = compared(None, value, type_)[0]
    return {} if found is None else found


def _whole(value: Any, type_: Type) -> Fields:
    fields = of_value(value, type_)
    return {".": {}, **fields} if fields else {}
