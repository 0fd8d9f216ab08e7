"""What differs between the goal we applied and what the cluster has: somebody edited it by hand, or another tool did. Pure.

Compared is only what we said: fields we never set are nobody's drift, nor are the server's defaults.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from fangduoduo_release.common.sentence import S, Sentence

MOST = 10
# Lists whose items are known by a field, as server-side apply knows them; the first by which they all differ.
KEYS = ("name", "containerPort", "mountPath", "port", "ip", "type")


QUANTITIES = re.compile(r"\.(limits|requests)\.|\.sizeLimit\Z")  # fields that the server writes in its own way
SELECTOR = "spec.selector"  # one more word in it chooses other pods
UNITS: Mapping[str, int | Decimal] = {  # exact: 9 × 0.001 is not 0.009 to a float, and so “9m” would not be “0.009”
    "": 1, "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_QUANTITY = re.compile(rf"(\d+\.?\d*|\.\d+)({'|'.join(sorted(filter(None, UNITS), key=len, reverse=True))})?")


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    """(path, what we said, what is there) of every field that we set and that is otherwise now."""
    return tuple(_compare(wanted, found, ""))


def sentences(kind: str, name: str, found: Sequence[tuple[str, Any, Any]]) -> tuple[Sentence, ...]:
    """One sentence a field, the first few of them."""
    told = [
        S(
            "%(kind)s “%(name)s” was changed in the cluster: %(field)s is %(now)s instead of %(then)s.",
            kind=kind, name=name, field=field, now=_short(now), then=_short(then),
        )
        for field, then, now in found[:MOST]
    ]  # fmt: skip
    if len(found) > MOST:
        told.append(S("… and %(count)s more fields.", count=len(found) - MOST))
    return tuple(told)


def _compare(wanted: Any, found: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            if wanted:
                yield where, wanted, found
            return
        for key, value in wanted.items():
            yield from _compare(value, found.get(key), f"{where}.{key}" if where else str(key))
        for key in found if where == SELECTOR else ():
            if key not in wanted:
                yield f"{where}.{key}", None, found[key]
    elif isinstance(wanted, list):
        yield from _compare_lists(wanted, found if isinstance(found, list) else [], where)
    elif not _same(wanted, found, quantity=bool(QUANTITIES.search(where))):
        yield where, wanted, found


def _compare_lists(wanted: list[Any], found: list[Any], where: str) -> Iterator[tuple[str, Any, Any]]:
    key = _key_of(wanted)
    if key is None:
        if len(wanted) == len(found) and all(isinstance(one, Mapping) for one in wanted):
            for number, (one, there) in enumerate(zip(wanted, found, strict=True)):
                yield from _compare(one, there, f"{where}[{number}]")
        elif wanted != found:
            yield where, wanted, found
        return
    by_key = {one.get(key): one for one in found if isinstance(one, Mapping)}
    for one in wanted:
        there = by_key.get(one[key])
        place = f"{where}[{one[key]}]"
        if there is None:
            yield place, one, None
        else:
            yield from _compare(one, there, place)


def _key_of(items: list[Any]) -> str | None:
    for key in KEYS:
        values = [one[key] for one in items if isinstance(one, Mapping) and key in one]
        if items and len(values) == len(items) and len({str(value) for value in values}) == len(items):
            return key
    return None


def _same(one: Any, other: Any, *, quantity: bool) -> bool:
    if one == other:
        return True
    if other is None:
        return one in ("", 0, False, None)  # the server leaves out what is empty
    return quantity and _quantity(one) is not None and _quantity(one) == _quantity(other)


def _quantity(value: Any) -> Decimal | None:
    """A quantity of Kubernetes as a number: the server writes `1000m` as `1`."""
    text = str(value)
    found = _QUANTITY.fullmatch(text)
    return Decimal(found[1]) * UNITS[found[2] or ""] if found else None


def _short(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
