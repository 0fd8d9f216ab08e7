"""Follows all builds of one server: two requests a tick whatever their number, and a few for what changed.

A tick compares the server's census with our rows. What the census lists as before costs nothing; what began or vanished
is asked for, many builds of a job in one request. Builds that somebody watches, or that may have asked a question, get
their stages read, others now and then with what is left of the budget.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from builds.drivers.builder.remote import Census, RemoteBuilder
from builds.models import RemoteBuild
from builds.remote import looking
from builds.remote.stages import keep_questions, keep_stages
from fangduoduo_release.common.errors import Rejected, Unavailable

logger = logging.getLogger(__name__)
FASTEST_S, SLOWEST_S, ASLEEP_S = 0.5, 3.5, 2.0
LONGEST_BACKOFF_S = 30.0
DETAILS = 3  # watched builds whose stages one tick reads; one when nobody watches
WATCHED_EVERY_S, QUESTIONS_EVERY_S, OTHERS_EVERY_S = 1.0, 3.0, 30.0
SINGLES = 4  # builds one tick looks up by queue item or key


class Follower:
    """One server's follower. Belongs to one thread. `tick` says after how many seconds to call it again."""

    def __init__(self, connection_id: int) -> None:
        self.connection_id = connection_id
        self.failures = 0
        self.error: dict[str, object] | None = None  # the sentence of what ails the server now
        self._pause = FASTEST_S
        self._asking: set[int] = set()  # builds that have, or had, a question; as of this tick

    def tick(self, builder: RemoteBuilder) -> float:
        """Raises what the database raises; what ails the server is counted and waited for."""
        rows = list(
            RemoteBuild.objects.filter(connection=self.connection_id, ended=False)
            .exclude(queue_id=None, number=None)
            .select_related("build")
            .defer("build__parameters", "build__error")  # a thousand of them every tick, one decrypted
            .order_by("pk")
        )
        if not rows:
            self._pause = FASTEST_S
            return ASLEEP_S
        began = timezone.now()
        self._asking = set()
        try:
            changed = self._compare(rows, builder.census(), builder)
            detailed = self._details(rows, builder)
        except (Unavailable, Rejected) as error:
            return self._trouble(error)
        self.failures, self.error = 0, None
        took = (timezone.now() - began).total_seconds()
        return self._next(changed or detailed, took)

    # -- states ----------------------------------------------------------------------------------------------------

    def _compare(self, rows: list[RemoteBuild], census: Census, builder: RemoteBuilder) -> bool:
        """Facts of every row from the census and a few questions; True when something moved."""
        runs = {(found.job, found.number): found for found in census.running}
        by_key = {found.key: found for found in census.running if found.key}
        waits = {place.queue_id: place for _, place in census.waiting}
        moved = False
        same: list[RemoteBuild] = []
        gone: list[RemoteBuild] = []
        unplaced: list[RemoteBuild] = []
        for row in rows:
            found = runs.get((row.job, row.number or 0)) or by_key.get(str(row.build.key))
            if found is not None and found.maybe_asks:
                self._asking.add(row.pk)
            if row.number is None and found is not None:
                row.number = found.number
                RemoteBuild.objects.filter(pk=row.pk).update(number=found.number)
                gone.append(row)  # it began: its address and its beginning are asked for
            elif row.number is not None and found is not None:
                same.append(row)
            elif row.number is not None:
                gone.append(row)
            elif row.queue_id in waits:
                moved |= looking.note_place(row, waits[row.queue_id])
            else:
                unplaced.append(row)
        looking.still_runs(same)
        moved |= self._ask_for(gone, builder)
        for row in _longest_unseen(unplaced)[:SINGLES]:
            moved |= looking.look(row, builder)
        return moved or bool(unplaced)

    @staticmethod
    def _ask_for(rows: list[RemoteBuild], builder: RemoteBuilder) -> bool:
        """What became of builds that began or vanished from the census."""
        if not rows:
            return False
        seen = builder.observe_many([(row.job, row.number or 0) for row in rows])
        known = [(row, seen.get((row.job, row.number or 0))) for row in rows]
        moved = [looking.note(row, found) for row, found in known if found is not None]
        return any(moved)

    # -- stages and questions ---------------------------------------------------------------------------------------

    def _details(self, rows: Iterable[RemoteBuild], builder: RemoteBuilder) -> bool:
        """Stages and questions of the builds whose turn it is; True when somebody watches."""
        now = timezone.now()
        running = [row for row in rows if row.number is not None and not row.ended]
        watched = [row for row in running if row.watched_until is not None and row.watched_until > now]
        due = [row for row in running if _age(row, now) >= self._every(row, now)]
        first = [row for row in due if row in watched][:DETAILS]
        for row in first or due[:1]:
            number = row.number or 0
            keep_stages(row.build, builder.stages(row.job, number))
            if row.pk in self._asking:
                keep_questions(row.build, builder.questions(row.job, number))
            RemoteBuild.objects.filter(pk=row.pk).update(detailed_at=now)
        return bool(watched)

    def _every(self, row: RemoteBuild, now: datetime) -> float:
        if row.watched_until is not None and row.watched_until > now:
            return WATCHED_EVERY_S
        return QUESTIONS_EVERY_S if row.pk in self._asking else OTHERS_EVERY_S

    # -- pace --------------------------------------------------------------------------------------------------------

    def _next(self, busy: bool, took: float) -> float:
        self._pause = FASTEST_S if busy else min(SLOWEST_S, self._pause * 1.3)
        # A slow server gets at least as long a rest as its answer took.
        return max(self._pause, took) * random.uniform(0.9, 1.1)  # noqa: S311

    def _trouble(self, error: Unavailable | Rejected) -> float:
        self.failures += 1
        self.error = error.sentence.as_json()
        level = logging.WARNING if self.failures in (1, 10) else logging.DEBUG
        logger.log(level, "the builds of connection %s cannot be followed: %s", self.connection_id, error.sentence)
        return min(LONGEST_BACKOFF_S, 2.0 ** min(self.failures - 1, 5)) * random.uniform(0.5, 1.0)  # noqa: S311


_LONG_AGO = datetime.min.replace(tzinfo=timezone.get_default_timezone())


def _age(row: RemoteBuild, now: datetime) -> float:
    return (now - row.detailed_at).total_seconds() if row.detailed_at else float("inf")


def _longest_unseen(rows: list[RemoteBuild]) -> list[RemoteBuild]:
    return sorted(rows, key=lambda row: row.observed_at or _LONG_AGO)
