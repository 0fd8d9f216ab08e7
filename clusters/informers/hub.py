"""The thread with the loop: keeps the leases of the clusters this process follows, and a follower for each.

Processes share the clusters out: one that has its share leaves what is free to the others, unless nobody takes it. What
a dead one held is free when its leases run out. A lease that cannot be renewed because the database is away is kept in
spirit: nobody else can take it either, and nothing is written under one that somebody else took (`rows.Hold`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from clusters.drivers.runtime.kubernetes.pace import Pace
from clusters.informing import followed
from clusters.kubernetes import namespace_of
from clusters.models import Cluster, Machine
from fangduoduo_release.common import leases
from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.loops import Loop
from fangduoduo_release.common.models import Lease

from .follower import Follower, Ground
from .rows import Hold

logger = logging.getLogger(__name__)
LEASE_S = 8.0
STUMBLED_S = 30.0
LEFT_S = 5.0  # what is free and beyond our share is taken when nobody else did for so long
EVEN_OUT_S = 20.0  # between two clusters that are given up for others
HANDS = 3
MEMBER = "informing:"  # leases by which processes count each other


@dataclass(frozen=True, slots=True)
class Facts:
    """What a follower is made from; another one is made when it changes."""

    pk: int
    name: str
    connection: int | None
    changed: str  # when people changed the connection


@dataclass(frozen=True, slots=True)
class Mine:
    """A cluster whose lease we hold."""

    cluster: Cluster
    facts: Facts
    fence: int
    namespaces: tuple[str, ...]


@dataclass(slots=True)
class _Followed:
    follower: Follower
    task: asyncio.Task[None]
    facts: Facts


class Hub(Loop):
    """A follower for each cluster whose lease this process holds."""

    def __init__(self, lost: threading.Event, pace: Pace | None = None) -> None:
        self.owner = f"{settings.HOST_ID}:{os.getpid()}:{os.urandom(3).hex()}"
        self._hands = Hands("informer", HANDS)
        self._tellers = Hands("informer-news", 1)
        self._ground = Ground(self._hands, self._tellers, pace or Pace())
        self._shares = Shares(self.owner)
        self._followed: dict[int, _Followed] = {}
        self._not_before: dict[int, float] = {}
        super().__init__("informing", lost, [self._hands, self._tellers])  # it gives its leases back

    @property
    def follows(self) -> int:
        return len(self._followed)

    async def leave(self) -> None:
        await self._end(list(self._followed))
        try:
            async with asyncio.timeout(2):
                await self._hands.do(self._shares.leave)
        except (*AWAY, TimeoutError):
            logger.warning("the leases of the informers were not given back; they run out")

    async def tend(self) -> None:
        """A follower for every cluster that is ours; none for those that are not, or were changed."""
        self._bury()
        mine = {one.facts.pk: one for one in await self._hands.do(self._shares.mine)}
        await self._end([pk for pk, held in self._followed.items() if not _goes_on(held, mine.get(pk))])
        for pk, one in mine.items():
            held = self._followed.get(pk)
            if held is not None:
                held.follower.hold.fence = one.fence
                held.follower.watch_namespaces(one.namespaces)
            elif time.monotonic() >= self._not_before.get(pk, 0.0):
                self._begin(one)
        gone = await self._hands.do(self._shares.even_out)
        if gone is not None:
            await self._end([pk for pk, held in self._followed.items() if held.facts.name == gone])
            with contextlib.suppress(*AWAY):  # the lease stays ours, and we follow on
                await self._hands.do(self._shares.let_go, gone)

    def _begin(self, one: Mine) -> None:
        hold = Hold(one.facts.pk, lease_of(one.facts.name), self.owner, one.fence)
        follower = Follower(one.cluster, hold, one.namespaces, self._ground)
        task = asyncio.create_task(follower.run(), name=one.facts.name)
        self._followed[one.facts.pk] = _Followed(follower, task, one.facts)
        logger.info("following the cluster %s", one.facts.name)

    async def _end(self, gone: list[int]) -> None:
        tasks = [self._followed.pop(pk).task for pk in gone]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=3)

    def _bury(self) -> None:
        """A follower that stumbled over something nobody foresaw is told, and begun again after a while."""
        for pk in [pk for pk, held in self._followed.items() if held.task.done()]:
            task = self._followed.pop(pk).task
            if not task.cancelled() and task.exception() is not None:
                logger.error("the following of %s stumbled", task.get_name(), exc_info=task.exception())
                self._not_before[pk] = time.monotonic() + STUMBLED_S


class Shares:
    """Which clusters are this process's. Belongs to the hands."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._held: dict[str, int] = {}
        self._free_since: dict[str, float] = {}
        self._share = 0
        self._evened = time.monotonic()

    def mine(self) -> list[Mine]:
        """The clusters whose lease this process holds, after renewing those and taking what is free and its due."""
        clusters = {lease_of(cluster.name): cluster for cluster in followed()}
        self._held = leases.keep(clusters, self._owner, LEASE_S)
        leases.hold(f"{MEMBER}{self._owner}", self._owner, LEASE_S)
        self._share = math.ceil(len(clusters) / max(1, len(_members())))
        now = time.monotonic()
        free = leases.free(set(clusters) - set(self._held))
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        for name in sorted(free, key=self._free_since.__getitem__):
            if len(self._held) < self._share or now - self._free_since[name] > LEFT_S:
                fence = leases.hold(name, self._owner, LEASE_S)
                if fence is not None:
                    self._held[name] = fence
        return _facts({name: clusters[name] for name in self._held}, self._held)

    def even_out(self) -> str | None:
        """The name of a cluster that is given up because this process has more than its share, now and then."""
        if len(self._held) <= self._share or time.monotonic() - self._evened < EVEN_OUT_S:
            return None
        self._evened = time.monotonic()
        return max(self._held).removeprefix(lease_of(""))

    def let_go(self, name: str) -> None:
        self._free_since[lease_of(name)] = time.monotonic() + LEFT_S  # for the others first
        self._held.pop(lease_of(name), None)
        leases.let_go(lease_of(name), self._owner)

    def leave(self) -> None:
        for name in self._held:
            leases.let_go(name, self._owner)
        Lease.objects.filter(name=f"{MEMBER}{self._owner}").delete()


