"""The thread with the loop: looks every now and then which keys are in use, and keeps a line to each server that has some."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from clusters.config_use import in_use
from clusters.config_watch.line import Line
from clusters.configs import KIND, access_of
from clusters.drivers.config.consul import ConsulAccess
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.hands import Hands
from fangduoduo_release.common.loops import Loop
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence

HANDS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """One server and the keys to follow there. `trouble`: its connection cannot be used as it stands."""

    connection: Connection = field(compare=False)
    access: ConsulAccess | None
    keys: frozenset[str]
    trouble: Sentence | None = None


class Hub(Loop):
    """Ends soon after the duty's last call: another process is thought to follow then."""

    step_s = 0.1
    grace_s = 5.0

    def __init__(self, lost: threading.Event) -> None:
        self._hands = Hands("config", HANDS)
        self._lines: dict[int, Line] = {}
        super().__init__("configs", lost, [self._hands], daemon=True)

    @property
    def follows(self) -> int:
        return sum(len(line.keys) for line in list(self._lines.values()))

    async def tend(self) -> None:
        """A line to each server with keys in use; begun anew when its connection was changed (another token, say)."""
        wanted = {one.connection.pk: one for one in await self._hands.do(_wanted)}
        changed = [pk for pk, line in self._lines.items() if pk not in wanted or wanted[pk].access != line.access]
        await self._end(changed)
        for pk, one in wanted.items():
            line = self._lines.get(pk)
            if line is None:
                line = self._lines[pk] = Line(one.connection, one.access, one.trouble, self._hands)
            await line.tend(one.keys)

    async def leave(self) -> None:
        await self._end(list(self._lines))

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
