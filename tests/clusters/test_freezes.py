"""Freeze arithmetic against the plainest possible oracle: a clock on the wall, read minute by minute."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters import freezes
from clusters.freezes import Occurrence, Window

EXAMPLES = int(os.environ.get("FDD_FREEZE_EXAMPLES", "25"))
MINUTE = timedelta(minutes=1)
# Whole hours, half hours, 45 minutes, a leap of half an hour, clocks that leap at midnight, a day that never came.
ZONES = [
    "UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "America/St_Johns", "Pacific/Chatham", "America/Havana", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca",
]  # fmt: skip
# Days (of some zone above) around which clocks move, leap days, ends of years, and ordinary ones.
DAYS = [
    date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1), date(2026, 4, 5), date(2026, 10, 4),
    date(2027, 3, 14), date(2028, 2, 29), date(2027, 2, 28), date(2026, 12, 31), date(2027, 1, 1), date(2011, 12, 30),
    date(2018, 11, 4), date(2026, 6, 17), date(2026, 2, 18), date(2026, 3, 22),
]  # fmt: skip


def wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def plain_spans(window: Window, around: date) -> list[tuple[date, datetime, datetime | None]]:
    """(day, start, end) by the calendar alone, of every occurrence that could matter near that day."""
    found = []
    for offset in range(-12, 13):
        day = around + timedelta(days=offset)
        if window.kind == "weekly" and day.weekday() in window.weekdays:
            start = datetime.combine(day, window.start)
            end = None
            if window.minutes is None:
                assert window.end is not None
                end = datetime.combine(day, window.end)
                while end <= start:
                    end += timedelta(days=1)
            found.append((day, start, end))
        if window.kind == "once" and day == window.first:
            assert window.last is not None
            assert window.end is not None
            found.append((day, datetime.combine(day, window.start), datetime.combine(window.last, window.end)))
    return [one for one in found if one[0] not in window.exceptions]


def frozen_minutes(window: Window, around: date) -> set[datetime]:
    """Every frozen minute of the five days around, read off a clock."""
    first = datetime.combine(around, time(0), UTC) - timedelta(days=12)
    minutes = [first + MINUTE * number for number in range(24 * 24 * 60)]
    shown = [wall(minute, window.zone) for minute in minutes]
    frozen: set[datetime] = set()
    for _, start, end in plain_spans(window, around):
        begins = next((number for number, clock in enumerate(shown) if clock >= start), len(minutes))
        if end is None:
            ends = begins + (window.minutes or 0)
        else:
            ends = max((number for number, clock in enumerate(shown) if clock < end), default=-1) + 1
        frozen.update(minutes[begins:ends])
    return frozen


def agrees(window: Window, around: date) -> None:
    """The occurrences cover exactly the frozen minutes, and `active_at` says the same at every one of them."""
    since = datetime.combine(around, time(0), UTC) - timedelta(days=2)
    until = since + timedelta(days=5)
    expected = {minute for minute in frozen_minutes(window, around) if since <= minute < until}
    covered: set[datetime] = set()
    for one in freezes.occurrences(window, since, until):
        assert one.begins < one.ends
        minute = max(one.begins, since)
        while minute < min(one.ends, until):
            covered.add(minute)
            minute += MINUTE
    assert covered == expected, sorted(covered ^ expected)[:5]
    for offset in range(0, 5 * 24 * 60, 97):
        minute = since + offset * MINUTE
        assert (freezes.active_at(window, minute) is not None) == (minute in expected), minute


@st.composite
def weekly(draw: st.DrawFn) -> Window:
    zone, start = draw(st.sampled_from(ZONES)), draw(st.times().map(lambda t: t.replace(second=0, microsecond=0)))
    days = draw(st.frozensets(st.integers(0, 6), min_size=1))
    if draw(st.booleans()):
        minutes = draw(st.integers(1, 7 * 24 * 60))
        return Window("weekly", zone, start=start, minutes=minutes, weekdays=days)
    end = draw(st.times().map(lambda t: t.replace(second=0, microsecond=0)))
    exceptions = draw(st.frozensets(st.sampled_from(DAYS), max_size=2))
    return Window("weekly", zone, start=start, end=end, weekdays=days, exceptions=exceptions)


@st.composite
def once(draw: st.DrawFn) -> tuple[Window, date]:
    around = draw(st.sampled_from(DAYS))
    first = around + timedelta(days=draw(st.integers(-2, 1)))
    last = first + timedelta(days=draw(st.integers(0, 3)))
    hours = st.times().map(lambda t: t.replace(second=0, microsecond=0))
    start, end = draw(hours), draw(hours)
    if (last, end) <= (first, start):
        last += timedelta(days=1)
    return Window("once", draw(st.sampled_from(ZONES)), start=start, end=end, first=first, last=last), around


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(window=weekly(), around=st.sampled_from(DAYS))
def test_weekly_windows_hold_exactly_when_a_clock_says_so(window: Window, around: date) -> None:
    agrees(window, around)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=once())
def test_one_off_windows_hold_exactly_when_a_clock_says_so(case: tuple[Window, date]) -> None:
    agrees(*case)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    first=st.dates(date(2000, 1, 1), date(2000, 12, 31)),
    last=st.dates(date(2000, 1, 1), date(2000, 12, 31)),
    year=st.integers(2023, 2032),
    zone=st.sampled_from(ZONES),
)
def test_yearly_windows_hold_on_every_day_between_and_on_no_other(
    first: date, last: date, year: int, zone: str
) -> None:
    window = Window("yearly", zone, first=first, last=last)
    a, b = (first.month, first.day), (last.month, last.day)
    for offset in range(0, 366, 3):
        day = date(year, 1, 1) + timedelta(days=offset)
        here = (day.month, day.day)
        inside = a <= here <= b if a <= b else here >= a or here <= b
        noon = datetime.combine(day, time(12), ZoneInfo(zone))
        assert (freezes.active_at(window, noon) is not None) == inside, (day, window)


def begins_and_ends(window: Window, day: str) -> tuple[str, str]:
    """The occurrence that begins on that day, in UTC to the minute."""
    around = datetime.fromisoformat(f"{day}T12:00+00:00")
    found = freezes.occurrences(window, around - timedelta(days=2), around + timedelta(days=3))
    one = next(one for one in found if one.day == date.fromisoformat(day))
    return one.begins.strftime("%d %H:%M"), one.ends.strftime("%d %H:%M")


class TestNightsWhenClocksChange:
    night = Window("weekly", "Europe/Berlin", start=time(22), end=time(6), weekdays=frozenset(range(7)))

    def test_a_night_is_an_hour_shorter_in_spring_and_longer_in_autumn(self) -> None:
        assert begins_and_ends(self.night, "2026-03-27") == ("27 21:00", "28 05:00")
        assert begins_and_ends(self.night, "2026-03-28") == ("28 21:00", "29 04:00")
        assert begins_and_ends(self.night, "2026-10-24") == ("24 20:00", "25 05:00")

    def test_a_start_that_does_not_exist_is_the_moment_the_clock_leaps(self) -> None:
        early = Window("weekly", "Europe/Berlin", start=time(2, 30), end=time(5), weekdays=frozenset({6}))
        assert begins_and_ends(early, "2026-03-29") == ("29 01:00", "29 03:00")
        half = Window("weekly", "Australia/Lord_Howe", start=time(2, 15), end=time(5), weekdays=frozenset({6}))
        assert begins_and_ends(half, "2026-10-04") == ("03 15:30", "03 18:00")

    def test_a_window_that_lies_in_the_missing_hour_does_not_happen(self) -> None:
        gone = Window("weekly", "Europe/Berlin", start=time(2, 10), end=time(2, 50), weekdays=frozenset({6}))
        around = datetime(2026, 3, 29, tzinfo=UTC)
        assert freezes.occurrences(gone, around, around + timedelta(days=1)) == []
        assert freezes.occurrences(gone, around + timedelta(days=7), around + timedelta(days=8)) != []

    def test_an_hour_that_comes_twice_is_frozen_twice(self) -> None:
        twice = Window("weekly", "Europe/Berlin", start=time(2), end=time(3), weekdays=frozenset({6}))
        assert begins_and_ends(twice, "2026-10-25") == ("25 00:00", "25 02:00")
        into = Window("weekly", "Europe/Berlin", start=time(1), end=time(2, 30), weekdays=frozenset({6}))
        assert begins_and_ends(into, "2026-10-25") == ("24 23:00", "25 01:30")

    def test_a_duration_is_time_that_passes(self) -> None:
        eight = Window("weekly", "Europe/Berlin", start=time(22), minutes=480, weekdays=frozenset({5}))
        assert begins_and_ends(eight, "2026-03-28") == ("28 21:00", "29 05:00")
        assert begins_and_ends(eight, "2026-10-24") == ("24 20:00", "25 04:00")

    def test_quarter_hour_zones(self) -> None:
        window = Window("weekly", "Asia/Kathmandu", start=time(0), end=time(0), weekdays=frozenset({0}))
        assert begins_and_ends(window, "2026-06-15") == ("14 18:15", "15 18:15")


class TestYears:
    christmas = Window("yearly", "Asia/Shanghai", first=date(2000, 12, 24), last=date(2000, 1, 2))

    def test_it_wraps_around_new_year(self) -> None:
        at = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
        found = freezes.active_at(self.christmas, at)
        assert found is not None
        assert (found.begins.isoformat(), found.ends.isoformat()) == (
            "2026-12-23T16:00:00+00:00",
            "2027-01-02T16:00:00+00:00",
        )
        assert freezes.active_at(self.christmas, datetime(2027, 1, 2, 15, 59, tzinfo=UTC)) is not None
        assert freezes.active_at(self.christmas, datetime(2027, 1, 2, 16, 0, tzinfo=UTC)) is None

    def test_leap_day_alone_exists_in_leap_years_only(self) -> None:
        leap = Window("yearly", "UTC", first=date(2000, 2, 29), last=date(2000, 2, 29))
        since = datetime(2026, 1, 1, tzinfo=UTC)
        found = freezes.upcoming(leap, since, 2)
        assert [one.day.isoformat() for one in found] == ["2028-02-29", "2032-02-29"]
        until_leap_day = Window("yearly", "UTC", first=date(2000, 2, 27), last=date(2000, 2, 29))
        assert [one.ends.day for one in freezes.upcoming(until_leap_day, since, 3)] == [1, 1, 1]

    def test_an_exception_leaves_one_year_out(self) -> None:
        quiet = Window(
            "yearly", "UTC", first=date(2000, 5, 1), last=date(2000, 5, 1), exceptions=frozenset({date(2027, 5, 1)})
        )
        found = freezes.upcoming(quiet, datetime(2026, 6, 1, tzinfo=UTC), 2)
        assert [one.day.year for one in found] == [2028, 2029]
        assert freezes.begins_on(quiet, date(2027, 5, 1))
        assert not freezes.begins_on(quiet, date(2027, 5, 2))


def test_until_when_looks_past_what_follows_without_a_gap() -> None:
    weekend = Window("weekly", "UTC", start=time(0), end=time(0), weekdays=frozenset({5, 6}))
    found = freezes.active_at(weekend, datetime(2026, 11, 28, 8, tzinfo=UTC))
    assert found == Occurrence(
        datetime(2026, 11, 28, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC), date(2026, 11, 28)
    )
    always = Window("weekly", "UTC", start=time(0), end=time(0), weekdays=frozenset(range(7)))
    found = freezes.active_at(always, datetime(2026, 11, 28, 8, tzinfo=UTC))
    assert found is not None
    assert found.ends - found.begins > timedelta(days=60), "as good as for ever, and told without looking for ever"


def test_an_end_is_exclusive_and_a_begin_is_not() -> None:
    hour = Window("weekly", "UTC", start=time(10), end=time(11), weekdays=frozenset({2}))
    at = datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert freezes.active_at(hour, at) is not None
    assert freezes.active_at(hour, at - timedelta.resolution) is None
    assert freezes.active_at(hour, at + timedelta(hours=1)) is None
    assert freezes.active_at(hour, at + timedelta(hours=1) - timedelta.resolution) is not None


def test_overlapping_times_become_one() -> None:
    week = Window("weekly", "UTC", start=time(0), minutes=3 * 24 * 60, weekdays=frozenset({0, 2}))
    since = datetime(2026, 11, 23, tzinfo=UTC)
    found = freezes.merged(freezes.occurrences(week, since, since + timedelta(days=7)))
    assert [(one.begins.day, one.ends.day) for one in found] == [(23, 28)]


@pytest.mark.parametrize("name", ["", "Moon/Base", "../etc/passwd", "Europe", "/etc/localtime", "Asia/Shanghai\x00"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert freezes.zone_of(name) is None


@pytest.mark.parametrize(
    ("text", "day", "year_day"),
    [
        ("2026-12-24", date(2026, 12, 24), None), ("12-24", None, date(2000, 12, 24)), ("02-29", None, date(2000, 2, 29)),
        ("2026-02-29", None, None), ("20261224", None, None), ("2026-W01-1", None, None), ("", None, None),
        ("1999-01-01", None, None), ("9999-12-31", None, None), ("13-01", None, None), ("٢٠٢٦-١٢-٢٤", None, None),
    ],
)  # fmt: skip
def test_days_are_read_strictly(text: str, day: date | None, year_day: date | None) -> None:
    assert freezes.day_of(text) == day
    assert freezes.year_day_of(text) == year_day
