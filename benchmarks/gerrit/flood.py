"""Too much at once: 200 events a second for a minute, one project that floods others, one event a thousand times."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Number, percentile
from tests.portal import Portal, cpu_seconds, pss_mb
from tests.waiting import until

from .calm import settled
from .ground import Gerrit, connect
from .rows import Push, Rows

RATE, SECONDS = 200, 60
INTAKE_S = 60.0
OF_ONE, OTHERS, OTHERS_EVERY_S = 2_000, 20, 1.0
REPEATS = 1_000


def sustained(gerrit: Gerrit, projects: Sequence[str], scratch: Path) -> Iterator[Number]:
    """In a portal of its own, since the builds it queues are more than anybody waits for."""
    with Portal(scratch / "flooded") as portal:
        rows = connect(portal, gerrit, list(projects))
        last, watch = rows.last(), portal.tree("watch")
        total = gerrit.do("prepare", projects=projects, name="flood", each=RATE * SECONDS // len(projects))
        used = cpu_seconds(watch)
        gerrit.do("flood", rate=RATE)
        times: dict[str, Any] = until(lambda: gerrit.do("flooded"), timeout=SECONDS * 4, every=0.5, what="the flood")
        at_end, done_at_end = rows.count(last), rows.count(last) - rows.waiting(last)
        used = cpu_seconds(watch) - used
        memory = pss_mb(watch)
        until(lambda: rows.count(last) >= total, timeout=120, every=0.2, what="every item")
        took = times["ended"] - times["began"]
        began, before = time.monotonic(), rows.waiting(last)
        until(lambda: not rows.waiting(last) or time.monotonic() > began + INTAKE_S, INTAKE_S + 5, 0.2)
        pace = (before - rows.waiting(last)) / (time.monotonic() - began)
        pushes = rows.pushes(last)
    refs = {(push.project, push.ref, push.sha) for push in pushes}
    vias = ", ".join(f"{sum(push.via == via for push in pushes)} by {via}" for via in sorted({p.via for p in pushes}))
    behind = max(push.received for push in pushes) - times["ended"]
    note = f"{total:,} lines in {took:.1f} s; {at_end:,} items at the last line; {vias}"
    yield Number("events lost", total - len(refs), "of 12,000", limit=0, note=note)
    yield Number("… taken twice", len(pushes) - len(refs), "of 12,000", limit=0)
    yield Number("… the last line → the last item", behind, "s", limit=5)
    yield Number("… the watch process", used / took * 100, "% of a core")
    yield Number("… its memory (PSS)", memory, "MB", limit=300)
    yield Number("builds queued beside the flood", done_at_end / took, "per s")
    yield Number("builds queued after it", pace, "per s", note="each build's own end (it cannot run) is part of it")


def others(gerrit: Gerrit, rows: Rows, projects: Sequence[str]) -> Iterator[Number]:
    """One project floods; somebody pushes in another one all the while, also while the flood is worked off."""
    flooder, other = projects[0], projects[1]
    last = rows.last()
    gerrit.do("prepare", projects=[flooder], name="alone", each=OF_ONE)
    gerrit.do("flood", rate=RATE)
    mine = set()
    for _ in range(OTHERS):
        due = time.monotonic() + OTHERS_EVERY_S
        mine.add(gerrit.do("push", project=other, branch="master")["sha"])
        time.sleep(max(0.0, due - time.monotonic()))
    left = rows.waiting(last)

    def handled() -> list[Push]:
        found = [push for push in rows.pushes(last) if push.sha in mine and push.queued]
        return found if len(found) == OTHERS else []

    pushes = until(handled, timeout=60, every=0.5, what="the pushes in the other project")
    took = [(push.queued - push.heard) * 1000 for push in pushes if push.queued]
    inbox = percentile([(push.received - push.heard) * 1000 for push in pushes], 0.95)
    note = f"p50 {percentile(took, 0.5):.0f}, worst {max(took):.0f} ms of {len(took)}; until in the inbox p95 {inbox:.0f} ms; "
    note += f"at the last of them {left:,} of the flood waited"
    name = f"a push while another project floods ({OF_ONE:,} events), p95"
    yield Number(name, percentile(took, 0.95), "ms", limit=1000, note=note)


def repeated(gerrit: Gerrit, rows: Rows, projects: Sequence[str]) -> Number:
    """One move told a thousand times; the lines that follow show that all of them were read."""
    last, events = rows.last(), rows.events()
    gerrit.do("repeat", project=projects[2], name="again", times=REPEATS)
    after = gerrit.do("push", project=projects[3], branch="master")["sha"]
    until(lambda: rows.events() >= events + REPEATS + 1, timeout=60, every=0.2, what="all lines heard")
    pushes = settled(rows, last, 2)
    builds = sum(push.queued is not None for push in pushes if push.sha != after)
    return Number(
        f"builds from one event told {REPEATS:,} times", builds, "builds", baseline=1, baseline_name="once", limit=1
    )