def lease_of(name: str) -> str:
    return f"informer:{name}"


def _members() -> list[str]:
    """Processes that follow clusters; rows of those that died without a goodbye are cleared away."""
    names = Lease.objects.filter(name__startswith=MEMBER)
    living = set(names.values_list("name", flat=True)) - leases.free(names.values_list("name", flat=True))
    dead = names.exclude(name__in=living)
    if dead.exists():
        dead.delete()
    return sorted(living)


def _goes_on(held: _Followed, one: Mine | None) -> bool:
    """A lease that had run out and that nobody else took since is as good as one that was kept."""
    if one is None or one.facts != held.facts:
        return False
    return one.fence - held.follower.hold.fence in {0, 1}


def _facts(clusters: Mapping[str, Cluster], fences: Mapping[str, int]) -> list[Mine]:
    wanted: dict[int, set[str]] = {cluster.pk: set() for cluster in clusters.values()}
    places: Iterable[tuple[int, Any]] = Machine.objects.filter(cluster__in=wanted).values_list(
        "cluster_id", "placement"
    )
    for pk, placement in places:
        wanted[pk].add(namespace_of(placement))
    return [
        Mine(cluster, _facts_of(cluster), fences[name], tuple(sorted(wanted[cluster.pk] - {""})))
        for name, cluster in clusters.items()
    ]


def _facts_of(cluster: Cluster) -> Facts:
    connection = cluster.connection
    changed = str(connection.changed_at) if connection is not None else ""
    return Facts(cluster.pk, cluster.name, cluster.connection_id, changed)
