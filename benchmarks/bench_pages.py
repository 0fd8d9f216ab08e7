"""Every page and the main lists of the API over 500 projects, 125,000 builds, 100,000 versions and a million events.

Each page is fetched in turn from the full database and from one with a tenth of it, as a developer of 50 projects and
as ops, on SQLite and on PostgreSQL. The table names the worst of each kind and whatever misses a limit; every page's
numbers stand in var/bench/pages.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.portal import ROOT

from .measure import Number, percentile
from .scale.addresses import visits
from .scale.filled import Filled
from .scale.sites import Site, create_database, postgres

LOOKS_S = 60.0  # for looking at every page in turn, at least twice
MORE_S = 30.0  # for those that seem to miss a limit: a few looks on a busy machine prove nothing
MAX_QUERIES = 12
MAX_MS = 150.0
MAX_RATIO = 1.3
SMALL_MS = 5.0  # below, a ratio tells of the clock and the neighbours, not of the data


@dataclass(slots=True)
class Visited:
    """One person's looks at one page, in the full and in the small portal."""

    who: str
    name: str
    path: str
    full: list[dict[str, Any]] = field(default_factory=list)
    tenth: list[dict[str, Any]] = field(default_factory=list)
    small_path: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} ({self.who})"

    @property
    def queries(self) -> int:
        return max(look["queries"] for look in self.full)

    @property
    def p95(self) -> float:
        return percentile([look["ms"] for look in self.full], 0.95)

    @property
    def ratio(self) -> float:
        big, small = (statistics.median(look["ms"] for look in looks) for looks in (self.full, self.tenth))
        return max(big, SMALL_MS) / max(small, SMALL_MS)

    @property
    def misses(self) -> bool:
        return self.queries > MAX_QUERIES or self.p95 > MAX_MS or self.ratio > MAX_RATIO

    def look(self, full: Site, tenth: Site) -> None:
        for site, path, looks in ((full, self.path, self.full), (tenth, self.small_path, self.tenth)):
            seen = site.get(self.who, path)
            if seen["status"] != 200:
                raise RuntimeError(f"{self.label}: {path} answers {seen['status']}")
            looks.append(seen)

    def as_json(self) -> dict[str, Any]:
        return {
            "who": self.who,
            "page": self.name,
            "path": self.path,
            "queries": self.queries,
            "p50_ms": round(percentile([look["ms"] for look in self.full], 0.5), 1),
            "p95_ms": round(self.p95, 1),
            "p95_cpu_ms": round(percentile([look["cpu_ms"] for look in self.full], 0.95), 1),
            "ratio": round(self.ratio, 2),
            "looks": len(self.full),
            "slowest": max((look["slowest"] for look in self.full), default=[]),
        }


def measure(scratch: Path) -> Iterator[Number]:
    found: dict[str, list[Visited]] = {}
    yield from told("SQLite", scratch / "sqlite", ["", ""], found)
    try:
        with postgres(scratch) as server:
            both = [create_database(server, name) for name in ("full_size", "tenth_size")]
            yield from told("PostgreSQL", scratch / "on_postgres", both, found)
    except FileNotFoundError:
        yield Number("pages on PostgreSQL", float("nan"), "ms", limit=MAX_MS, note="this machine has no PostgreSQL")
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    rows = {engine: [page.as_json() for page in pages] for engine, pages in found.items()}
    (folder / "pages.json").write_text(json.dumps(rows, indent=1) + "\n")


def told(engine: str, folder: Path, databases: list[str], found: dict[str, list[Visited]]) -> Iterator[Number]:
    full, tenth = Site(folder / "full", "full", databases[0]), Site(folder / "tenth", "tenth", databases[1])
    try:
        at, small = Filled(**full.filled()), Filled(**tenth.filled())
        found[engine] = looked_at(full, tenth, at, small)
        rows = ", ".join(f"{count:,} {name}s" for name, count in at.counts.items())
        yield from numbers(engine, found[engine], rows)
    finally:
        full.close()
        tenth.close()


def looked_at(full: Site, tenth: Site, at: Filled, small: Filled) -> list[Visited]:
    pages = [
        Visited(who, name, path, small_path=other)
        for (who, name, path), (_, _, other) in zip(visits(at), visits(small), strict=True)
    ]
    for page in pages:
        page.look(full, tenth)
        page.full.clear()  # the first fetch compiles templates and warms caches
        page.tenth.clear()
    in_turn(pages, LOOKS_S, full, tenth)
    in_turn([page for page in pages if page.misses], MORE_S, full, tenth)
    return pages


def in_turn(pages: list[Visited], seconds: float, full: Site, tenth: Site) -> None:
    began, rounds = time.monotonic(), 0
    while pages and (rounds < 2 or time.monotonic() - began < seconds):
        rounds += 1
        for page in pages:
            page.look(full, tenth)


def numbers(engine: str, pages: list[Visited], rows: str) -> Iterator[Number]:
    most = max(pages, key=lambda p: p.queries)
    yield Number(
        f"{engine}: most queries of {len(pages)} pages",
        most.queries,
        "",
        limit=MAX_QUERIES,
        note=f"{most.label}; {rows}",
    )
    for who in ("dev", "ops"):
        slowest = max((p for p in pages if p.who == who), key=lambda p: p.p95)
        cpu = percentile([look["cpu_ms"] for look in slowest.full], 0.95)
        note = f"{slowest.label}; {cpu:.0f} ms of them this process's own computing"
        yield Number(f"{engine}: slowest page of {who}, p95", slowest.p95, "ms", limit=MAX_MS, note=note)
    middle = statistics.median(p.p95 for p in pages)
    yield Number(f"{engine}: the middle page, p95", middle, "ms")
    worst = max(pages, key=lambda p: p.ratio)
    yield Number(
        f"{engine}: worst page against a tenth of the data",
        statistics.median(look["ms"] for look in worst.full), "ms",
        baseline=statistics.median(look["ms"] for look in worst.tenth), baseline_name="a tenth", limit=MAX_RATIO,
        note=worst.label,
    )  # fmt: skip
    missed = sorted((p for p in pages if p.misses), key=lambda p: -p.p95)
    yield Number(f"{engine}: pages that miss a limit", len(missed), "", limit=0, note="; ".join(
        f"{p.label}: {p.queries} queries, p95 {p.p95:.0f} ms, {p.ratio:.2f} ×" for p in missed[:20]
    ))  # fmt: skip
