"""Objects of clusters as this process last read them: their JSON as it is answered, one mirror for each namespace and kind.

Rows hold objects compressed. Inflating thousands of them for each list would cost more than asking the API server, so what
was inflated is kept, and brought up to date by what has changed since (`seq`). A list then joins bytes; what was joined last
of a whole mirror is kept too. All mirrors together stay within a budget of memory: what was joined goes first, then the
mirror that nobody asked for the longest.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings

from clusters.drivers.runtime.kubernetes.names import PROJECT
from clusters.gateway.reach import project_of
from clusters.models import Cluster, ClusterFeed, ClusterObject

MARK = PROJECT.encode()
OVERHEAD = 400  # of an object beside its JSON: the entry, its name, its place in the dictionary
FORGET_S = 120.0  # unread for so long, a mirror may have missed rows that are deleted for good: it is read anew
RENEW_S = 600.0  # and so it is now and then: rows of old events are deleted without a word
Key = tuple[int, float, str, str]


@dataclass(slots=True)
class Entry:
    """One object. `facts`: what selectors look at, once one has; `owner`: its project, once somebody has asked."""

    name: str
    raw: bytes
    facts: dict[str, Any] | None = field(default=None)
    owner: str | None = field(default=None)

    def project(self) -> str:
        """Whose it is; "" when it does not say."""
        if self.owner is None:
            self.owner = project_of(orjson.loads(self.raw)) if MARK in self.raw else ""
        return self.owner

    def parsed(self) -> dict[str, Any]:
        """Its labels, and what field selectors may ask for."""
        if self.facts is None:
            item = orjson.loads(self.raw)
            self.facts = {
                name: value
                for name, value in item.items()
                if name in {"involvedObject", "reason", "type", "reportingComponent"}
            }
            metadata, spec, status = (item.get(name) or {} for name in ("metadata", "spec", "status"))
            self.facts["metadata"] = {n: metadata[n] for n in ("name", "namespace", "labels") if n in metadata}
            self.facts["spec"] = {n: v for n, v in spec.items() if not isinstance(v, dict | list)}
            self.facts["status"] = {n: v for n, v in status.items() if not isinstance(v, dict | list)}
        return self.facts


def joined(head: bytes, entries: Sequence[Entry]) -> bytes:
    """A list as it is answered; `head`: the object without its items."""
    items = [entry.raw for entry in entries] or [b""]
    items[0] = head[:-1] + b',"items":[' + items[0]
    items[-1] += b"]}"
    return b",".join(items)  # megabytes: put together once


class Mirror:
    """The objects of one kind in one namespace ("": of a kind without namespaces)."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.feed = self.seq = -1
        self.size = 0
        self.read_at = self.begun_at = 0.0
        self.shown: tuple[Entry, ...] = ()  # by name; replaced, never changed
        self._entries: dict[str, Entry] = {}
        self._whole: tuple[tuple[Entry, ...], bytes, bytes] | None = None  # entries, head, and both joined

    @property
    def weight(self) -> int:
        """What it takes of the budget."""
        whole = self._whole
        return self.size + (len(whole[2]) if whole is not None else 0)

    def whole(self, entries: tuple[Entry, ...], head: bytes) -> bytes:
        """All of `entries`, as they were shown, joined. It is what anybody is answered who may see them all, and depends
        on nothing else; of other entries or with another head it is joined anew."""
        kept = self._whole
        if kept is not None and kept[0] is entries and kept[1] == head:
            return kept[2]
        body = joined(head, entries)
        if self.shown is entries:  # else another thread has read on, and nobody will ask for these again
            self._whole = (entries, head, body)
        return body

    def lighten(self) -> int:
        """Let go of what was joined; how much that is. Waits for nobody who reads."""
        kept, self._whole = self._whole, None
        return len(kept[2]) if kept is not None else 0

    def follow(self, feed: ClusterFeed, namespace: str) -> tuple[Entry, ...]:
        """Bring it up to what the rows say, and show it. `feed` was read before: the rows are at least so new."""
        with self.lock:
            now = time.monotonic()
            if self.feed != feed.pk or now - self.read_at > FORGET_S or now - self.begun_at > RENEW_S:
                self._entries, self.seq, self.size, self.shown, self._whole = {}, -1, 0, (), None
                self.begun_at = now
            self.feed, self.read_at = feed.pk, now
            if feed.seq > self.seq:
                try:
                    self._read(feed, namespace)
                except BaseException:
                    self.feed = -1  # half of it was read: what was missed would look as if it had been
                    raise
            return self.shown

    def _read(self, feed: ClusterFeed, namespace: str) -> None:
        rows = ClusterObject.objects.filter(
            cluster=feed.cluster_id, resource=feed.resource, namespace=namespace, seq__gt=self.seq
        )
        if self.seq < 0:
            rows = rows.filter(gone=False)
        changed = False
        for name, seq, gone, body in rows.values_list("name", "seq", "gone", "body").iterator():
            changed = True
            self.seq = max(self.seq, seq)
            old = self._entries.pop(name, None)
            if old is not None:
                self.size -= len(old.raw) + OVERHEAD
            if not gone:
                raw = zlib.decompress(body)
                self._entries[name] = Entry(name, raw)
                self.size += len(raw) + OVERHEAD
        self.seq = max(self.seq, feed.seq)
        if changed:
            self.shown, self._whole = tuple(self._entries[name] for name in sorted(self._entries)), None


class Mirrors:
    """All of a process. Safe for its threads."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Mirror] = OrderedDict()

    def entries(self, cluster: Cluster, feed: ClusterFeed, namespace: str) -> tuple[Entry, ...]:
        """The objects of the feed's kind in a namespace, by name."""
        key = _key(cluster, feed, namespace)
        with self._lock:
            mirror = self._kept.get(key)
            if mirror is None:
                mirror = self._kept[key] = Mirror()
            self._kept.move_to_end(key)
        shown = mirror.follow(feed, namespace)
        self._make_room()
        return shown

    def whole(
        self, cluster: Cluster, feed: ClusterFeed, namespace: str, entries: tuple[Entry, ...], head: bytes
    ) -> bytes:
        """The answer that lists all of `entries`, which `entries()` gave."""
        with self._lock:
            mirror = self._kept.get(_key(cluster, feed, namespace))
        if mirror is None:  # it had to make room
            return joined(head, entries)
        body = mirror.whole(entries, head)
        self._make_room()
        return body

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._kept.clear()

    @property
    def size(self) -> int:
        with self._lock:
            return sum(mirror.weight for mirror in self._kept.values())

    def _make_room(self) -> None:
        limit = settings.GATEWAY_MIRROR_BYTES if self._limit is None else self._limit
        with self._lock:
            total = sum(mirror.weight for mirror in self._kept.values())
            for mirror in self._kept.values():
                if total <= limit:
                    return
                total -= mirror.lighten()
            while total > limit and self._kept:
                _, mirror = self._kept.popitem(last=False)
                total -= mirror.weight


def _key(cluster: Cluster, feed: ClusterFeed, namespace: str) -> Key:
    """A cluster that was made anew may get an old one's number."""
    return cluster.pk, cluster.created_at.timestamp(), feed.resource, namespace


MIRRORS = Mirrors()
