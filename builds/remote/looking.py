"""What the server says of a build, written to its row. Used by the follower for all builds and by the engine for one.

Only facts are written here, never the build's state: that moves under the build's claim (`advance.py`). A row that
changed pokes its build.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from builds.drivers.builder.remote import Observation, Place, RemoteBuilder
from builds.models import Build, RemoteBuild
from builds.remote.masking import Words
from fangduoduo_release.common import runs
from fangduoduo_release.common.queue import ring

FINAL = frozenset({"succeeded", "unstable", "failed", "cancelled"})
LOST_AFTER = 3  # looks that find nothing …
LOST_AFTER_S = 12.0  # … over at least this long, before a build counts as lost


def look(row: RemoteBuild, builder: RemoteBuilder) -> bool:
    """Look at one build by itself; True when something changed. Raises Unavailable, Rejected."""
    if row.number is None:
        place = _place(row, builder)
        return note_place(row, place)
    return note(row, builder.observe(row.job, row.number))


def _place(row: RemoteBuild, builder: RemoteBuilder) -> Place | None:
    place = builder.queue_item(row.queue_id) if row.queue_id is not None else None
    return place or builder.find(row.job, str(row.build.key))


def note_place(row: RemoteBuild, place: Place | None) -> bool:
    """It waits, has begun, left the queue without a build, or is not to be found."""
    if place is None:
        return note_missing(row)
    if place.cancelled:
        return note(row, Observation("cancelled", key=str(row.build.key)))
    waiting = {"waiting_for": place.waiting_for} if place.number is None else None
    changed = (place.number, place.queue_id or row.queue_id, waiting) != (row.number, row.queue_id, row.observed)
    return _write(
        row, poke=changed, number=place.number, queue_id=place.queue_id or row.queue_id, observed=waiting,
        missed=0, missed_at=None,
    )  # fmt: skip


def note(row: RemoteBuild, seen: Observation) -> bool:
    """What was observed of a build with a number (or of one that left the queue)."""
    if seen.state is None or seen.key not in ("", str(row.build.key)):  # none, or another's: the job was made anew
        return note_missing(row)
    facts = as_json(seen, row.build)
    ended = seen.state in FINAL
    return _write(
        row, poke=ended or facts != row.observed, observed=facts, ended=ended, missed=0, missed_at=None
    )  # fmt: skip


def note_missing(row: RemoteBuild) -> bool:
    """Not found this time. Only several looks that find nothing mean that it is lost; the engine says so then."""
    now = timezone.now()
    since = row.missed_at or now
    lost = row.missed + 1 >= LOST_AFTER and (now - since).total_seconds() >= LOST_AFTER_S
    return _write(row, poke=lost, missed=min(row.missed + 1, 1000), missed_at=since)


def is_lost(row: RemoteBuild) -> bool:
    """Whether it was looked for often and long enough."""
    if row.missed < LOST_AFTER or row.missed_at is None:
        return False
    return (timezone.now() - row.missed_at).total_seconds() >= LOST_AFTER_S


def still_there(pks: Collection[int]) -> None:
    """Builds the census lists as before: nothing to write but that they were seen, once in a while."""
    if pks:
        RemoteBuild.objects.filter(pk__in=pks).update(observed_at=timezone.now(), missed=0, missed_at=None)


def as_json(seen: Observation, build: Build) -> dict[str, Any]:
    """An observation as it is stored: without the build's secrets."""
    return {
        "state": seen.state,
        "url": seen.external_url,
        "sentence": Words(build).sentence(seen.sentence),
        "started_at": _iso(seen.started_at),
        "finished_at": _iso(seen.finished_at),
        "asks": seen.asks,
        "has_tests": seen.has_tests,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _write(row: RemoteBuild, *, poke: bool, **changes: Any) -> bool:
    """Facts, the time of the look, and when it matters the bell."""
    changes["observed_at"] = timezone.now()
    for name, value in changes.items():
        setattr(row, name, value)
    with transaction.atomic():
        RemoteBuild.objects.filter(pk=row.pk, ended=False).update(**changes)
        if poke:
            runs.poke(row.build)
            ring("build", row.pk)
    return poke
