"""What informers of one cluster have told and is not stored yet: of each object only the newest state. Belongs to the loop.

So memory is bounded by the number of objects, however slow the database is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clusters.drivers.runtime.kubernetes.names import Resource
from clusters.drivers.runtime.kubernetes.seen import Key, Seen
from fangduoduo_release.common.sentence import Sentence

from .feeds import Feed, Told

FULL = 2_000  # so much of a list may wait; then the next page waits too


@dataclass(frozen=True, slots=True)
class Batch:
    """What is stored in one transaction. `told`: how much had been told when it was taken, 0 when more is left."""

    seen: Sequence[Seen]
    feeds: Sequence[Told]
    told: int


class Ledger:
    """Filled by informers, emptied by one writer."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.feeds = {resource.key: Feed(resource, self) for resource in resources}
        self.some = asyncio.Event()
        self.answered_at = 0.0  # monotonic: when the server last answered a question after its health
        self.silent: Sentence | None = None  # it has not answered for a while
        self.services: dict[str, str] = {}  # the uids of objects that belong to a service, and its key
        self._waiting: dict[str, dict[Key, Seen]] = {key: {} for key in self.feeds}
        self._under_way: dict[str, float] = {}  # of resources in the batch that is being stored: its oldest
        self._told = self._stored = 0
        self._progress = asyncio.Condition()

    @property
    def count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, seen: Seen) -> None:
        waiting = self._waiting[seen.resource]
        before = waiting.get(seen.key)
        if before is not None:  # its place and its age are those of the state that nobody will see
            body = seen.body if seen.body is not None else before.body
            seen = seen._replace(read_at=before.read_at, body=body, uid=seen.uid or before.uid)
        waiting[seen.key] = seen
        if seen.service and seen.uid:
            self.services[seen.uid] = seen.service
        self._told += 1
        self.some.set()

    def hush(self, sentence: Sentence | None) -> None:
        """The server has not answered for a while; None: it answers."""
        if sentence != self.silent:
            self.silent = sentence
            for feed in self.feeds.values():
                feed.touch()

    def services_of(self, batch: Batch) -> set[str]:
        """Whose objects are in it, or what is told about whose objects."""
        found = {one.service or self.services.get(one.uid) or self.services.get(one.about, "") for one in batch.seen}
        return found - {""}

    def oldest(self, resource: str) -> float | None:
        """Since when something of it waits (monotonic); None when all is stored."""
        first = next(iter(self._waiting[resource].values()), None)
        told = [at for at in (self._under_way.get(resource), first.read_at if first else None) if at is not None]
        return min(told, default=None)

    def take(self, most: int) -> Batch:
        """The next batch, and what is to be written of the feeds it concerns or that changed."""
        found: list[Seen] = []
        for key, waiting in self._waiting.items():
            if len(found) >= most:
                break
            taken = list(waiting.values())[: most - len(found)]
            found += taken
            if taken:
                self._under_way[key] = taken[0].read_at
                self.feeds[key].seq += len(taken)
            if len(taken) == len(waiting):
                self._waiting[key] = {}
            else:
                for one in taken:
                    del waiting[one.key]
        left = self.count > 0
        if not left:
            self.some.clear()
        touched = set(self._under_way)
        told = [
            feed.tell(drained=not self._waiting[key])
            for key, feed in self.feeds.items()
            if key in touched or feed.changed
        ]
        return Batch(found, told, 0 if left else self._told)

    async def stored(self, batch: Batch) -> None:
        self._under_way.clear()
        for one in batch.seen:
            if one.gone:
                self.services.pop(one.uid, None)
        self._stored = max(self._stored, batch.told)
        async with self._progress:
            self._progress.notify_all()

    def give_back(self, batch: Batch) -> None:
        """It could not be stored; what is newer stays."""
        self._under_way.clear()
        for told in batch.feeds:
            self.feeds[told.resource].not_written(told)
        back: dict[str, dict[Key, Seen]] = {}
        for one in batch.seen:
            back.setdefault(one.resource, {})[one.key] = one
        for resource, older in back.items():
            for key, newer in self._waiting[resource].items():
                before = older.get(key)
                older[key] = newer if before is None else newer._replace(read_at=before.read_at)
            self._waiting[resource] = older
        self.some.set()

    async def all_stored(self) -> None:
        """Return when everything told until now is stored."""
        mark = self._told
        async with self._progress:
            await self._progress.wait_for(lambda: self._stored >= mark)

    async def room(self) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self.count < FULL)
