"""One connection's ear: connect, listen, hand over what is heard, and begin again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fangduoduo_release.common.errors import AppError, Rejected
from fangduoduo_release.common.hands import Hands
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence
from projects.drivers.source.gerrit.stream import StreamAddress, connected

from .comparing import Comparer
from .report import Report
from .taking import Taker

logger = logging.getLogger(__name__)
LONGEST_PAUSE_S = 60.0
HEALTHY_S = 60.0  # after so long the next trouble is a new one
HOPELESS_S = 60.0  # what somebody has to mend first is tried again after so long, and up to
MOST_HOPELESS_S = 300.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What an ear is made from; another one is made when it changes. `trouble`: why the secrets cannot be read."""

    pk: int
    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(repr=False)
    trouble: Sentence | None = None


class Ear:
    """Runs until it is cancelled. Belongs to the loop."""

    def __init__(self, connection: Connection, facts: Facts, owner: str, few: Hands, slow: Hands) -> None:
        self._connection = connection
        self._facts = facts
        self._report = Report(connection.pk, owner, few)
        self._comparer = Comparer(connection.pk, connection.name, slow, self._report)
        self._taker = Taker(connection, few, self._report, self._comparer.ask)
        self._mended = asyncio.Event()

    def try_now(self) -> None:
        """Whatever it waits for is said to be mended."""
        self._mended.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report.keep_written())
            group.create_task(self._taker.run())
            group.create_task(self._comparer.run())
            group.create_task(self._listen_on())

    async def _listen_on(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            self._report.connecting()
            try:
                await self._listen()
            except AppError as error:
                failures = 1 if self._comparer.active and time.monotonic() - began > HEALTHY_S else failures + 1
                self._comparer.active = False
                pause = pause_after(error, failures)
                logger.warning("%s: not listening: %s (again in %.0f s)", self._connection.name, error, pause)
                self._report.down(error.sentence)
            self._mended.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._mended.wait(), pause)
            await self._taker.room()

    async def _listen(self) -> None:
        """Ends only by an error. First it listens, then it compares, so that no push falls between."""
        if self._facts.trouble:
            raise Rejected(self._facts.trouble, code="secret_unreadable")
        address = StreamAddress.of(self._facts.config, self._facts.secrets)
        async with connected(address) as session:
            await session.begin()
            logger.info("%s: listening to %s", self._connection.name, address.place)
            self._report.listening()
            self._comparer.active = True
            self._comparer.ask()
            async for heard in session.heard():
                self._taker.hear(heard)


def pause_after(error: AppError, failures: int) -> float:
    """In seconds, with some chance in it, so that many do not come at once. What the server refused is hardly ever
    mended within seconds; an edited connection is tried at once, by a new ear, and one whose test was good as well."""
    if isinstance(error, Rejected):
        return min(MOST_HOPELESS_S, HOPELESS_S * 2 ** min(failures - 1, 8)) * random.uniform(1.0, 1.2)  # noqa: S311
    return min(LONGEST_PAUSE_S, 2 ** min(failures - 1, 8)) * random.uniform(0.5, 1.0)  # noqa: S311
