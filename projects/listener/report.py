"""How the listening to one server goes, told in its row: at once when its state changes, else every few seconds.

While the database is away nothing is told; what happened meanwhile is told when it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from fangduoduo_release.common.hands import AWAY, Hands
from fangduoduo_release.common.sentence import Sentence
from projects.models import SourceListener

BEAT_S = 5.0
SHORTEST_S = 0.2  # between two writes, however much happens
REMARK_S = 600.0  # for so long a remark (an event that was spoiled) stays to be read
COUNTS = ("events", "unreadable", "reconnects")
SAMPLES = 20
FEWEST_SAMPLES = 3
State = SourceListener.State


class Report:
    """Belongs to the loop; only `_write` runs elsewhere."""

    def __init__(self, connection_id: int, owner: str, hands: Hands) -> None:
        self._pk = connection_id
        self._owner = owner
        self._hands = hands
        self._changed = asyncio.Event()
        self._facts: dict[str, Any] = {"state": State.CONNECTING}
        self._counts = dict.fromkeys(COUNTS, 0)
        self._clocks: deque[float] = deque(maxlen=SAMPLES)  # how far the server seemed ahead, event by event
        self._trouble: Sentence | None = None  # why it does not listen
        self._remark: Sentence | None = None
        self._remark_until = 0.0
        self._mine = False

    def connecting(self) -> None:
        """A new try; why the last one failed stays to be read until one succeeds."""
        self._set(state=State.CONNECTING)

    def listening(self) -> None:
        self._clocks.clear()
        self._trouble = None
        self._set(state=State.LISTENING, down_since=None, connected_at=timezone.now())

    def down(self, sentence: Sentence) -> None:
        if self._facts["state"] == State.LISTENING:
            self._facts["down_since"] = timezone.now()
            self._counts["reconnects"] += 1
        self._trouble = sentence
        self._set(state=State.DOWN)

    def heard(self, lines: int, clock: float, at: float) -> None:
        """So many events came; the newest was made at `clock` by the server's clock (0: it does not say)."""
        self._counts["events"] += lines
        self._facts["last_event_at"] = datetime.fromtimestamp(at, tz=timezone.get_current_timezone())
        if clock:
            self._clocks.append(clock - at)

    def spoiled(self, sentence: Sentence) -> None:
        """An event could not be taken; listening goes on."""
        self._counts["unreadable"] += 1
        self._remark, self._remark_until = sentence, time.monotonic() + REMARK_S
        self._changed.set()

    def compared(self) -> None:
        self._set(compared_at=timezone.now())

    def _set(self, **facts: Any) -> None:
        self._facts |= facts
        self._changed.set()

    async def keep_written(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), BEAT_S)
            self._changed.clear()
            counts, self._counts = self._counts, dict.fromkeys(COUNTS, 0)
            try:
                await self._hands.do(self._write, {**self._facts, **self._judged()}, counts)
            except AWAY:
                self._counts = {name: self._counts[name] + counts[name] for name in COUNTS}
            await asyncio.sleep(SHORTEST_S)

    def _judged(self) -> dict[str, Any]:
        """What ails it, and how the server's clock goes."""
        if time.monotonic() > self._remark_until:
            self._remark = None
        trouble = self._trouble or self._remark
        return {"trouble": trouble.as_json() if trouble else None, "skew_s": self._skew()}

    def _skew(self) -> float | None:
        """Events come late but never early, so the furthest ahead is nearest to the truth; half a second is what
        their times, in whole seconds, leave out on average."""
        return round(max(self._clocks) + 0.5, 1) if len(self._clocks) >= FEWEST_SAMPLES else None

    def _write(self, facts: dict[str, Any], counts: dict[str, int]) -> None:
        rows = SourceListener.objects.filter(pk=self._pk)
        if not self._mine:
            self._take_over(rows.first())
        more = {name: F(name) + counts[name] for name in COUNTS if counts[name]}
        rows.filter(owner=self._owner).update(**facts, **more, seen_at=timezone.now())  # none: it is another's by now

    def _take_over(self, row: SourceListener | None) -> None:
        """The row is ours from now on. Since when nobody listens: since the one before us was seen last."""
        now = timezone.now()
        if row is None:
            with suppress(IntegrityError), transaction.atomic():  # the connection is gone
                SourceListener.objects.create(connection_id=self._pk, owner=self._owner, down_since=now)
        else:
            since = row.down_since or row.seen_at or now
            SourceListener.objects.filter(pk=self._pk).update(owner=self._owner, down_since=since)
        self._mine = True
