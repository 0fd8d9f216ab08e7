"""`managedFields`: who owns which fields, kept as the real server keeps it, and server-side apply that goes by it."""

from __future__ import annotations

from typing import Any

from . import clock
from .conversion import unconvertible
from .fields import Fields, at_root, compared, difference, intersection, key_of, of_value, paths, spoken, union
from .kinds import Kind, Object
from .schema import ALWAYS, ANY, Type, problems, type_of
from .status import Refused, apply_conflict, broken, cause

_NOBODYS: Fields = {
    "f:apiVersion": {}, "f:kind": {},
    "f:metadata": {"f:name": {}, "f:namespace": {}, "f:creationTimestamp": {}, "f:uid": {}, "f:generation": {},
                   "f:resourceVersion": {}, "f:managedFields": {}, "f:selfLink": {}, "f:deletionTimestamp": {},
                   "f:deletionGracePeriodSeconds": {}},
}  # fmt: skip


def _owned(fields: Fields | None) -> Fields | None:
    left = at_root(difference(fields, _NOBODYS))
    if left is not None and left.get("f:metadata") in ({}, {".": {}}):
        left = {name: each for name, each in left.items() if name != "f:metadata"}
    return left or None


def _identity(entry: Object) -> tuple[str, str, str, str]:
    version = "" if entry["operation"] == "Apply" else entry["apiVersion"]
    return entry["manager"], entry["operation"], version, entry.get("subresource", "")


def _sorted(entries: list[Object]) -> list[Object]:
    return sorted(entries, key=lambda entry: (entry["operation"], entry.get("time", "9"), entry["manager"]))


def _entry(kind: Kind, manager: str, operation: str, subresource: str, fields: Fields) -> Object:
    made: Object = {"manager": manager, "operation": operation, "apiVersion": kind.api_version}
    if subresource != "scale":
        made["time"] = clock.now()
    made |= {"fieldsType": "FieldsV1", "fieldsV1": fields}
    return made | ({"subresource": subresource} if subresource else {})


def blank(kind: Kind) -> Object:
    parts = ALWAYS.get(kind.name) or (ALWAYS[""] if kind.model and kind.status else {})
    return {"metadata": {}, **parts}


def updated(kind: Kind, live: Object | None, new: Object, manager: str, subresource: str = "") -> None:
    """Write down in `new` that `manager` changed what differs from `live`."""
    changed, gone = (_owned(each) for each in compared(live or blank(kind), new, type_of(kind)))
    entries = (live or {}).get("metadata", {}).get("managedFields", [])
    if changed is None and gone is None:
        if live is not None:
            _keep(new, entries)
        return
    mine = (manager, "Update", kind.api_version, subresource)
    kept: list[Object] = []
    own: Fields | None = None
    for entry in entries:
        if _identity(entry) == mine:
            own = entry["fieldsV1"]
            continue
        left = at_root(difference(difference(entry["fieldsV1"], changed), gone))
        if left:
            kept.append(entry if left == entry["fieldsV1"] else entry | {"fieldsV1": left})
    own = at_root(difference(union(own, changed), gone))
    if own:
        kept.append(_entry(kind, manager, "Update", subresource, own))
    _keep(new, _sorted(kept))


def _keep(new: Object, entries: list[Object]) -> None:
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)


class Applied:
    """One server-side apply onto `live` (nothing: it creates). `obj` is what comes of it, `entries` who owns it then."""

    def __init__(self, kind: Kind, live: Object | None, config: Object, manager: str, *, force: bool, at: str) -> None:
        type_ = type_of(kind)
        wrong = problems(config, type_)
        if wrong:
            said = wrong[0] if len(wrong) == 1 else "errors:\n" + "\n".join(f"  {each}" for each in wrong)
            raise broken(f"failed to create typed patch object ({at}; {kind.api_version}, Kind={kind.name}): {said}")
        odd = unconvertible(kind, config)
        if odd:
            raise broken(
                f"failed to convert new object ({at}; {kind.api_version}, Kind={kind.name}) to proper version: {odd}"
            )
        self.kind, self.manager = kind, manager
        entries = (live or {}).get("metadata", {}).get("managedFields", [])
        mine = (manager, "Apply", "", "")
        config = _dense(config)
        self.fields = _owned(of_value(config, type_)) or {}
        last = next((entry["fieldsV1"] for entry in entries if _identity(entry) == mine), None)
        self.others = [entry for entry in entries if _identity(entry) != mine]
        merged = merge(live, config, type_) if live is not None else config
        self._take(compared(live or blank(kind), merged, type_)[0], force)
        dropped = difference(last, self.fields)
        for entry in self.others:
            dropped = difference(dropped, entry["fieldsV1"])
        if dropped:
            kept: Fields | None = self.fields
            for entry in self.others:
                kept = union(kept, entry["fieldsV1"])
            merged = without(merged, dropped, kept or {}, type_)
        self.obj: Object = merged

    def _take(self, changed: Fields | None, force: bool) -> None:
        conflicts = []
        for entry in self.others:
            both = intersection(entry["fieldsV1"], changed)
            conflicts += [(entry, path) for path in paths(both)]
        if conflicts and not force:
            raise _refusal(conflicts)
        if conflicts:
            left = [(entry, at_root(difference(entry["fieldsV1"], changed))) for entry in self.others]
            self.others = [entry | {"fieldsV1": fields} for entry, fields in left if fields]

    def sign(self, live: Object | None, new: Object) -> None:
        """Write who owns what into `new`, with the time of now only if something changed."""
        entry = _entry(self.kind, self.manager, "Apply", "", self.fields)
        for old in (live or {}).get("metadata", {}).get("managedFields", []):
            if _identity(old) == _identity(entry) and old["fieldsV1"] == self.fields and same(live, new):
                entry = old
        _keep(new, _sorted([*self.others, entry] if self.fields else self.others))


