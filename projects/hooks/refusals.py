"""What was refused: ops see how many and why the last one, on the connection and in the log; a flood costs no rows.

Counted in memory and written down at most once in a while, one row (a beat) a connection. Names that belong to no
connection are counted too, so that they are answered alike, but never written down.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from fangduoduo_release.common.models import Beat, Connection
from fangduoduo_release.common.sentence import Sentence
from fangduoduo_release.common.sockets.pool import DatabasePool

from .store import Door

logger = logging.getLogger(__name__)
KIND = "hooks"
FLUSH_S = 2.0
HOURS = 24
PER_MINUTE = 60  # refusals of one name; more are told to come later
NAMES = 1024


@dataclass(slots=True)
class _Pending:
    count: int
    last: dict[str, Any]


class Refusals:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._pool = DatabasePool("hook-refusals", hands=1)
        self._pending: dict[Door, _Pending] = {}
        self._unsaid: dict[str, int] = {}
        self._said_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._flushing: asyncio.Task[None] | None = None

    def note(self, name: str, kind: str, door: Door | None, why: Sentence, address: str) -> int:
        """Count one. Returns 0, or in how many seconds this name is worth another try."""
        now = time.monotonic()
        self._say(name, kind, door, why, address, now)
        if door is not None:
            last = {"why": why.as_json(), "kind": kind, "address": address, "at": timezone.now().isoformat()}
            one = self._pending.setdefault(door, _Pending(0, last))
            one.count, one.last = one.count + 1, last
            if self._flushing is None or self._flushing.done():
                self._flushing = asyncio.create_task(self._flush())
        return self._wait(f"{kind}/{name}", now)

    def _wait(self, key: str, now: float) -> int:
        left, at = self._tokens.pop(key, (float(PER_MINUTE), now))
        left = min(float(PER_MINUTE), left + (now - at) * PER_MINUTE / 60)
        _remember(self._tokens, key, (max(0.0, left - 1), now))
        return 0 if left >= 1 else 60

    def _say(self, name: str, kind: str, door: Door | None, why: Sentence, address: str, now: float) -> None:
        """A line for the log, at most one of each kind in a while; names are a stranger's words."""
        shown = door.name if door else name[:60]
        key = (shown, why.msgid)
        if now - self._said_at.get(key, float("-inf")) < FLUSH_S:
            if shown in self._unsaid or len(self._unsaid) < NAMES:  # names are a stranger's, and there are many
                self._unsaid[shown] = self._unsaid.get(shown, 0) + 1
            return
        _remember(self._said_at, key, now)
        more = self._unsaid.pop(shown, 0)
        logger.warning("a webhook (%s) for %r from %s is refused: %s%s", kind, shown, address or "?", why,
                       f" ({more} more since the last line)" if more else "")  # fmt: skip

    async def _flush(self) -> None:
        while self._pending:
            await asyncio.sleep(FLUSH_S)
            pending, self._pending = self._pending, {}
            try:
                await self._pool.run(_write, pending)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("refused webhooks could not be counted: %s", error)


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > NAMES:
        known.popitem(last=False)


def beat_of(connection: int) -> str:
    return f"{KIND}:{connection}"


def _write(pending: Mapping[Door, _Pending]) -> None:
    hour = timezone.now().strftime("%Y-%m-%dT%H")
    with transaction.atomic():
        for door in sorted(pending, key=lambda one: one.pk):
            if not Connection.objects.filter(pk=door.pk).exists():
                continue
            beat, _ = Beat.objects.select_for_update().get_or_create(
                name=beat_of(door.pk), defaults={"kind": KIND, "seen_at": Now()}
            )
            hours = dict(beat.info.get("hours") or {}) if isinstance(beat.info, dict) else {}
            hours[hour] = hours.get(hour, 0) + pending[door].count
            kept = {one: hours[one] for one in sorted(hours)[-HOURS:]}
            total = int(beat.info.get("refused", 0)) + pending[door].count
            info = {"connection": door.name, "refused": total, "hours": kept, "last": pending[door].last}
            Beat.objects.filter(pk=beat.pk).update(info=info, seen_at=Now())


def lately(connection: int) -> tuple[int, dict[str, Any]]:
    """How many were refused within a day, and the last of them."""
    beat = Beat.objects.filter(name=beat_of(connection)).first()
    if beat is None:
        return 0, {}
    since = (timezone.now() - timedelta(hours=HOURS)).strftime("%Y-%m-%dT%H")
    hours = beat.info.get("hours") or {}
    return sum(count for hour, count in hours.items() if hour > since), dict(beat.info.get("last") or {})
