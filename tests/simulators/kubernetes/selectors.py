"""Label and field selectors, as queries write them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from .kinds import Kind, Object
from .status import bad_request

Test = Callable[[Object], bool]
_SET = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([\w./-]+)\s*(==|!=|=)\s*([\w.-]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")
_FIELD = re.compile(r"^\s*([\w.]+)\s*(==|!=|=)\s*(.*?)\s*$")
_FIELDS = {
    "pods": {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
             "status.podIP", "status.nominatedNodeName", "spec.hostNetwork"},
    "events": {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
               "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
               "reportingComponent", "source", "type"},
    "secrets": {"type"}, "nodes": {"spec.unschedulable"}, "namespaces": {"status.phase"},
    "replicasets": {"status.replicas"},
}  # fmt: skip


@functools.lru_cache(1000)
def labels(text: str) -> Test | None:
    """Whether an object's labels match."""
    tests = [_label(part) for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    if not tests:
        return None
    return lambda obj: all(test(obj["metadata"].get("labels") or {}) for test in tests)


def _label(part: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.match(part):
        name, word, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if word == "in":
            return lambda given: given.get(name) in values
        return lambda given: given.get(name) not in values
    if found := _EQUAL.match(part):
        name, word, value = found.groups()
        if word == "!=":
            return lambda given: given.get(name) != value
        return lambda given: given.get(name) == value
    if found := _EXISTS.match(part):
        absent, name = found.groups()
        return lambda given: (name in given) != bool(absent)
    raise bad_request(f"unable to parse requirement: found '{part}', expected: in, notin, =, ==, !=, gt, lt")


def fields(kind: Kind, text: str) -> Test | None:
    tests = [_field(kind, part) for part in text.split(",") if part.strip()]
    return (lambda obj: all(test(obj) for test in tests)) if tests else None


def _field(kind: Kind, part: str) -> Test:
    found = _FIELD.match(part)
    if found is None:
        raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    path, word, value = found.groups()
    if path not in {"metadata.name", "metadata.namespace"} | _FIELDS.get(kind.plural, set()):
        raise bad_request(f"field label not supported: {path}")
    names = path.split(".")
    return lambda obj: (_at(obj, names) == value) != (word == "!=")


def _at(obj: Object, names: list[str]) -> str:
    for name in names:
        obj = obj.get(name) or {} if isinstance(obj, dict) else {}
    return {True: "true", False: "false"}.get(obj, str(obj)) if isinstance(obj, bool) else str(obj or "")


def both(one: Test | None, other: Test | None) -> Test | None:
    if one is None or other is None:
        return one or other
    return lambda obj: one(obj) and other(obj)


def matches(selector: Object, given: dict[str, str]) -> bool:
    """A LabelSelector of an object."""
    for name, value in (selector.get("matchLabels") or {}).items():
        if given.get(name) != value:
            return False
    for each in selector.get("matchExpressions") or []:
        name, word, values = each["key"], each["operator"], each.get("values") or []
        right = {
            "In": given.get(name) in values, "NotIn": given.get(name) not in values,
            "Exists": name in given, "DoesNotExist": name not in given,
        }[word]  # fmt: skip
        if not right:
            return False
    return True


def spoken(selector: Object) -> str:
    """As the scale subresource says it: `app=hello`."""
    return ",".join(f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items()))
