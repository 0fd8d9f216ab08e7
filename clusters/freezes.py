"""When a freeze window holds: plain arithmetic on local calendars, no database, no Django.

A window is written in wall-clock time of one zone. From that follow, on nights when clocks change: it begins at the
first moment at which the clock there shows its start or later, and ends when the clock shows its end for good (an hour
that comes twice is frozen twice, an hour that does not come ends the window at once). A duration is time that passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ONCE, WEEKLY, YEARLY = "once", "weekly", "yearly"
KINDS = (ONCE, WEEKLY, YEARLY)
DAY = timedelta(days=1)
WEEK_MIN = 7 * 24 * 60
MIDNIGHT = time(0)
YEARS = (2000, 2199)
LEAP_YEAR = 2000
SLACK = 2 * DAY  # zones are at most 26 hours apart, and clocks jump by a day at most
LONGEST_CHAIN = 100  # occurrences that follow each other without a gap; more is “for good”


@dataclass(frozen=True, slots=True)
class Window:
    """One rule. `once`: from `first` at `start` to `last` at `end`. `weekly`: on `weekdays` (Monday is 0) from `start`
    until `end` (of the next day when it is not later) or for `minutes`. `yearly`: from the day `first` to the day
    `last` (their year does not count), wrapping around New Year; without `end` all of the last day."""

    kind: str
    zone: str
    start: time = MIDNIGHT
    end: time | None = None
    minutes: int | None = None
    weekdays: frozenset[int] = frozenset()
    first: date | None = None
    last: date | None = None
    exceptions: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class Occurrence:
    """One time that a window holds, in UTC, end exclusive; `day` is the local day it begins on."""

    begins: datetime
    ends: datetime
    day: date


def zone_of(name: str) -> ZoneInfo | None:
    """The IANA zone of that name; None when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # "", "../x" and folders of zones are no zones either
        return None


def day_of(text: str) -> date | None:
    """`2026-12-24` as a day of our time; None for anything else."""
    return _day(text) if len(text) == 10 else None


def year_day_of(text: str) -> date | None:
    """`12-24` as a day of any year, 29 February too; None for anything else."""
    return _day(f"{LEAP_YEAR}-{text}") if len(text) == 5 else None


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if YEARS[0] <= found.year <= YEARS[1] and found.isoformat() == text else None


def begin_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock in `zone` shows `wall` or later."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(early, zone) == wall:
        return early
    return _jump(wall, zone)


def end_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment from which on the clock in `zone` never shows less than `wall`."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if _wall(late, zone) != wall:
        return _jump(wall, zone)
    return late if _wall(late - timedelta.resolution, zone) < wall else early


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _jump(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the clock leaps over `wall`."""
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # by the offset after the leap: still before it
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    while after - before > timedelta.resolution:
        middle = before + (after - before) // 2
        if _wall(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return after


def occurrences(window: Window, since: datetime, until: datetime) -> list[Occurrence]:
    """Every occurrence that overlaps [since, until), oldest first. Both are aware."""
    zone = ZoneInfo(window.zone)
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    found = []
    for day, start, end in _walls(window, since, until):
        if day in window.exceptions:
            continue
        begins = begin_of(start, zone)
        ends = begins + timedelta(minutes=window.minutes or 0) if end is None else end_of(end, zone)
        if begins < ends and begins < until and ends > since:
            found.append(Occurrence(begins, ends, day))
    return sorted(found)


def active_at(window: Window, at: datetime) -> Occurrence | None:
    """The occurrence that holds at `at`, drawn out over those that follow it without a gap; None when it is free."""
    now = next(iter(occurrences(window, at, at + timedelta.resolution)), None)
    for _ in range(LONGEST_CHAIN if now else 0):
        assert now is not None
        following = occurrences(window, now.ends, now.ends + timedelta.resolution)
        if not following:
            break
        now = Occurrence(now.begins, max(one.ends for one in following), now.day)
    return now


def upcoming(window: Window, since: datetime, count: int, within: timedelta = timedelta(days=3700)) -> list[Occurrence]:
    """The next `count` occurrences that end after `since`, looked for no further ahead than `within`."""
    step = {ONCE: within, WEEKLY: 7 * DAY, YEARLY: 370 * DAY}[window.kind]
    found: dict[date, Occurrence] = {}
    reached = since
    while len(found) < count and reached < since + within:
        found |= {one.day: one for one in occurrences(window, reached, reached + step)}
        reached += step
    return sorted(found.values())[:count]


def begins_on(window: Window, day: date) -> bool:
    """Whether an occurrence would begin on that local day, exceptions aside."""
    around = datetime.combine(day, MIDNIGHT, UTC)
    return any(found == day for found, _, _ in _walls(window, around - DAY, around + 2 * DAY))


def _walls(window: Window, since: datetime, until: datetime) -> Iterator[tuple[date, datetime, datetime | None]]:
    """(day, local start, local end or None for a duration) of all that may overlap the UTC range, and some more."""
    first, last = (since - SLACK).date(), (until + SLACK).date()
    if window.kind == ONCE:
        assert window.first is not None
        assert window.last is not None
        yield (
            window.first,
            datetime.combine(window.first, window.start),
            datetime.combine(window.last, window.end or MIDNIGHT),
        )
    elif window.kind == WEEKLY:
        yield from _weekly(window, first, last)
    else:
        for year in range(max(first.year - 1, 1), min(last.year, 9998) + 1):
            yield _yearly(window, year)


def _weekly(window: Window, first: date, last: date) -> Iterator[tuple[date, datetime, datetime | None]]:
    day = first - timedelta(minutes=window.minutes or 0) - DAY
    while day <= last:
        if day.weekday() in window.weekdays:
            end = None
            if window.minutes is None:
                assert window.end is not None
                end = datetime.combine(day if window.end > window.start else day + DAY, window.end)
            yield day, datetime.combine(day, window.start), end
        day += DAY


def _yearly(window: Window, year: int) -> tuple[date, datetime, datetime]:
    assert window.first is not None
    assert window.last is not None
    wraps = (window.last.month, window.last.day) < (window.first.month, window.first.day)
    start = _in_year(window.first, year, window.start)
    if window.end is None:
        end = _in_year(window.last, year + wraps, MIDNIGHT)
        if end.date().day == window.last.day:  # 29 February of other years has become 1 March, 00:00, already
            end += DAY
    else:
        end = _in_year(window.last, year + wraps, window.end)
    return start.date(), start, end


def _in_year(day: date, year: int, at: time) -> datetime:
    """That day of another year; 29 February where there is none is the first moment after it."""
    try:
        return datetime.combine(day.replace(year=year), at)
    except ValueError:
        return datetime(year, 3, 1)  # noqa: DTZ001 - wall-clock time


def merged(found: Iterable[Occurrence]) -> list[Occurrence]:
    """Overlapping and adjoining occurrences as one."""
    joined: list[Occurrence] = []
    for one in sorted(found):
        if joined and one.begins <= joined[-1].ends:
            joined[-1] = Occurrence(joined[-1].begins, max(one.ends, joined[-1].ends), joined[-1].day)
        else:
            joined.append(one)
    return joined
