"""Follows all builds of one server: two requests a tick whatever their number, and a few for what changed.

A tick compares the server's census with our rows. What the census lists as before costs nothing; what began or vanished
is asked for, many builds of a job in one request. Builds that somebody watches, or that may have asked a question, get
their stages read, others now and then with what is left of the budget.

A thousand rows are read every tick, so only the few columns that are compared; the rows themselves when something is to
be done with them.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from builds.drivers.builder.remote import Census, Place, RemoteBuilder
from builds.models import RemoteBuild
from builds.remote import looking
from builds.remote.stages import keep_questions, keep_stages
from fangduoduo_release.common.errors import AppError, Rejected, Unavailable

logger = logging.getLogger(__name__)
FASTEST_S, SLOWEST_S, ASLEEP_S = 0.5, 2.0, 2.0
LONGEST_BACKOFF_S = 30.0
DETAILS = 3  # watched builds whose stages one tick reads; one when nobody watches
WATCHED_EVERY_S, QUESTIONS_EVERY_S, OTHERS_EVERY_S = 1.0, 3.0, 30.0
SINGLES = 4  # builds one tick looks up by queue item or key


class Known(NamedTuple):
    """What a tick compares of one row."""

    pk: int
    job: str
    number: int | None
    queue_id: int | None
    key: UUID
    missed: int
    observed_at: datetime | None
    watched_until: datetime | None
    detailed_at: datetime | None

    def watched(self, now: datetime) -> bool:
        return self.watched_until is not None and self.watched_until > now


_Rows = list[Known]
COLUMNS = tuple("build__key" if name == "key" else name for name in Known._fields)


class Follower:
    """One server's follower. Belongs to one thread. `tick` says after how many seconds to call it again. How long a tick
    takes is told by `clock`, not by the time of day, which may jump."""

    def __init__(self, connection_id: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.connection_id = connection_id
        self._clock = clock
        self.failures = 0
        self.error: dict[str, object] | None = None  # the sentence of what ails the server now
        self._pause = FASTEST_S
        self._asking: set[int] = set()  # builds that have, or had, a question; as of this tick
        self._waits: dict[int, Place] = {}  # where builds waited at the last tick

    def tick(self, builder: RemoteBuilder) -> float:
        """Raises what the database raises; what ails the server is counted and waited for."""
        open_rows = RemoteBuild.objects.filter(connection=self.connection_id, ended=False)
        told = open_rows.exclude(queue_id=None, number=None).order_by("pk").values_list(*COLUMNS)
        rows = [Known._make(row) for row in told]
        if not rows:
            self._pause = FASTEST_S
            return ASLEEP_S
        began = self._clock()
        self._asking = set()
        try:
            # Parameters are most of what a census says; only who waits is to be found by its key.
            census = builder.census(keys=any(row.number is None for row in rows))
            changed = self._compare(rows, census, builder)
            detailed = self._details(rows, builder)
        except (Unavailable, Rejected) as error:
            return self.trouble(error)
        self.failures, self.error = 0, None
        return self._next(changed or detailed, self._clock() - began)

    # -- states ----------------------------------------------------------------------------------------------------

    def _compare(self, rows: list[Known], census: Census, builder: RemoteBuilder) -> bool:
        """Facts of every row from the census and a few questions; True when something moved."""
        runs = {(found.job, found.number): found for found in census.running}
        by_key = {found.key: found for found in census.running if found.key}
        waits = {place.queue_id: place for _, place in census.waiting}
        waiting: dict[int, Place] = {}
        same, asked, strangers, unplaced = _Rows(), _Rows(), _Rows(), _Rows()
        for at, row in enumerate(rows):
            found = by_key.get(str(row.key)) if row.number is None else runs.get((row.job, row.number))
            if found is not None and found.maybe_asks:
                self._asking.add(row.pk)
            if found is not None and row.number is None:
                rows[at] = row._replace(number=found.number)
                asked.append(rows[at])  # it began: its address and its beginning are asked for
            elif found is not None:
                (same if found.key in ("", str(row.key)) else strangers).append(row)
            elif row.number is not None:
                asked.append(row)
            elif row.queue_id in waits:
                waiting[row.pk] = waits[row.queue_id]
                if self._waits.get(row.pk) == waiting[row.pk]:
                    same.append(row)
            else:
                unplaced.append(row)
        looking.still_there([row.pk for row in same if row.missed or _is_stale(row.observed_at)])
        moved = self._ask_for(asked, builder)
        for pk, model in _models(pk for pk, place in waiting.items() if self._waits.get(pk) != place).items():
            moved |= looking.note_place(model, waiting[pk])
        self._waits = waiting
        for model in _models(row.pk for row in strangers).values():
            moved |= looking.note_missing(model)
        unplaced.sort(key=lambda row: row.observed_at or _LONG_AGO)
        for model in _models(row.pk for row in unplaced[:SINGLES]).values():
            moved |= looking.look(model, builder)
        return moved or bool(unplaced)

    @staticmethod
    def _ask_for(asked: Sequence[Known], builder: RemoteBuilder) -> bool:
        """What became of builds that began or vanished from the census."""
        numbers = {row.pk: row.number for row in asked}
        rows = [row for pk, row in _models(numbers).items() if row.number == numbers[pk] or _begins(row, numbers[pk])]
        if not rows:
            return False
        seen = builder.observe_many([(row.job, row.number or 0) for row in rows])
        known = [(row, seen.get((row.job, row.number or 0))) for row in rows]
        moved = [looking.note(row, found) for row, found in known if found is not None]
        return any(moved) or len(moved) < len(rows)  # who was not looked at this time is looked at soon

    # -- stages and questions ---------------------------------------------------------------------------------------

    def _details(self, rows: Iterable[Known], builder: RemoteBuilder) -> bool:
        """Stages and questions of the builds whose turn it is, longest waited first; True when somebody watches."""
        now = timezone.now()
        running = [row for row in rows if row.number is not None]
        watched = {row.pk for row in running if row.watched(now)}
        due = [row for row in running if _age(row, now) >= self._every(row, now)]
        due.sort(key=lambda row: (row.pk not in watched, row.pk not in self._asking, row.detailed_at or _LONG_AGO))
        first = [row.pk for row in due if row.pk in watched][:DETAILS]
        for pk, row in _models(first or [row.pk for row in due[:1]]).items():
            if row.ended:
                continue  # seen just now
            number = row.number or 0
            keep_stages(row.build, builder.stages(row.job, number))
            if pk in self._asking:
                keep_questions(row.build, builder.questions(row.job, number))
            RemoteBuild.objects.filter(pk=pk).update(detailed_at=now)
        return bool(watched)

    def _every(self, row: Known, now: datetime) -> float:
        if row.watched(now):
            return WATCHED_EVERY_S
        return QUESTIONS_EVERY_S if row.pk in self._asking else OTHERS_EVERY_S

    # -- pace --------------------------------------------------------------------------------------------------------

    def _next(self, busy: bool, took: float) -> float:
        self._pause = FASTEST_S if busy else min(SLOWEST_S, self._pause * 1.3)
        # A slow server gets at least as long a rest as its answer took.
        return max(self._pause, took) * random.uniform(0.9, 1.1)  # noqa: S311

    def trouble(self, error: AppError) -> float:
        """What ails the server or its connection: told now and then, and waited for longer and longer."""
        self.failures += 1
        self.error = error.sentence.as_json()
        level = logging.WARNING if self.failures in (1, 10) else logging.DEBUG
        logger.log(level, "the builds of connection %s cannot be followed: %s", self.connection_id, error.sentence)
        return min(LONGEST_BACKOFF_S, 2.0 ** min(self.failures - 1, 5)) * random.uniform(0.5, 1.0)  # noqa: S311


_LONG_AGO = datetime.min.replace(tzinfo=timezone.get_default_timezone())
STALE_S = 20.0  # a row that stays as it is says this often that it was seen


def _is_stale(at: datetime | None) -> bool:
    return at is None or (timezone.now() - at).total_seconds() > STALE_S


def _age(row: Known, now: datetime) -> float:
    return (now - row.detailed_at).total_seconds() if row.detailed_at else float("inf")


def _begins(row: RemoteBuild, number: int | None) -> bool:
    """Write the number down. False while an earlier build has it: its job was made anew, and it is not yet given up."""
    try:
        with transaction.atomic():
            RemoteBuild.objects.filter(pk=row.pk, number=None).update(number=number)
    except IntegrityError:
        return False
    row.number = number
    return True


def _models(pks: Iterable[int]) -> dict[int, RemoteBuild]:
    """The rows themselves, with their builds, in the order of their ids."""
    wanted = list(pks)
    if not wanted:
        return {}
    rows = RemoteBuild.objects.filter(pk__in=wanted).select_related("build").defer("build__parameters", "build__error")
    return {row.pk: row for row in rows.order_by("pk")}
