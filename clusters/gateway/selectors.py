"""Label and field selectors, as Kubernetes reads them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clusters.gateway.statuses import Refused
from fangduoduo_release.common.sentence import S

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]
LONGEST = 8000
# Spaces are taken possessively: given back one by one, thousands of them would cost a second of this process.
_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_TERM = re.compile(
    rf"""\s*+(?:
      (?P<absent>!\s*+)(?P<none>{_KEY})
    | (?P<set>{_KEY})\s++(?P<how>in|notin)\s*+\((?P<values>[^()]*)\)
    | (?P<key>{_KEY})\s*+(?:(?P<sign>==|!=|=|>|<)\s*+(?P<value>(?:{_VALUE})?))?
    )\s*+(?:,|\Z)""",
    re.VERBOSE,
)
_ONE = re.compile(rf"(?:{_VALUE})?\Z")
_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")  # as Kubernetes reads them; Python's own takes “1_000” for one too
_FIELD = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(?P<sign>==|!=|=)(?P<value>(?:[^,=\\]|\\[,=\\])*)\Z")


def labels(text: str) -> Test | None:
    """The test that a label selector stands for; None when everything passes. Raises Refused (400)."""
    if not text.strip():
        return None
    at, tests = 0, []
    while at < len(text) and len(text) <= LONGEST:
        found = _TERM.match(text, at)
        if found is None:
            break
        tests.append(_label(found))
        at = found.end()
    if at < len(text) or text.rstrip().endswith(","):
        raise Refused(400, S("unable to parse requirement: “%(text)s” is no label selector", text=text[:200]))
    return lambda given: all(test(given) for test in tests)


def _label(found: re.Match[str]) -> Test:
    if found["absent"]:
        return lambda given, key=found["none"]: key not in given  # type: ignore[misc]
    if found["set"]:
        values = frozenset(one.strip() for one in found["values"].split(","))
        if not all(_ONE.match(one) for one in values):
            raise Refused(400, S("unable to parse requirement: “%(text)s” is no label selector", text=found[0][:200]))
        inside = found["how"] == "in"
        return lambda given, key=found["set"]: (given.get(key) in values) is inside  # type: ignore[misc]
    key, sign, value = found["key"], found["sign"], found["value"]
    if sign is None:
        return lambda given: key in given
    if sign in {">", "<"}:
        return _compared(key, sign, value)
    if sign == "!=":
        return lambda given: given.get(key) != value
    return lambda given: given.get(key) == value


def _compared(key: str, sign: str, value: str) -> Test:
    if not _NUMBER.match(value):
        raise Refused(400, S("for “>” and “<” the value of a label selector is a number"))
    limit = int(value)

    def test(given: Labels) -> bool:
        text = given.get(key)
        if text is None or not _NUMBER.match(text):
            return False
        return int(text) > limit if sign == ">" else int(text) < limit

    return test


def fields(text: str, allowed: Iterable[str]) -> Callable[[Mapping[str, Any]], bool] | None:
    """The test of whole objects that a field selector stands for. Raises Refused (400)."""
    if not text.strip():
        return None
    if len(text) > LONGEST:  # cut, it would let pass what its end rules out
        raise Refused(400, S("invalid selector: “%(text)s” is no field selector", text=text[:200]))
    known, wanted = frozenset(allowed), []
    for term in re.split(r"(?<!\\),", text):
        found = _FIELD.match(term.strip())
        if found is None:
            raise Refused(400, S("invalid selector: “%(text)s” is no field selector", text=term[:200]))
        if found["name"] not in known:
            raise Refused(400, S("field label not supported: %(name)s", name=found["name"][:100]))
        value = re.sub(r"\\([,=\\])", r"\1", found["value"]).strip()
        wanted.append((found["name"].split("."), value, found["sign"] != "!="))
    return lambda item: all((_at(item, path) == value) is equal for path, value, equal in wanted)


def _at(item: Any, path: list[str]) -> str:
    """A field as text; "" when it is not there, as Kubernetes has it."""
    for name in path:
        item = item.get(name) if isinstance(item, Mapping) else None
    if isinstance(item, bool):
        return str(item).lower()
    return "" if item is None else str(item)
