"""Compares two answers by what a client relies on: keys and types of JSON, elements of XML, telling lines of a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any
from xml.etree import ElementTree

# Where not only the type but the value means something.
TELLING = {
    "_class", "status", "result", "building", "inProgress", "cancelled", "blocked", "buildable", "stuck", "color", "name",
    "type", "number", "why", "params", "userName", "shortDescription", "relativePath", "crumbRequestField", "disabled",
    "proceedText", "defaultVal", "choices", "errorDetails", "pending", "quietingDown", "concurrentBuild", "anonymous",
}  # fmt: skip
_LINES = re.compile(
    r'Started by |Finished: |Stage ".*" skipped|\[Pipeline\] \{ \(|\[Pipeline\] (?:Start|End) of Pipeline|Aborted by |'
    r"ERROR: |.* doesn’t have label |WorkflowScript: |Scripts not permitted |Checking out Revision "
)


def differences(wanted: Any, found: Any, at: str = "", key: str = "") -> Iterator[str]:
    """How JSON differs in shape, and in value where a value tells."""
    if _kind(wanted) != _kind(found):
        yield f"{at or '/'}: {_kind(wanted)} was recorded, {_kind(found)} is answered"
    elif isinstance(wanted, dict):
        for name in sorted(wanted.keys() | found.keys()):
            if name not in wanted or name not in found:
                yield f"{at}/{name}: {'not recorded' if name not in wanted else 'missing'}"
            else:
                yield from differences(wanted[name], found[name], f"{at}/{name}", name)
    elif isinstance(wanted, list):
        yield from _in_lists(wanted, found, at, key)
    elif key in TELLING and _plain(wanted) != _plain(found):
        yield f"{at}: {wanted!r} was recorded, {found!r} is answered"


def _in_lists(wanted: list[Any], found: list[Any], at: str, key: str) -> Iterator[str]:
    classes = [{_class(item) for item in items} for items in (wanted, found)]
    if classes[0] != classes[1]:
        yield f"{at}: elements {sorted(classes[0] ^ classes[1])} differ"
        return
    if classes[0] <= {""} and len(wanted) != len(found):
        yield f"{at}: {len(wanted)} elements were recorded, {len(found)} are answered"
        return
    for name in classes[0]:
        pairs = zip(_of_class(wanted, name), _of_class(found, name), strict=False)
        for number, (one, other) in enumerate(pairs):
            yield from differences(one, other, f"{at}[{name.rpartition('.')[2] or number}]", key)


def _of_class(items: list[Any], name: str) -> list[Any]:
    # Empty objects are actions of which nothing is told; how many there are depends on plugins.
    return [item for item in items if _class(item) == name and item != {}]


def _class(item: Any) -> str:
    return str(item.get("_class", "")) if isinstance(item, dict) else ""


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null"}.get(value, "boolean")  # type: ignore[arg-type]
    return "number" if isinstance(value, int | float) else type(value).__name__


def _plain(value: Any) -> Any:
    """Without what differs from run to run."""
    return re.sub(r"[\d.]+ sec", "N sec", value) if isinstance(value, str) else value


def xml_paths(text: str) -> set[str]:
    """The paths of all elements."""
    return set(_paths(ElementTree.fromstring(text), ""))


def _paths(element: ElementTree.Element, above: str) -> Iterator[str]:
    here = f"{above}/{element.tag}"
    yield here
    for child in element:
        yield from _paths(child, here)


def telling_lines(log: str) -> list[str]:
    """The lines of a log that say where a build stands, without times and commits."""
    found = []
    for line in log.splitlines():
        plain = re.sub(r"^\[[\dT:.-]+Z\] ", "", line)
        if _LINES.match(plain):
            found.append(re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", plain))
    # Several errors of one text come in an order of the parser's own.
    groups = groupby(found, key=lambda line: line.startswith("WorkflowScript: "))
    return [line for errors, lines in groups for line in (sorted(lines) if errors else lines)]
