"""JSON merge patch, strategic merge patch and JSON patch."""

from __future__ import annotations

from typing import Any

from .fields import key_of
from .kinds import Object
from .schema import ANY, DEFAULT_KEYS, Type
from .status import Refused, bad_request

# What kubectl merges by one key alone where server-side apply takes two.
_ONE_KEY = {"containerPort": ("containerPort",), "port": ("port",), "topologyKey": ("topologyKey",)}


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def strategic(target: Any, patch: Any, type_: Type) -> Any:
    if isinstance(patch, dict):
        return _strategic_map(target, patch, type_)
    if isinstance(patch, list) and type_.form == "keyed":
        return _strategic_list(target if isinstance(target, list) else [], patch, type_)
    if isinstance(patch, list) and type_.form == "set":
        return [*(target or []), *(each for each in patch if each not in (target or []))]
    return patch


def _strategic_map(target: Any, patch: Object, type_: Type) -> Any:
    directive = patch.get("$patch")
    rest = {name: value for name, value in patch.items() if not name.startswith("$")}
    if directive == "replace":
        return rest
    if directive == "delete":
        return None
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in rest.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = strategic(result.get(name), value, type_.of(name))
    for name, gone in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [each for each in result.get(field) or [] if each not in gone]
    return {name: value for name, value in result.items() if value is not None}


def _strategic_list(target: list[Any], patch: list[Any], type_: Type) -> list[Any]:
    keys = _ONE_KEY.get(type_.keys[0], type_.keys)
    narrow = Type("keyed", item=type_.item, keys=keys)
    if any(each == {"$patch": "replace"} for each in patch):
        return [each for each in patch if each != {"$patch": "replace"}]
    result = {key_of(each, narrow): each for each in target}
    for each in patch:
        if not all(name in each or name in DEFAULT_KEYS for name in keys):
            raise bad_request(f"map: {each} does not contain declared merge key: {keys[0]}")
        key = key_of(each, narrow)
        if each.get("$patch") == "delete":
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), each, type_.item or ANY)
    return list(result.values())


def pointed(target: Any, steps: Any) -> Any:
    """RFC 6902."""
    if not isinstance(steps, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    for step in steps:
        names = [name.replace("~1", "/").replace("~0", "~") for name in step["path"].split("/")[1:]]
        try:
            _step(target, step, names)
        except (KeyError, IndexError, ValueError, TypeError):
            said = f"the server rejected our request due to an error in our request: {step['op']} {step['path']}"
            raise Refused(422, "Invalid", said, {}) from None
    return target


def _step(target: Any, step: Object, names: list[str]) -> None:
    holder = target
    for name in names[:-1]:
        holder = holder[int(name)] if isinstance(holder, list) else holder[name]
    last: Any = names[-1]
    if isinstance(holder, list):
        last = len(holder) if last == "-" else int(last)
    operation = step["op"]
    if operation == "test":
        if holder[last] != step["value"]:
            raise ValueError(last)
    elif operation == "remove":
        del holder[last]
    elif operation == "add" and isinstance(holder, list):
        holder.insert(last, step["value"])
    elif operation == "add":
        holder[last] = step["value"]
    elif operation == "replace":
        holder[last]
        holder[last] = step["value"]
    else:
        raise ValueError(operation)
