"""How often something happened is counted by the minute of the clock, in bounded memory, with and without Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from fangduoduo_release.common import rates
from fangduoduo_release.common.rates import HERE, MINUTE, MOST_KEYS, Counts, count

NOON = 1_800_000_000.0  # the begin of a minute


@pytest.fixture(autouse=True)
def alone(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = ""
    HERE.forget()
    yield
    HERE.forget()


def test_each_key_is_counted_by_itself() -> None:
    assert [count("ann", NOON)[0] for _ in range(3)] == [1, 2, 3]
    assert count("bob", NOON)[0] == 1
    assert count("ann", NOON)[0] == 4


@pytest.mark.parametrize(("second", "left"), [(0, 60), (0.9, 60), (1, 59), (30, 30), (59, 1), (59.99, 1)])
def test_it_says_how_long_the_minute_lasts_and_never_that_it_is_over(second: float, left: int) -> None:
    """Whoever is told to come back in 0 seconds comes at once, and is refused again."""
    assert count("ann", NOON + second)[1] == left


def test_a_new_minute_begins_anew() -> None:
    assert [count("ann", NOON + at)[0] for at in (0, MINUTE - 0.01, MINUTE, MINUTE + 1)] == [1, 2, 1, 2]


def test_only_this_minute_is_remembered() -> None:
    for number in range(100):
        count(f"person{number}", NOON)
    assert len(HERE) == 100
    count("ann", NOON + MINUTE)
    assert len(HERE) == 1


def test_a_clock_that_went_back_counts_from_one() -> None:
    count("ann", NOON + MINUTE)
    assert count("ann", NOON)[0] == 1


def test_with_too_many_keys_it_begins_anew_but_not_for_one_that_is_counted() -> None:
    """Memory is bounded; somebody who is being counted does not get free by it."""
    counts = Counts()
    for number in range(MOST_KEYS):
        counts.add(f"k{number}", 1)
    assert counts.add("k0", 1) == 2
    assert len(counts) == MOST_KEYS
    assert counts.add("one more", 1) == 1
    assert len(counts) == 1


class Line:
    """A pipeline of Redis that notes what it is told."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.told = answer, []  # type: ignore[var-annotated]

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def incr(self, key: str) -> None:
        self.told.append(("incr", key))

    def expire(self, key: str, seconds: int) -> None:
        self.told.append(("expire", key, seconds))

    def execute(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def on_redis(monkeypatch: pytest.MonkeyPatch, settings: Any, answer: Any) -> Line:
    line = Line(answer)
    settings.REDIS_URL = "redis://elsewhere"
    monkeypatch.setattr(rates, "_redis", lambda url: type("Redis", (), {"pipeline": lambda self: line})())
    return line


def test_with_redis_all_processes_count_together(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    line = on_redis(monkeypatch, settings, [7, True])
    assert count("ann", NOON + 10) == (7, 50)
    key = f"fdd:rate:ann:{int(NOON) // MINUTE}"
    assert line.told == [("incr", key), ("expire", key, 2 * MINUTE)]
    assert len(HERE) == 0


@pytest.mark.parametrize(
    "error", [redis.ConnectionError("away"), redis.TimeoutError("slow"), redis.ResponseError("OOM")]
)
def test_a_redis_that_is_away_refuses_nobody_and_still_limits(
    error: Exception, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    on_redis(monkeypatch, settings, error)
    assert [count("ann", NOON)[0] for _ in range(3)] == [1, 2, 3]
