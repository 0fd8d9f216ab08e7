"""Which machines are frozen, until when, and what comes: freeze windows applied to machines, in one question to the
database however many machines are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import F
from django.utils import timezone

from clusters import freezes
from clusters.freezes import Occurrence
from clusters.models import FreezeWindow, Machine
from fangduoduo_release.common.sentence import S, Sentence

AHEAD = timedelta(days=14)
SOON = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Freeze:
    """A window holding once, on some machine. `now`: it holds at the moment that was asked about."""

    window: FreezeWindow
    begins: datetime
    ends: datetime
    now: bool

    @property
    def local_begins(self) -> datetime:
        """By the clock of its zone, without a zone: templates show it as it is."""
        return self._local(self.begins)

    @property
    def local_ends(self) -> datetime:
        return self._local(self.ends)

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.window.timezone)).replace(tzinfo=None)

    @property
    def until_words(self) -> str:
        """`2026-11-30 06:00 (Asia/Shanghai)`: the same in every language, to the minute."""
        return f"{self.local_ends:%Y-%m-%d %H:%M} ({self.window.timezone})"

    @property
    def from_words(self) -> str:
        return f"{self.local_begins:%Y-%m-%d %H:%M} ({self.window.timezone})"

    @property
    def sentence(self) -> Sentence:
        """What one reads before the click."""
        known = {"name": self.window.name, "until": self.until_words, "reason": self.window.reason}
        if self.now:
            return S("Frozen until %(until)s: %(name)s. %(reason)s", **known)
        return S("Freezes at %(begin)s until %(until)s: %(name)s. %(reason)s", begin=self.from_words, **known)


def windows_on(machines: Iterable[Machine]) -> dict[int, list[FreezeWindow]]:
    """The active windows of each machine: {machine id: windows}; one query."""
    rows = FreezeWindow.objects.filter(active=True).annotate(on_machine=F("machines")).order_by("name")
    windows: dict[int, FreezeWindow] = {}
    named: dict[int, set[int]] = {}
    for row in rows:
        windows.setdefault(row.pk, row)
        named.setdefault(row.pk, set()).add(row.on_machine)
    return {
        machine.pk: [
            window
            for pk, window in windows.items()
            if window.everywhere or machine.environment in window.environments or machine.pk in named[pk]
        ]
        for machine in machines
    }


def freezing(machine: Machine, at: datetime | None = None, *, restoring: bool = False) -> Freeze | None:
    """What freezes the machine at that moment (now), the one that lasts longest; None when it is free."""
    return frozen_by(windows_on([machine])[machine.pk], at or timezone.now(), restoring=restoring)


def frozen_by(windows: Iterable[FreezeWindow], at: datetime, *, restoring: bool = False) -> Freeze | None:
    """Of these windows the one that holds and lasts longest. `restoring`: for a rollback or restart, which most
    windows let pass."""
    held = [
        Freeze(window, found.begins, found.ends, now=True)
        for window in windows
        if (window.blocks_restoring or not restoring) and (found := freezes.active_at(window.window, at))
    ]
    return max(held, key=lambda freeze: freeze.ends, default=None)


def next_freezes(machine: Machine, days: int = 14, at: datetime | None = None) -> list[Freeze]:
    """What freezes the machine from now on for so many days, also what does already; soonest first."""
    return coming(windows_on([machine])[machine.pk], at or timezone.now(), timedelta(days=days))


def coming(windows: Iterable[FreezeWindow], at: datetime, ahead: timedelta = AHEAD) -> list[Freeze]:
    """The same for windows at hand; one window's overlapping occurrences count as one."""
    found = [
        Freeze(window, one.begins, one.ends, now=one.begins <= at)
        for window in windows
        for one in freezes.merged(freezes.occurrences(window.window, at, at + ahead))
    ]
    return sorted(found, key=lambda freeze: (freeze.begins, freeze.ends))


def badges(machines: Iterable[Machine]) -> Mapping[int, Freeze]:
    """For each machine that has one: what freezes it now, else what does next; one query."""
    at = timezone.now()
    machines = list(machines)
    found: dict[int, Freeze] = {}
    for pk, windows in windows_on(machines).items():
        shown = frozen_by(windows, at) or next(iter(coming(windows, at)), None)
        if shown is not None:
            found[pk] = shown
    return found


def preview(row: FreezeWindow, count: int = 10) -> list[Freeze]:
    """The next times it holds, for its editor."""
    at = timezone.now()
    found: list[Occurrence] = freezes.upcoming(row.window, at, count)
    return [Freeze(row, one.begins, one.ends, now=one.begins <= at) for one in found]
