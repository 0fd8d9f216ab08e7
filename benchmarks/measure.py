"""What a measured number is, how it is judged, and how it is printed. Knows nothing of what is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["kept", "MISSED", "noted"]


@dataclass(frozen=True, slots=True)
class Number:
    """One result. `ratio` is value / baseline where there is a baseline of the same run.

    `limit` judges the ratio when there is a baseline and the value otherwise; `at_least` turns the comparison around.
    Without a limit the number is only noted.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    baseline_name: str = ""
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    @property
    def judged(self) -> float:
        return self.ratio if self.ratio is not None else self.value

    @property
    def verdict(self) -> Verdict:
        if self.limit is None:
            return "noted"
        kept = self.judged >= self.limit if self.at_least else self.judged <= self.limit
        return "kept" if kept and not math.isnan(self.judged) else "MISSED"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0..1) of all values do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def plain(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(number: Number) -> list[str]:
    """What a table shows of a number."""
    sign = "≥" if number.at_least else "≤"
    limit = "" if number.limit is None else f"{sign} {plain(number.limit)}{' ×' if number.baseline else ''}"
    base = f"{plain(number.baseline)} {number.unit} ({number.baseline_name})" if number.baseline else ""
    ratio = f"{number.ratio:.2f} ×" if number.ratio is not None else ""
    return [number.name, f"{plain(number.value)} {number.unit}", base, ratio, limit, number.verdict]


HEAD = ["what", "measured", "baseline", "ratio", "limit", "verdict"]


def table(numbers: Sequence[Number]) -> str:
    """Aligned columns for a terminal."""
    rows = [HEAD, *(row(number) for number in numbers)]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in rows)


def markdown(numbers: Sequence[Number]) -> str:
    """The same for docs/benchmarks.md; missed numbers stand out."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for number in numbers:
        cells = row(number)
        if number.verdict == "MISSED":
            cells[-1] = "**MISSED**"
        lines.append("| " + " | ".join(cells) + " |")
        if number.note:
            lines.append(f"| ↳ {number.note} |" + " |" * (len(HEAD) - 1))
    return "\n".join(lines)