def same(one: Object | None, other: Object) -> bool:
    """But for who manages it."""
    if one is None:
        return False
    return _plain(one) == _plain(other)


def _plain(obj: Object) -> Object:
    hidden = ("managedFields", "resourceVersion")
    return obj | {"metadata": {name: value for name, value in obj["metadata"].items() if name not in hidden}}


def _refusal(conflicts: list[tuple[Object, Any]]) -> Refused:
    said = [(_printed(entry), spoken(path)) for entry, path in conflicts]
    causes = [cause("FieldManagerConflict", f"conflict with {who}", path) for who, path in said]
    if len(said) == 1:
        return apply_conflict(f"Apply failed with 1 conflict: conflict with {said[0][0]}: {said[0][1]}", causes)
    lines = []
    for who in sorted({who for who, _ in said}):
        lines += [f"conflicts with {who}:", *(f"- {path}" for owner, path in said if owner == who)]
    return apply_conflict(f"Apply failed with {len(said)} conflicts: " + "\n".join(lines), causes)


def _printed(entry: Object) -> str:
    text = f'"{entry["manager"]}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry['apiVersion']}" if entry["operation"] == "Update" else text


def _dense(value: Any) -> Any:
    """A null says nothing."""
    if isinstance(value, dict):
        return {name: _dense(each) for name, each in value.items() if each is not None}
    return [_dense(each) for each in value] if isinstance(value, list) else value


def merge(live: Any, config: Any, type_: Type) -> Any:
    if type_.form in ("struct", "map", "any") and isinstance(live, dict) and isinstance(config, dict):
        return live | {name: merge(live.get(name), each, type_.of(name)) for name, each in config.items()}
    if type_.form == "keyed" and isinstance(live, list) and isinstance(config, list):
        old = {key_of(each, type_): each for each in live}
        new = {key_of(each, type_): each for each in config}
        item = type_.item or ANY
        merged = [merge(old.get(key), each, item) for key, each in new.items()]
        return merged + [each for key, each in old.items() if key not in new]
    if type_.form == "set" and isinstance(live, list) and isinstance(config, list):
        return [*live, *(each for each in config if each not in live)]
    return config


def without(value: Any, dropped: Fields, kept: Fields, type_: Type) -> Any:
    """`value` less the fields `dropped`; what holds something of `kept` stays."""
    if type_.form in ("struct", "map", "any") and isinstance(value, dict):
        left = {}
        for name, each in value.items():
            gone, stays = dropped.get(f"f:{name}"), kept.get(f"f:{name}")
            if gone is None:
                left[name] = each
            elif gone or stays is not None:
                rest = without(each, gone, stays or {}, type_.of(name))
                if stays is not None or rest not in ({}, []):
                    left[name] = rest
        return left
    if type_.form in ("keyed", "set") and isinstance(value, list):
        return [rest for each in value if (rest := _item_without(each, dropped, kept, type_)) is not None]
    return value


def _item_without(item: Any, dropped: Fields, kept: Fields, type_: Type) -> Any:
    key = key_of(item, type_) if type_.form == "keyed" else f'v:"{item}"'
    gone, stays = dropped.get(key), kept.get(key)
    if gone is None:
        return item
    if stays is None and (not gone or "." in gone):
        return None
    return without(item, gone, stays or {}, type_.item or ANY)
