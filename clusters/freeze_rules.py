"""What is wrong with a freeze window, one clear sentence a mistake; and what one says about itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, time, timedelta
from typing import Any

from clusters import freezes
from clusters.models import Environment, FreezeWindow, Machine
from fangduoduo_release.common.sentence import S, Sentence

LONGEST_ONCE = timedelta(days=366)
MOST_EXCEPTIONS = 200
Mistake = tuple[str, Sentence]


def mistakes(row: FreezeWindow, machines: Iterable[Machine]) -> list[Mistake]:
    """(field, sentence) of every mistake; empty when the window can be kept."""
    found = list(_about(row, list(machines)))
    if freezes.zone_of(row.timezone) is None:
        found.append(
            ("timezone", S("There is no time zone “%(name)s”; write one such as Asia/Shanghai.", name=row.timezone))
        )
    if row.kind not in FreezeWindow.Kind.values:
        return [*found, ("kind", S("It happens once, weekly or yearly."))]
    when = {"once": _once, "weekly": _weekly, "yearly": _yearly}[row.kind](row)
    found += when
    found += _exceptions(row, found)
    return found


def _about(row: FreezeWindow, machines: list[Machine]) -> Iterator[Mistake]:
    if not row.name.strip():
        yield "name", S("A freeze window needs a name.")
    if not row.reason.strip():
        yield "reason", S("Say why: whoever is refused reads it.")
    if not isinstance(row.environments, list) or not set(map(str, row.environments)) <= set(Environment.values):
        yield "environments", S("Environments are test, staging and production.")
    elif not (row.everywhere or row.environments or machines):
        yield "everywhere", S("Say where it holds: everywhere, in environments or on machines.")


def _once(row: FreezeWindow) -> Iterator[Mistake]:
    first, last = freezes.day_of(row.first_day), freezes.day_of(row.last_day)
    for name, text, day in (("first_day", row.first_day, first), ("last_day", row.last_day, last)):
        if day is None:
            yield name, S("“%(text)s” is not a day such as 2026-12-24.", text=text)
    if row.end_time is None:
        yield "end_time", S("Say at what time it ends.")
    elif first and last:
        if (last, row.end_time) <= (first, row.start_time):
            yield "last_day", S("It would end before it begins.")
        elif last - first > LONGEST_ONCE:
            yield "last_day", S("It lasts longer than a year; was that meant?")
    yield from _no_duration(row)


def _weekly(row: FreezeWindow) -> Iterator[Mistake]:
    days = row.weekdays
    if not isinstance(days, list) or not all(type(day) is int and 0 <= day <= 6 for day in days):
        yield "weekdays", S("Weekdays are numbers from 0, Monday, to 6, Sunday.")
    elif not days:
        yield "weekdays", S("Choose at least one day of the week.")
    if (row.end_time is None) == (row.duration_minutes is None):
        yield "end_time", S("Give either the time it ends or how long it lasts.")
    elif row.duration_minutes is not None and not 1 <= row.duration_minutes <= freezes.WEEK_MIN:
        yield (
            "duration_minutes",
            S("It lasts from 1 minute to a week, which is %(most)s minutes.", most=freezes.WEEK_MIN),
        )


def _yearly(row: FreezeWindow) -> Iterator[Mistake]:
    first, last = freezes.year_day_of(row.first_day), freezes.year_day_of(row.last_day)
    for name, text, day in (("first_day", row.first_day, first), ("last_day", row.last_day, last)):
        if day is None:
            yield name, S("“%(text)s” is not a day such as 12-24.", text=text)
    if first and first == last and row.end_time is not None and row.end_time <= row.start_time:
        yield "end_time", S("It would end before it begins.")
    yield from _no_duration(row)


def _no_duration(row: FreezeWindow) -> Iterator[Mistake]:
    if row.duration_minutes is not None:
        yield "duration_minutes", S("Only a weekly window lasts for minutes; this one ends on a day.")


def _exceptions(row: FreezeWindow, found: list[Mistake]) -> Iterator[Mistake]:
    texts = row.exceptions
    if not isinstance(texts, list) or len(texts) > MOST_EXCEPTIONS:
        yield "exceptions", S("Exceptions are a list of at most %(most)s days.", most=MOST_EXCEPTIONS)
        return
    for text in texts:
        if not isinstance(text, str) or freezes.day_of(text) is None:
            yield "exceptions", S("“%(text)s” is not a day such as 2026-12-24.", text=str(text)[:40])
            return
    if found:
        return  # when it begins is not known yet
    window = row.window
    for text in texts:
        if not freezes.begins_on(window, date.fromisoformat(text)):
            yield "exceptions", S("It does not begin on %(day)s, so that day cannot be an exception.", day=text)


def facts(row: FreezeWindow, machines: Iterable[str]) -> dict[str, Any]:
    """The row as the audit keeps it."""
    return {
        "name": row.name, "reason": row.reason, "active": row.active, "blocks_restoring": row.blocks_restoring,
        "everywhere": row.everywhere, "environments": sorted(row.environments), "machines": sorted(machines),
        "timezone": row.timezone, "kind": row.kind, "weekdays": sorted(row.weekdays), "first_day": row.first_day,
        "start_time": _clock(row.start_time), "last_day": row.last_day, "end_time": _clock(row.end_time),
        "duration_minutes": row.duration_minutes, "exceptions": sorted(row.exceptions),
    }  # fmt: skip


def _clock(at: time | None) -> str | None:
    return at.isoformat("minutes") if at else None
