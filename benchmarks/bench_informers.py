"""Following a cluster: what the first reading of 10,000 pods and 100 changes a second of 5,000 cost, how late rows are,
and whether anything is missed when the watch is cut every second.

The API server is the small one of the tests, in a process of its own, with pods as large as a real server's; the watch
process is real (`manage.py watch --only clusters`), on SQLite. FDD_BENCH_LONG=1: cut for ten minutes instead of one.
FDD_BENCH_PARTS="sync changes cut": only these parts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import until

from .informers.ground import Server, Watch, bare
from .measure import Number, percentile

MANY, SOME, RATE = 10_000, 5_000, 100.0
WINDOW_S = 30.0
LONG = bool(os.environ.get("FDD_BENCH_LONG"))
CUT_S = 600.0 if LONG else 60.0
PARTS = os.environ.get("FDD_BENCH_PARTS", "sync changes cut").split()


def measure(scratch: Path) -> Iterator[Number]:
    if "sync" in PARTS:
        with Server() as server, Watch(scratch / "sync") as watch:
            yield from _sync(server, watch)
    if {"changes", "cut"} & set(PARTS):
        with Server() as server, Watch(scratch / "changes") as watch:
            server.do("pods", count=SOME)
            watch.connect(server.url)
            until(watch.live, 120, every=0.2, what="the first reading")
            server.do("change", rate=RATE)
            if "changes" in PARTS:
                yield from _changes(server, watch)
            if "cut" in PARTS:
                yield from _cut(server, watch)


def _sync(server: Server, watch: Watch) -> Iterator[Number]:
    server.do("pods", count=MANY)
    plain = bare(server.url, 1.0)
    used, began = watch.cpu_s, time.monotonic()
    watch.connect(server.url)
    until(lambda: watch.live() and watch.feed()["objects_count"] == MANY, 120, every=0.1, what="the first reading")
    took, used = time.monotonic() - began, watch.cpu_s - used
    note = f"in {took:.1f} s; a bare loop that only lists and parses them: {plain['list_s']:.2f} s of processor"
    yield Number(f"first reading of {MANY:,} pods", used, "s of CPU", limit=3, note=note)
    yield Number("… memory of the watch process (PSS)", watch.mb, "MB", limit=400)


def _changes(server: Server, watch: Watch) -> Iterator[Number]:
    time.sleep(3)
    used, began, asked = watch.cpu_s, time.monotonic(), server.do("asked")
    late: list[float] = []
    while time.monotonic() - began < WINDOW_S:
        sent = server.do("touch")
        until(lambda: int(watch.version_of(sent["name"]) or 0) >= int(sent["version"]), 30, every=0.01)  # noqa: B023
        late.append(time.time() - sent["at"])
        time.sleep(0.3)
    took = time.monotonic() - began
    used, asked = watch.cpu_s - used, server.do("asked") - asked
    plain = bare(server.url, 15.0)
    note = f"a bare loop that only reads and parses the watch: {plain['watch']:.1f} %"
    yield Number(f"{SOME:,} pods, {RATE:.0f} changes/s: the watch process", used / took * 100, "% of a core", limit=50, note=note)  # fmt: skip
    yield Number("… its memory (PSS)", watch.mb, "MB", limit=400)
    yield Number("… from a change to its row, p95", percentile(late, 0.95), "s", limit=1)
    yield Number("… the latest of all", max(late), "s", limit=2, note=f"{len(late)} changes looked for")
    yield Number("… requests to the API server", asked / took * 60, "per minute")


def _cut(server: Server, watch: Watch) -> Iterator[Number]:
    server.do("cut", every=1.0)
    time.sleep(CUT_S)
    server.do("change", rate=0)
    server.do("cut", every=0)
    wanted = server.do("versions")
    began = time.monotonic()
    until(lambda: watch.pods() == wanted or time.monotonic() - began > 30, 60, every=0.2)
    stored = watch.pods()
    wrong = sum(stored.get(name) != version for name, version in wanted.items()) + len(set(stored) - set(wanted))
    feed = watch.feed()
    note = f"after {CUT_S:.0f} s with {feed['reconnects']} cuts; {feed['relists']} lists"
    yield Number("pods stored otherwise than they are", wrong + feed["drift"], "pods", limit=0, note=note)
