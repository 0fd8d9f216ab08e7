"""The key-value store: one raft index that every write moves, and readers who wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    value: bytes
    created: int
    modified: int
    flags: int = 0


@dataclass(slots=True)
class Store:
    """Thread-safe. `closing` ends every wait."""

    index: int = 14
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)  # (namespace, key)
    graves: dict[tuple[str, str], int] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    closing: bool = False
    restores: int = 0
    waiting: int = 0

    def put(self, namespace: str, key: str, value: bytes, cas: int | None = None) -> bool:
        with self.changed:
            here = self.entries.get((namespace, key))
            if cas is not None and (here.modified if here else 0) != cas:
                return False
            self.index += 1
            if here is None:
                self.entries[namespace, key] = Entry(value, self.index, self.index)
            elif here.value != value:  # the same value again moves no key's index
                here.value, here.modified = value, self.index
            self.changed.notify_all()
            return True

    def delete(self, namespace: str, key: str, cas: int | None = None) -> bool:
        with self.changed:
            here = self.entries.get((namespace, key))
            if cas is not None and (here.modified if here else 0) != cas:
                return False
            self.index += 1
            if self.entries.pop((namespace, key), None) is not None:
                self.graves[namespace, key] = self.index
            self.changed.notify_all()
            return True

    def of_key(self, namespace: str, key: str) -> tuple[int, Entry | None]:
        """A key's own index; where there is none, the table's."""
        here = self.entries.get((namespace, key))
        return (here.modified, here) if here else (self._table(), None)

    def of_prefix(self, namespace: str, prefix: str) -> tuple[int, list[tuple[str, Entry]]]:
        """The newest index under a prefix, graves included; where nothing is, the table's."""
        found = [(k, e) for (ns, k), e in sorted(self.entries.items()) if ns == namespace and k.startswith(prefix)]
        graves = [at for (ns, k), at in self.graves.items() if ns == namespace and k.startswith(prefix)]
        newest = max([entry.modified for _, entry in found] + graves, default=0)
        return newest or self._table(), found

    def restore(self, index: int) -> None:
        """As after a snapshot of an older state was restored: indexes go backwards, waiting looks are abandoned."""
        with self.changed:
            self.index = index
            self.graves.clear()
            for at, entry in enumerate(self.entries.values(), start=1):
                entry.created = entry.modified = min(entry.modified, index - len(self.entries) + at)
            self.restores += 1
            self.changed.notify_all()

    def wait(self, seconds: float, newer: Callable[[], bool]) -> None:
        """Until `newer()` is true, the store is restored or closed, or the time is over."""
        until = time.monotonic() + seconds
        with self.changed:
            before = self.restores
            self.waiting += 1
            while not newer() and self.restores == before and not self.closing:
                left = until - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    break
            self.waiting -= 1

    def _table(self) -> int:
        return max([e.modified for e in self.entries.values()] + list(self.graves.values()), default=1)
