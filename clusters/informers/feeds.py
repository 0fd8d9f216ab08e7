"""How well one resource of a cluster is followed: what its informers say, and what of it is to be written. In the loop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from clusters.drivers.runtime.kubernetes.names import Resource
from clusters.drivers.runtime.kubernetes.seen import Key, Seen, newer
from clusters.drivers.runtime.kubernetes.sink import Known
from clusters.models import ClusterFeed
from fangduoduo_release.common.sentence import Sentence

if TYPE_CHECKING:
    from .ledger import Ledger

State = ClusterFeed.State
Load = Callable[[str, str], Awaitable[Mapping[Key, Known]]]  # a resource and a namespace ("": all): what is stored


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be written of a feed: values, and what its counts grow by."""

    resource: str
    values: Mapping[str, Any]
    more: Mapping[str, int] = field(default_factory=dict)


class Scope:
    """The `Sink` of one informer: a resource in one namespace, or in all ("")."""

    def __init__(self, feed: Feed, namespace: str, load: Load) -> None:
        self._feed, self._namespace, self._load = feed, namespace, load
        self.trouble: Sentence | None = None
        self.open = False
        self.alive_at = 0.0
        self.version = ""
        self.list_began = 0.0  # of the last whole list; 0: there was none
        self.present: set[Key] = set()

    async def known(self) -> Mapping[Key, Known]:
        await self._feed.ledger.all_stored()
        found = await self._load(self._feed.resource.key, self._namespace)
        if not self.present:
            self.present = {key for key, one in found.items() if not one.gone}
        return found

    async def room(self) -> None:
        await self._feed.ledger.room()

    def change(self, seen: Seen) -> None:
        if seen.gone:
            self.present.discard(seen.key)
        else:
            self.present.add(seen.key)
        self._feed.ledger.add(seen)

    def reached(self, version: str) -> None:
        if version != self.version:
            self.version = version
            self._feed.touch()

    def synced(self, version: str, began: float) -> None:
        self.version, self.list_began, self.alive_at = version, began, time.monotonic()
        self._feed.touch()

    def opened(self) -> None:
        self.open, self.alive_at = True, time.monotonic()
        self.trouble = None
        self._feed.down(None)

    def alive(self) -> None:
        self.alive_at = time.monotonic()

    def closed(self) -> None:
        """What was said of a silent watch stays true: a server sends no bookmarks of events, and age never jumps ahead."""
        if self.open:
            self.open = False
            self.alive_at = max(self.alive_at, self._feed.ledger.answered_at)
            self.count("reconnects")

    def down(self, sentence: Sentence) -> None:
        if sentence != self.trouble:
            self.trouble = sentence
            self._feed.touch()

    def count(self, what: str, number: int = 1) -> None:
        self._feed.more[what] += number
        self._feed.touch()


class Feed:
    """One resource of a cluster, and the informers that follow it: one, or one for each namespace we may see."""

    def __init__(self, resource: Resource, ledger: Ledger) -> None:
        self.resource, self.ledger = resource, ledger
        self.more: Counter[str] = Counter()
        self.seq = 0
        self.changed = True
        self._scopes: dict[str, Scope] = {}
        self._live = False  # all that is there was stored once
        self._down_since: datetime | None = None
        self._trouble: Sentence | None = None

    def taken_over(self, row: ClusterFeed) -> None:
        """What the one before us left. Nobody has followed it since that one was seen last."""
        self.seq = row.seq
        self._down_since = row.down_since or row.seen_at or timezone.now()

    def scope(self, namespace: str, load: Load) -> Scope:
        self._scopes[namespace] = Scope(self, namespace, load)
        return self._scopes[namespace]

    def forget_scopes(self) -> None:
        """Others will follow."""
        self._scopes = {}
        self._live = False
        self.touch()

    def down(self, sentence: Sentence | None) -> None:
        """Nobody can follow it, for this reason; None: somebody does."""
        self._trouble = sentence
        self.touch()

    def touch(self) -> None:
        self.changed = True
        self.ledger.some.set()

    def seen_at(self) -> datetime | None:
        """Until when the rows are known to be what is there; None while they are not."""
        if not self._live or not self._scopes:
            return None
        waits = self.ledger.oldest(self.resource.key)
        answered = self.ledger.answered_at
        alive = min(max(one.alive_at, answered) if one.open else one.alive_at for one in self._scopes.values())
        return wall(alive if waits is None else min(alive, waits))

    def tell(self, drained: bool) -> Told:
        """What is to be written now; `drained`: with the batch it goes with, all of it that was told is stored."""
        scopes = list(self._scopes.values())
        values: dict[str, Any] = {"objects_count": sum(len(one.present) for one in scopes), "seq": self.seq}
        if drained and scopes and all(one.list_began for one in scopes):
            self._live = True
            values["resource_version"] = _oldest_version(scopes)
            values["synced_at"] = wall(min(one.list_began for one in scopes))
            if all(one.open for one in scopes):
                values["seen_at"] = wall(min(max(one.alive_at, self.ledger.answered_at) for one in scopes))
        troubles = [one for one in (self._trouble, self.ledger.silent, *(s.trouble for s in scopes)) if one]
        state = State.DOWN if troubles else State.LIVE if self._live else State.SYNCING
        if state == State.LIVE:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = timezone.now()
        more, self.more, self.changed = self.more, Counter(), False
        values |= {
            "state": state,
            "down_since": self._down_since,
            "trouble": troubles[0].as_json() if troubles else None,
        }
        return Told(self.resource.key, values, more)

    def not_written(self, told: Told) -> None:
        self.more.update(told.more)
        self.changed = True


def wall(monotonic: float) -> datetime:
    return timezone.now() - timedelta(seconds=max(0.0, time.monotonic() - monotonic))


def _oldest_version(scopes: list[Scope]) -> str:
    """Up to which all of them have told everything."""
    found = scopes[0].version
    for one in scopes[1:]:
        if newer(found, one.version):
            found = one.version
    return found
