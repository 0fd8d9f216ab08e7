"""Notice when the database's clock was moved, which all leases and due times hang on; and mend what a jump leaves.

Forward: leases of healthy holders look dead until their next renewal, so nobody should take them in that moment.
Backward: what a dead process held stays leased, and what was due soon stays asleep, for as long as the jump was.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from . import runs
from .models import Claimable, Run

JUMP_S = 3.0
LONGEST_LEASE_S = 120.0


class Clock:
    """Compares the database's clock with this machine's monotonic one between two looks."""

    def __init__(self) -> None:
        self._offset: tuple[float, float] | None = None  # at least, at most: a look takes a while

    def jumped(self) -> float:
        """By how many seconds the database's clock moved against ours since the last look (0.0 when it did not).

        What a slow answer, or a process that was held up during the look, can explain is no move.
        """
        before = time.monotonic()
        now = _database_now()
        least, most = now - time.monotonic(), now - before
        last, self._offset = self._offset, (least, most)
        if last is None:
            return 0.0
        moved = max(0.0, least - last[1]) + min(0.0, most - last[0])
        return moved if abs(moved) > JUMP_S else 0.0


def _database_now() -> float:
    # SQLite's CURRENT_TIMESTAMP would leave out what has passed of the second.
    here = "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')" if connection.vendor == "sqlite" else "CURRENT_TIMESTAMP"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {here}")
        (now,) = cursor.fetchone()
    if isinstance(now, str):  # SQLite: UTC without a zone
        now = datetime.fromisoformat(now).replace(tzinfo=UTC)
    return float(now.timestamp())


class Mender:
    """Finds leases and due times that lie further ahead than anything writes them."""

    def __init__(self) -> None:
        self._seen: dict[tuple[type[Claimable], int, int, Any], float] = {}

    def mend(self, models: set[type[Claimable]]) -> int:
        """Wake rows asleep beyond LONGEST_DELAY_S, free leases beyond LONGEST_LEASE_S that nobody renewed for a
        lease's time; returns how many rows were mended."""
        mended = 0
        now = time.monotonic()
        seen: dict[tuple[type[Claimable], int, int, Any], float] = {}
        for model in models:
            rows: Any = model._default_manager.all()
            if issubclass(model, Run):
                rows = rows.filter(state__in=model.STATES.active)
            mended += rows.filter(next_at__gt=runs.in_seconds(runs.LONGEST_DELAY_S + 60)).update(next_at=Now())
            odd = rows.filter(lease_until__gt=runs.in_seconds(LONGEST_LEASE_S))
            for pk, fence, until in odd.values_list("pk", "fence", "lease_until"):
                key = (model, pk, fence, until)
                seen[key] = self._seen.get(key, now)
                if now - seen[key] > settings.LEASE_S:  # a living holder has renewed it by now
                    mended += rows.filter(pk=pk, fence=fence, lease_until=until).update(lease_until=Now())
        self._seen = seen
        return mended
