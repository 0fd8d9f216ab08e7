"""One Consul: a blocking look at each key that is in use, and what becomes of it when the server is away.

A look that returns unchanged costs no row of its own; that keys were looked at is written for all of them together. While
the server is away one look at a time is tried, further and further apart; all others wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from clusters.config_store import see
from clusters.config_use import tell
from clusters.drivers.config.base import Change
from clusters.drivers.config.consul import ConsulAccess
from clusters.drivers.config.consul_follow import CONNECTIONS, ConsulFollower
from clusters.models import ConfigSeen
from fangduoduo_release.common.errors import AppError, DriverError, Unavailable
from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence

logger = logging.getLogger(__name__)
WAIT_S = 20.0  # how long one look waits; also how old a silent death of the server's side can grow unnoticed
SHORT_S = 1.0  # where there are more keys than connections, so that each has its turn
GAP_S = 0.1  # between two looks at one key, whatever happens there
AGAIN_S = 0.5, 15.0  # after a failure of the server: the first pause, and the longest
REFUSED_S = 5.0, 30.0  # after a key was refused


class Line:
    """Belongs to the hub's loop."""

    def __init__(
        self, connection: Connection, access: ConsulAccess | None, trouble: Sentence | None, hands: Hands
    ) -> None:
        self.connection, self.access = connection, access
        self._trouble = trouble  # of the connection itself
        self._hands = hands
        self._follower = ConsulFollower(access) if access is not None else None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._one = asyncio.Lock()
        self._failures, self._not_before = 0, 0.0
        self._told: Sentence | None = None  # what stands at every key: the server's trouble
        self._told_of: frozenset[str] = frozenset()
        self._said: dict[str, tuple[str, str]] = {}  # what each key said last, as its row has it
        self._touched: set[str] = set()

    @property
    def keys(self) -> set[str]:
        return set(self._tasks) if self._follower is not None else set()

    async def tend(self, keys: frozenset[str]) -> None:
        """Follow these keys and no others, and write down what concerns them all."""
        for key in [key for key, task in self._tasks.items() if key not in keys or task.done()]:
            task = self._tasks.pop(key)
            if task.done() and not task.cancelled() and task.exception() is not None:
                logger.error("following %s in %s stumbled", key, self.connection, exc_info=task.exception())
            task.cancel()
            self._said.pop(key, None)
        if self._follower is not None:
            for key in keys - set(self._tasks):
                self._tasks[key] = asyncio.create_task(self._follow(key, self._follower))
        await self._write_state(keys)

    async def end(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=3)
        if self._follower is not None:
            await self._follower.close()

    async def _follow(self, key: str, follower: ConsulFollower) -> None:
        index, refused = 0, 0
        while True:
            try:
                change = await self._look(key, index, follower)
                if await self._keep(key, change):
                    index, refused = change.index, 0
                    pause = GAP_S
                else:
                    pause = AGAIN_S[1]  # the database is away; what was seen is not written down
                    index = 0
            except Unavailable as error:
                self._stumbled(error)
                index, pause = 0, 0.0
            except AppError as error:
                index, refused = 0, refused + 1
                pause = min(REFUSED_S[0] * 2 ** (refused - 1), REFUSED_S[1])
                await self._refuse(key, error)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311

    async def _look(self, key: str, index: int, follower: ConsulFollower) -> Change:
        if self._failures:
            async with self._one:
                if self._failures:
                    await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
                    change = await follower.changed(key, 0, 0.0)
                    self._failures = 0
                    return change
        crowded = len(self._tasks) > CONNECTIONS
        async with self._places:
            wait_s = SHORT_S if crowded else WAIT_S * random.uniform(0.8, 1.2)  # noqa: S311
            return await follower.changed(key, index, wait_s)

    def _stumbled(self, error: DriverError) -> None:
        """Many looks fail at once when a server goes; that is one failure."""
        now = time.monotonic()
        if self._failures and now < self._not_before:
            return
        first, longest = AGAIN_S
        self._not_before = now + min(first * 2**self._failures, longest) * random.uniform(0.7, 1.3)  # noqa: S311
        self._failures += 1
        self._trouble = error.sentence

    async def _keep(self, key: str, change: Change) -> bool:
        """Write down what it says, when that is new. False while the database is away."""
        if not self._failures:
            self._trouble = None
        found = change.document
        says = (found.revision, found.sha256) if found is not None else ("", "")
        if self._said.get(key) == says:
            self._touched.add(key)
            return True
        try:
            await self._hands.do(_seen, self.connection, key, change)
        except AWAY as error:
            logger.warning("what %s says in %s is not written down yet: %s", key, self.connection, error)
            return False
        self._said[key] = says
        return True

    async def _refuse(self, key: str, error: AppError) -> None:
        self._said.pop(key, None)
        try:
            await self._hands.do(_troubled, self.connection, [key], error.sentence)
        except AWAY:
            pass  # it is refused again, and written then

    async def _write_state(self, keys: frozenset[str]) -> None:
        trouble, touched, self._touched = self._trouble, self._touched, set()
        try:
            if touched:
                said = {key: self._said[key] for key in touched if key in self._said}
                for key in await self._hands.do(_touch, self.connection, said):
                    self._said.pop(key, None)  # its next look is written down whole
            if trouble is not None and (trouble, keys) != (self._told, self._told_of):
                await self._hands.do(_troubled, self.connection, keys, trouble)
            elif trouble is None and self._told is not None:
                await self._hands.do(_well_again, self.connection, self._told)
            self._told, self._told_of = trouble, keys
        except AWAY:
            self._touched |= touched


def _seen(connection: Connection, key: str, change: Change) -> None:
    with transaction.atomic():
        if see(connection, key, change.document, change.index):
            tell(connection.name, key)


def _touch(connection: Connection, said: Mapping[str, tuple[str, str]]) -> set[str]:
    """Say that these keys were looked at and are as they were. Those whose row says otherwise are given back instead: another
    process, which followed before us and was late, may have written what it saw then."""
    rows = ConfigSeen.objects.filter(connection=connection, key__in=list(said))
    stored = {key: (revision, sha256) for key, revision, sha256 in rows.values_list("key", "revision", "sha256")}
    same = {key for key, says in said.items() if stored.get(key) == says}
    ConfigSeen.objects.filter(connection=connection, key__in=same).update(seen_at=timezone.now(), trouble=None)
    return set(said) - same


def _troubled(connection: Connection, keys: Iterable[str], sentence: Sentence) -> None:
    """Say at each key why it cannot be read; also at one that nobody has read yet."""
    rows = ConfigSeen.objects.filter(connection=connection, key__in=list(keys))
    missing = set(keys) - set(rows.values_list("key", flat=True))
    ConfigSeen.objects.bulk_create(
        [ConfigSeen(connection=connection, key=key) for key in missing], ignore_conflicts=True
    )
    rows.update(trouble=sentence.as_json())


def _well_again(connection: Connection, sentence: Sentence) -> None:
    ConfigSeen.objects.filter(connection=connection, trouble=sentence.as_json()).update(trouble=None)
