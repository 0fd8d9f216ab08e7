"""The thread with the loop: keeps the leases of the connections this process listens to, and an ear for each.

A lease that cannot be renewed because the database is away is kept in spirit: nobody else can take it either. Only when
somebody else holds it does the ear end. Two that listen at once for a moment do no harm.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from dataclasses import dataclass

from django.conf import settings

from fangduoduo_release.common import leases
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.loops import Loop
from fangduoduo_release.common.models import Connection
from projects.listening import listened

from .ear import Ear, Facts

logger = logging.getLogger(__name__)
LEASE_S = 10.0
STUMBLED_S = 30.0
FEW, SLOW = 4, 3


@dataclass(slots=True)
class _Ear:
    ear: Ear
    task: asyncio.Task[None]
    facts: Facts
    works: str  # when a test of the connection was good last


class Hub(Loop):
    """An ear for each connection whose lease this process holds."""

    def __init__(self, lost: threading.Event) -> None:
        self.owner = f"{settings.HOST_ID}:{os.getpid()}:{os.urandom(3).hex()}"
        self._few, self._slow = Hands("listener", FEW), Hands("comparer", SLOW)
        self._ears: dict[int, _Ear] = {}
        self._not_before: dict[int, float] = {}
        super().__init__("listening", lost, [self._few, self._slow])  # it gives its leases back

    @property
    def listens_to(self) -> int:
        return len(self._ears)

    async def leave(self) -> None:
        names = [ear.facts.name for ear in self._ears.values()]
        await self._end(list(self._ears))
        try:
            async with asyncio.timeout(2):
                await self._few.do(_let_go, names, self.owner)
        except (*AWAY, TimeoutError):
            logger.warning("the leases of the listeners were not given back; they run out")

    async def tend(self) -> None:
        """An ear for every connection that is ours; none for those that are not, or were changed."""
        self._bury()
        mine = await self._few.do(_mine, self.owner)
        wanted = {facts.pk: (connection, facts) for connection, facts in mine}
        await self._end([pk for pk, ear in self._ears.items() if pk not in wanted or wanted[pk][1] != ear.facts])
        for pk, (connection, facts) in wanted.items():
            tested = connection.last_test or {}
            works = str(tested.get("at", "")) if tested.get("ok") else ""
            held = self._ears.get(pk)
            if held is None and time.monotonic() >= self._not_before.get(pk, 0.0):
                ear = Ear(connection, facts, self.owner, self._few, self._slow)
                self._ears[pk] = _Ear(ear, asyncio.create_task(ear.run(), name=facts.name), facts, works)
            elif held is not None and works and works != held.works:
                held.works = works
                held.ear.try_now()

    async def _end(self, gone: list[int]) -> None:
        tasks = [self._ears.pop(pk).task for pk in gone]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=3)

    def _bury(self) -> None:
        """An ear ends only when it stumbles over something nobody foresaw: told, and begun again after a while."""
        for pk in [pk for pk, ear in self._ears.items() if ear.task.done()]:
            task = self._ears.pop(pk).task
            if not task.cancelled():
                logger.error("the listening to %s stumbled", task.get_name(), exc_info=task.exception())
            self._not_before[pk] = time.monotonic() + STUMBLED_S


def _facts(connection: Connection) -> Facts:
    """Secrets are read one by one: those of one connection that cannot be opened concern no other."""
    try:
        return Facts(connection.pk, connection.name, connection.config, connection.secrets or {})
    except AppError as error:
        return Facts(connection.pk, connection.name, connection.config, {}, error.sentence)


def _mine(owner: str) -> list[tuple[Connection, Facts]]:
    """The connections whose lease this process holds, after renewing those and taking what is free."""
    names = {f"listener:{connection.name}": connection for connection in listened()}
    held = set(leases.keep(names, owner, LEASE_S))
    for name in leases.free(set(names) - held):
        if leases.hold(name, owner, LEASE_S) is not None:
            held.add(name)
    return [(names[name], _facts(names[name])) for name in held]


def _let_go(names: list[str], owner: str) -> None:
    for name in names:
        leases.let_go(f"listener:{name}", owner)
