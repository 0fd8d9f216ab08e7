"""The thread with the loop: looks every now and then which keys are in use, and keeps a line to each server that has some."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from clusters.config_use import in_use
from clusters.config_watch.line import Line
from clusters.configs import KIND, access_of
from clusters.drivers.config.consul import ConsulAccess
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence

logger = logging.getLogger(__name__)
TICK_S = 2.0
STEP_S = 0.1
GRACE_S = 5.0  # without a call of the duty for so long, another process is thought to follow
HANDS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """One server and the keys to follow there. `trouble`: its connection cannot be used as it stands."""

    connection: Connection = field(compare=False)
    access: ConsulAccess | None
    keys: frozenset[str]
    trouble: Sentence | None = None


class Hub:
    """Begun by the duty, which renews it; ends by itself when it is not renewed, or when `lost` is set."""

    def __init__(self, lost: threading.Event) -> None:
        self._hands = Hands("config", HANDS)
        self._lines: dict[int, Line] = {}
        self._away = False
        self.renew(lost)
        self._thread = threading.Thread(target=self._run, name="configs", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def follows(self) -> int:
        return sum(len(line.keys) for line in list(self._lines.values()))

    def renew(self, lost: threading.Event) -> None:
        self._lost, self._until = lost, time.monotonic() + GRACE_S

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def _over(self) -> bool:
        return self._lost.is_set() or time.monotonic() > self._until

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._hands.close()

    async def _main(self) -> None:
        looked = 0.0
        while not self._over():
            if time.monotonic() - looked >= TICK_S:
                looked = time.monotonic()
                await self._tend()
            await asyncio.sleep(STEP_S)
        await self._end(list(self._lines))

    async def _tend(self) -> None:
        """A line to each server with keys in use; begun anew when its connection was changed (another token, say)."""
        try:
            wanted = {one.connection.pk: one for one in await self._hands.do(_wanted)}
            self._away = False
        except AWAY as error:
            if not self._away:
                logger.warning("the followers of configuration cannot reach their database: %s", error)
            self._away = True
            return
        changed = [pk for pk, line in self._lines.items() if pk not in wanted or wanted[pk].access != line.access]
        await self._end(changed)
        for pk, one in wanted.items():
            line = self._lines.get(pk)
            if line is None:
                line = self._lines[pk] = Line(one.connection, one.access, one.trouble, self._hands)
            await line.tend(one.keys)

    async def _end(self, gone: list[int]) -> None:
        for line in [self._lines.pop(pk) for pk in gone]:
            await line.end()


def _wanted() -> list[Wanted]:
    """Secrets are read one by one: those of one connection that cannot be opened concern no other."""
    keys = in_use()
    return [_one(row, keys[row.name]) for row in Connection.objects.filter(kind=KIND, name__in=list(keys))]


def _one(connection: Connection, keys: frozenset[str]) -> Wanted:
    access: Any = None
    try:
        access = access_of(ConsulAccess, connection)
    except AppError as error:
        return Wanted(connection, None, keys, error.sentence)
    return Wanted(connection, access, keys)
