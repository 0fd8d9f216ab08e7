"""What is pushed while nobody listens: the watch is killed, and started again after a while."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Number
from tests.portal import Portal

from .calm import settled
from .ground import Gerrit, Person
from .rows import Rows

PUSHES = 50
DOWN_S, LONG_DOWN_S = 30.0, 300.0
SAME = 3  # so many pushes go to the same branch, one after the other


def killed(
    portal: Portal, gerrit: Gerrit, rows: Rows, projects: Sequence[str], scratch: Path, long: bool
) -> Iterator[Number]:
    """The supervisor is stopped meanwhile, or it would start another watch at once."""
    people = [Person(gerrit, project, scratch) for project in projects]
    down_s, last = LONG_DOWN_S if long else DOWN_S, rows.last()
    supervisor = int(portal.state()["pid"])
    os.kill(supervisor, signal.SIGSTOP)
    try:
        portal.kill("watch")
        began = time.monotonic()
        pushed = []
        for turn in range(PUSHES):
            person = people[turn % len(people)]
            branch = "same" if turn < SAME * len(people) else f"gap/{turn}"
            pushed.append(person.push(branch)[0])
        noticed = rows.count(last)
        time.sleep(max(0.0, began + down_s - time.monotonic()))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    again = time.time()
    pushes = settled(rows, last, PUSHES)
    assert len(set(pushed)) == PUSHES
    builds = Counter(push.sha for push in pushes if push.queued is not None)
    missing = [sha for sha in pushed if not builds[sha]]
    twice = sum(builds.values()) - len(builds)
    until_last = max(push.queued for push in pushes if push.queued is not None) - again
    note = f"down for {down_s:.0f} s, {SAME * len(people)} of {PUSHES} pushes to {len(people)} branches; {noticed} were noticed meanwhile"
    yield Number(
        f"{PUSHES} pushes while the listener is dead: builds",
        len(builds),
        "builds",
        limit=PUSHES,
        at_least=True,
        note=note,
    )
    yield Number("… missing", len(missing), "builds", limit=0)
    yield Number("… built twice", twice + len(set(builds) - set(pushed)), "builds", limit=0)
    yield Number("… the watch is started again → the last one is queued", until_last, "s", limit=30)
