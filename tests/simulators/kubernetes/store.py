"""What etcd and the watch cache keep: every object once, as JSON too, and the latest changes of each kind.

All of it belongs to the loop of the simulator; nobody else touches it. What is stored is never changed in place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from . import clock
from .kinds import ALL, Kind, Object

Key = tuple[str, str]  # namespace, name
REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class Stored:
    obj: Object
    raw: bytes
    revision: int

    def thaw(self) -> Object:
        """A copy to change."""
        copy: Object = orjson.loads(self.raw)
        return copy


@dataclass(frozen=True, slots=True)
class Change:
    type: str
    kind: Kind
    key: Key
    stored: Stored
    before: Stored | None

    @property
    def revision(self) -> int:
        return self.stored.revision

    def line(self, type_: str = "") -> bytes:
        return b'{"type":"%b","object":%b}\n' % ((type_ or self.type).encode(), self.stored.raw)


class Store:
    """`listeners` hear of every change, `gone_before` says per kind from which revision on changes are remembered."""

    def __init__(self, revision: int = 400) -> None:
        self.revision = revision
        self.tables: dict[Kind, dict[Key, Stored]] = {kind: {} for kind in ALL}
        self.history: dict[Kind, deque[Change]] = {kind: deque() for kind in ALL}
        self.gone_before: dict[Kind, int] = dict.fromkeys(ALL, revision)
        self.listeners: list[Callable[[Change], None]] = []
        self.remembered = REMEMBERED
        self._sorted: dict[Kind, list[Key] | None] = dict.fromkeys(ALL)

    def get(self, kind: Kind, namespace: str, name: str) -> Stored | None:
        return self.tables[kind].get((namespace, name))

    def unused(self, kind: Kind, namespace: str, head: str) -> str:
        """A generated name that nothing has."""
        name = head + clock.suffix()
        while (namespace, name) in self.tables[kind]:
            name = head + clock.suffix()
        return name

    def keys(self, kind: Kind) -> list[Key]:
        """In the order in which etcd has them."""
        found = self._sorted[kind]
        if found is None:
            found = self._sorted[kind] = sorted(self.tables[kind])
        return found

    def all(self, kind: Kind, namespace: str = "") -> Iterator[Stored]:
        table = self.tables[kind]
        for key in list(self.keys(kind)):
            if (not namespace or key[0] == namespace) and key in table:
                yield table[key]

    def put(self, kind: Kind, obj: Object) -> Stored:
        self.revision += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.revision)
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self.tables[kind].get(key)
        stored = _stored(kind, obj, self.revision)
        self.tables[kind][key] = stored
        if before is None:
            self._sorted[kind] = None
        self._tell(Change("MODIFIED" if before else "ADDED", kind, key, stored, before))
        return stored

    def remove(self, kind: Kind, key: Key) -> Stored:
        before = self.tables[kind].pop(key)
        self._sorted[kind] = None
        self.revision += 1
        obj = before.thaw()
        obj["metadata"]["resourceVersion"] = str(self.revision)
        last = _stored(kind, obj, self.revision)
        self._tell(Change("DELETED", kind, key, last, before))
        return last

    def compact(self) -> None:
        """Changes up to now are forgotten: a watch from an earlier revision is told 410."""
        for kind in ALL:
            self.history[kind].clear()
            self.gone_before[kind] = self.revision

    def since(self, kind: Kind, revision: int) -> list[Change]:
        found: list[Change] = []
        for change in reversed(self.history[kind]):
            if change.revision <= revision:
                break
            found.append(change)
        return found[::-1]

    def _tell(self, change: Change) -> None:
        history = self.history[change.kind]
        history.append(change)
        while len(history) > self.remembered:
            self.gone_before[change.kind] = history.popleft().revision
        for listener in self.listeners:
            listener(change)


def _stored(kind: Kind, obj: Object, revision: int) -> Stored:
    ordered = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": obj["metadata"]}
    ordered |= {name: value for name, value in obj.items() if name not in ordered}
    return Stored(ordered, orjson.dumps(ordered), revision)
