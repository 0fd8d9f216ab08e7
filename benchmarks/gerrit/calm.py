"""How soon a push is a build in the queue: from its event's line, and as somebody who pushes sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Number, percentile
from tests.waiting import until

from .ground import Ear, Gerrit, Person
from .rows import Push, Rows

PUSHES, RATE = 200, 3.0
BY_PEOPLE, EVERY_S = 40, 1.0
LIMIT_MS = 200


def lines(gerrit: Gerrit, rows: Rows, projects: Sequence[str], scratch: Path) -> Iterator[Number]:
    """Pushes at a calm pace, spread over all projects; a bare listener hears the same lines."""
    last = rows.last()
    with Ear(gerrit, scratch) as ear:
        gerrit.do("listening", count=2)
        due = time.monotonic()
        written: dict[str, float] = {}
        for turn in range(PUSHES):
            due += 1 / RATE
            pushed = gerrit.do("push", project=projects[turn % len(projects)], branch="master")
            written[pushed["sha"]] = pushed["at"]
            time.sleep(max(0.0, due - time.monotonic()))
        pushes = settled(rows, last, PUSHES)
        heard = ear.heard()
    took = [(push.queued - push.heard) * 1000 for push in pushes if push.queued]
    told = [push.told_ms for push in pushes if push.told_ms is not None]
    inbox = [(push.received - push.heard) * 1000 for push in pushes]
    whole = [(push.queued - written[push.sha]) * 1000 for push in pushes if push.queued]
    bare = [(heard[sha] - at) * 1000 for sha, at in written.items()]
    note = f"{len(took)} pushes; as the item itself tells it: p50 {percentile(told, 0.5):.0f}, p95 {percentile(told, 0.95):.0f}"
    yield Number("event line received → build row queued, p50", percentile(took, 0.5), "ms")
    yield Number("event line received → build row queued, p95", percentile(took, 0.95), "ms", limit=LIMIT_MS, note=note)
    yield Number("… of that until it stands in the inbox, p50", percentile(inbox, 0.5), "ms")
    for share in (0.5, 0.95):
        name = f"line written by the server → build row queued, p{share * 100:.0f}"
        base = percentile(bare, share)
        yield Number(name, percentile(whole, share), "ms", baseline=base, baseline_name="a bare listener has the line")


def people(gerrit: Gerrit, rows: Rows, project: str, scratch: Path) -> Iterator[Number]:
    """`git push` over HTTP, one after the other."""
    person, last = Person(gerrit, project, scratch), rows.last()
    pushed = {}
    for turn in range(BY_PEOPLE):
        due = time.monotonic() + EVERY_S
        sha, *times = person.push(f"person/{turn}")
        pushed[sha] = times
        time.sleep(max(0.0, due - time.monotonic()))
    queued = {push.sha: push.queued for push in settled(rows, last, BY_PEOPLE) if push.queued}
    push_s = percentile([back - begun for begun, back in pushed.values()], 0.5) * 1000
    for name, which in (("git push begun → build row queued", 0), ("git push is back → build row queued", 1)):
        took = [(queued[sha] - times[which]) * 1000 for sha, times in pushed.items()]
        note = f"p95 {percentile(took, 0.95):.0f} ms of {len(took)}; git push itself takes {push_s:.0f} ms"
        yield Number(f"{name}, p50", percentile(took, 0.5), "ms", note=note)


def settled(rows: Rows, after: int, count: int, timeout: float = 120) -> list[Push]:
    """The pushes since `after` when there are so many and all have been handled."""
    until(lambda: rows.count(after) >= count, timeout=timeout, every=0.2, what=f"{count} pushes noticed")
    until(lambda: not rows.waiting(after), timeout=timeout, every=0.2, what=f"{count} pushes handled")
    return rows.pushes(after)
