"""The freezes of the coming weeks as a calendar and a list: what the page shows, worked out for all machines at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from clusters import freezing
from clusters.freezing import Freeze
from clusters.models import FreezeWindow, Machine

WEEKS = 6


@dataclass(slots=True)
class Day:
    """One square: `freezes` hold for some of that day by the reader's clock."""

    date: date
    today: bool
    past: bool
    freezes: list[Freeze] = field(default_factory=list)


@dataclass(slots=True)
class Line:
    """One freeze in the list, with the machines it holds on."""

    freeze: Freeze
    machines: list[Machine]


def calendar(machines: Sequence[Machine], now: datetime) -> tuple[list[list[Day]], list[Line]]:
    """Six weeks from this Monday on, and the freezes from now on; `now` is in the reader's zone."""
    places: dict[int, list[Machine]] = {}
    windows: dict[int, FreezeWindow] = {}
    by_machine = freezing.windows_on(machines)
    for machine in machines:
        for window in by_machine[machine.pk]:
            windows[window.pk] = window
            places.setdefault(window.pk, []).append(machine)
    monday = now.date() - timedelta(days=now.weekday())
    days = [
        Day(day, day == now.date(), day < now.date())
        for day in (monday + timedelta(days=number) for number in range(WEEKS * 7))
    ]
    start = datetime.combine(monday, time(0), now.tzinfo)
    found = freezing.coming(windows.values(), start, timedelta(weeks=WEEKS))
    for freeze in found:
        first = (freeze.begins.astimezone(now.tzinfo).date() - monday).days
        last = ((freeze.ends - timedelta.resolution).astimezone(now.tzinfo).date() - monday).days
        for day in days[max(0, first) : last + 1]:
            day.freezes.append(freeze)
    lines = [
        Line(Freeze(freeze.window, freeze.begins, freeze.ends, now=freeze.begins <= now), places[freeze.window.pk])
        for freeze in found
        if freeze.ends > now
    ]
    return [days[number : number + 7] for number in range(0, len(days), 7)], lines
