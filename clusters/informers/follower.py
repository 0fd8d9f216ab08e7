"""Follows one cluster: a client, an informer for each resource (or for each namespace we may see), and one writer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.async_api import AsyncApi
from clusters.drivers.runtime.kubernetes.informer import Informer
from clusters.drivers.runtime.kubernetes.listing import Refused
from clusters.drivers.runtime.kubernetes.names import FOLLOWED
from clusters.drivers.runtime.kubernetes.pace import Pace
from clusters.drivers.runtime.kubernetes.seen import Key, gone
from clusters.drivers.runtime.kubernetes.sink import Known
from clusters.kubernetes import access_of
from clusters.models import Cluster
from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.sentence import S

from . import rows
from .feeds import Feed
from .ledger import Ledger
from .news import News
from .writer import Writer

logger = logging.getLogger(__name__)
PING_S = 2.0
PATH_OF_PING = "/version"  # whoever may speak to the server at all may ask for it
SILENT_S = 8.0
RETRY_WIDE_S = 600.0  # an account that may see some namespaces only may be given more


@dataclass(frozen=True, slots=True)
class Ground:
    """What all followers of a process stand on."""

    hands: Hands
    tellers: Hands  # whoever is told news may take its time
    pace: Pace


class Follower:
    """Runs until it is cancelled, or until the cluster is another's. Belongs to the loop."""

    def __init__(self, cluster: Cluster, hold: rows.Hold, namespaces: tuple[str, ...], ground: Ground) -> None:
        self.hold = hold
        self._cluster, self._ground = cluster, ground
        self._namespaces = namespaces
        self._moved = asyncio.Event()  # other namespaces are wanted
        self._ledger = Ledger(FOLLOWED)
        self._news = News(ground.tellers)
        self._writer = Writer(hold, self._ledger, ground.hands, self._news)
        self._api: AsyncApi | None = None

    def watch_namespaces(self, namespaces: tuple[str, ...]) -> None:
        if namespaces != self._namespaces:
            self._namespaces = namespaces
            self._moved.set()

    async def run(self) -> None:
        try:
            await self._writer.begin()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._writer.run())
                group.create_task(self._news.run())
                group.create_task(self._reach())
        except* rows.Lost:
            logger.info("%s is followed by somebody else, or is gone", self.hold.lease)

    async def _reach(self) -> None:
        """A client, and everything that hangs on it; again when it cannot be made."""
        failures = 0
        while True:
            try:
                access = await self._ground.hands.do(access_of, self._cluster)
                async with AsyncApi(access) as self._api, asyncio.TaskGroup() as group:
                    for feed in self._ledger.feeds.values():
                        group.create_task(self._follow(self._api, feed))
                    group.create_task(self._ping(self._api))
            except AppError as error:
                failures += 1
                for feed in self._ledger.feeds.values():
                    feed.down(error.sentence)
                logger.warning("%s cannot be followed: %s", self.hold.lease, error)
                hopeless = not isinstance(error, Unavailable)
                longest = self._ground.pace.forbidden if hopeless else self._ground.pace.longest_pause
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(longest, 2.0**failures))  # noqa: S311

    async def _ping(self, api: AsyncApi) -> None:
        """A watch that says nothing is alive as long as its server answers; kernels ask for its connection's life."""
        self._ledger.answered_at = begun = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(2 * PING_S), api.open(PATH_OF_PING, silence_s=2 * PING_S) as response:
                    await response.content.read(1 << 16)
                    answered = response.status < 500
            except (Unavailable, TimeoutError):
                answered = False
            if answered:
                self._ledger.answered_at = time.monotonic()
            silent = time.monotonic() - max(begun, self._ledger.answered_at) > SILENT_S
            self._ledger.hush(S("The API server does not answer.") if silent else None)
            await asyncio.sleep(PING_S)

    # -- one resource -------------------------------------------------------------------------------------------------

    async def _follow(self, api: AsyncApi, feed: Feed) -> None:
        """In all namespaces; where that is forbidden, in each of those our machines are in."""
        while True:
            feed.forget_scopes()
            try:
                await self._informer(api, feed, "", leaves=feed.resource.namespaced).run()
            except Refused as no:
                self._moved.clear()
                if self._namespaces:
                    logger.info("%s: %s is followed by namespace: %s", self.hold.lease, feed.resource.key, no.sentence)
                    await self._follow_narrowly(api, feed)
                else:
                    feed.down(no.sentence)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._moved.wait(), self._ground.pace.forbidden)

    async def _follow_narrowly(self, api: AsyncApi, feed: Feed) -> None:
        """Until other namespaces are wanted, or all may be seen."""
        feed.forget_scopes()
        wanted = self._namespaces
        for key, one in (await self._known(feed.resource.key, "")).items():
            if key[0] not in wanted and not one.gone:  # nobody will hear of them any more
                self._ledger.add(gone(feed.resource.key, key, one.version))
        tasks = [asyncio.create_task(self._informer(api, feed, namespace).run()) for namespace in wanted]
        tasks += [asyncio.create_task(self._until_moved()), asyncio.create_task(self._until_allowed(api, feed))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # an informer ends by stumbling only
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_moved(self) -> None:
        await self._moved.wait()

    async def _until_allowed(self, api: AsyncApi, feed: Feed) -> None:
        while True:
            await asyncio.sleep(RETRY_WIDE_S * random.uniform(0.9, 1.1))  # noqa: S311
            with contextlib.suppress(Unavailable):
                if (await api.get(feed.resource.path(), {"limit": 1})).ok:
                    return

    def _informer(self, api: AsyncApi, feed: Feed, namespace: str, leaves: bool = False) -> Informer:
        scope = feed.scope(namespace, self._known)
        return Informer(
            api, feed.resource, namespace, scope, pace=self._ground.pace, renew=self._renew, leaves=leaves
        )  # fmt: skip

    async def _known(self, resource: str, namespace: str) -> Mapping[Key, Known]:
        pause = 0.1
        while True:
            try:
                return await self._ground.hands.do(rows.known, self.hold.cluster, resource, namespace)
            except AWAY:
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)

    async def _renew(self) -> None:
        """The server does not accept our token: perhaps another one was stored since."""
        with contextlib.suppress(AppError, *AWAY):
            access = await self._ground.hands.do(_access_now, self.hold.cluster)
            if access is not None and self._api is not None and access.server == self._api.access.server:
                self._api.access = access


def _access_now(cluster: int) -> Access | None:
    found = Cluster.objects.select_related("connection").filter(pk=cluster).first()
    return access_of(found) if found is not None else None
