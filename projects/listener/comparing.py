"""Comparing the tips of all projects of a connection with the last ones seen: what nobody told us is found there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from django.db.models.functions import Now

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.hands import AWAY, Hands
from projects import pushes, refused
from projects.models import Project

from .report import Report

logger = logging.getLogger(__name__)
EVERY_S = 170.0  # a little more often than the duty that compares whatever nobody compared
AT_ONCE = 3
SHORTEST_S = 5.0  # between two rounds, however often something is spoiled


class Comparer:
    """Belongs to the loop. Compares when asked to, and again and again while it is `active`."""

    def __init__(self, connection_id: int, name: str, hands: Hands, report: Report) -> None:
        self._pk = connection_id
        self._name = name
        self._hands = hands
        self._report = report
        self._asked = asyncio.Event()
        self.active = False

    def ask(self) -> None:
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled; no further project is begun then."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), EVERY_S)
            if self._asked.is_set() or self.active:
                self._asked.clear()
                await self._round()
                await asyncio.sleep(SHORTEST_S)

    async def _round(self) -> None:
        found: list[int] = []
        waiting: list[int] = []

        async def look() -> None:
            moves = await self._hands.do(self._compare, waiting.pop())
            if moves is None:
                waiting.clear()
            else:
                found.append(moves)

        async def work() -> None:
            while waiting:
                await look()

        try:
            waiting += await self._hands.do(self._projects)
            if waiting:
                await look()  # by itself: a password that is wrong is tried once, and not by all at once
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work())
        except* AWAY as error:
            logger.warning("%s: the comparison waits for the database: %s", self._name, error.exceptions[0])
            self.ask()
        else:
            self._report.compared()
            if sum(found):
                logger.info("%s: %s moves were found by comparison", self._name, sum(found))

    def _projects(self) -> list[int]:
        rows = Project.objects.filter(source_connection=self._pk, archived=False).exclude(repository="")
        return list(rows.order_by("-polled_at").values_list("pk", flat=True))  # the last is taken first

    def _compare(self, pk: int) -> int | None:
        """How many moves were new; None: the server does not let us in, others there need not try."""
        project = Project.objects.select_related("source_connection").filter(pk=pk).first()
        if project is None:
            return 0
        Project.objects.filter(pk=pk).update(polled_at=Now())
        try:
            return pushes.compare(project)
        except AppError as error:
            logger.warning("cannot compare the tips of %s: %s", project.slug, error)
            if refused.is_of_account(error):
                return None
        except AWAY:
            raise
        except Exception:  # one project that stumbles must not keep the others from being compared: told
            logger.exception("the comparison of the tips of %s stumbled", project.slug)
        return 0
