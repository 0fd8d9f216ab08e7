"""A measured number is judged honestly: what is missed is called missed, also when nothing could be measured."""

from __future__ import annotations

import math

import pytest

from benchmarks.__main__ import known
from benchmarks.measure import Number, markdown, percentile, table


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([5.0], 0.95, 5.0),
        (list(range(1, 101)), 0.95, 95),
        (list(range(1, 101)), 0.5, 50),
        (list(range(1, 101)), 1.0, 100),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, wanted: float) -> None:
    assert percentile(values, share) == wanted


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.95))


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (Number("a", 0.9, "s", limit=1.0), "kept"),
        (Number("a", 1.0, "s", limit=1.0), "kept"),
        (Number("a", 1.1, "s", limit=1.0), "MISSED"),
        (Number("a", 11, "s", baseline=10, limit=1.2), "kept"),
        (Number("a", 13, "s", baseline=10, limit=1.2), "MISSED"),
        (Number("a", 60, "per s", baseline=100, limit=0.5, at_least=True), "kept"),
        (Number("a", 40, "per s", baseline=100, limit=0.5, at_least=True), "MISSED"),
        (Number("a", 0, "", limit=0), "kept"),
        (Number("a", 1, "", limit=0), "MISSED"),
        (Number("a", math.nan, "s", limit=1.0), "MISSED"),
        (Number("a", math.nan, "s", limit=1.0, at_least=True), "MISSED"),
        (Number("a", 5, "MB"), "noted"),
    ],
)
def test_the_verdict(number: Number, verdict: str) -> None:
    assert number.verdict == verdict
    assert number.as_json()["verdict"] == verdict


def test_a_baseline_makes_the_ratio_count_and_not_the_value() -> None:
    number = Number("a", 900, "s", baseline=1000, limit=1.0)
    assert number.ratio == pytest.approx(0.9)
    assert number.verdict == "kept"


def test_tables_show_every_number_and_shout_what_is_missed() -> None:
    numbers = [
        Number("quick", 1, "s", limit=2, note="a remark"),
        Number("slow", 3, "s", baseline=1, baseline_name="by hand", limit=2),
    ]
    assert all(word in table(numbers) for word in ("quick", "slow", "by hand", "3.00 ×", "≤ 2 ×", "MISSED"))
    assert "**MISSED**" in markdown(numbers)
    assert "a remark" in markdown(numbers)


def test_every_benchmark_is_found() -> None:
    assert {"build", "deploy", "idle", "pages", "runs"} <= set(known())
