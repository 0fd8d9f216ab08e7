"""Lines of a log on Jenkins: how late they are in the portal and beside it, and what a hundred viewers cost Jenkins."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from benchmarks.browser_lines import lines_in_browser
from benchmarks.client import Project
from benchmarks.measure import Number, percentile
from tests.builds.logs.watching import Watcher
from tests.portal import Portal
from tests.waiting import until

from .bare import STAMP, LogReader
from .served import Served
from .starting import number_of

LINES, EVERY_S = 300, 0.1
JENKINS_PACE_S = 1.0  # of Jenkins' own page, from an answer to the next question
OUR_PACE_S = 0.5  # of the portal: the harder comparison
VIEWERS, WINDOW_S = 100, 15.0


def running(portal: Portal, project: Project) -> tuple[int, int]:
    """A build that runs and waits for what it is told: its id here and its number there."""
    row = project.post(f"/api/projects/{project.slug}/builds/", {})
    number = until(lambda: number_of(portal, row["id"]), timeout=30, every=0.05, what="its number")
    return int(row["id"]), number


async def view(portal: Portal, build: int, late: list[float], until_time: float = float("inf")) -> None:
    """Watch as a page does; to the log's end, or for a while."""
    token = portal.credentials()["tokens"]["dev"]
    address = f"{portal.url.replace('http', 'ws', 1)}/ws/builds/{build}/log/?offset=0"
    watcher, rest = Watcher(keep=False), b""
    async with open_socket(address, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None) as socket:
        while (left := until_time - time.monotonic()) > 0:
            try:
                message = await watcher.one(socket, timeout=min(left, 60.0))
            except (TimeoutError, ConnectionClosed):
                return
            if isinstance(message, bytes):
                now = time.time() * 1000
                *whole, rest = (rest + message).split(b"\n")
                late.extend(now - int(found[1]) for line in whole if (found := STAMP.search(line)))


def one_line(portal: Portal, project: Project, jenkins: Served) -> Iterator[Number]:
    """The simulated Jenkins writes the time into each line; everybody compares it with the same clock."""
    build, number = running(portal, project)
    job = f"fdd/{project.slug}"
    late: list[float] = []
    viewer = threading.Thread(target=lambda: asyncio.run(view(portal, build, late)), daemon=True)
    beside = [
        LogReader((jenkins.url, jenkins.user, jenkins.token), job, number, pace)
        for pace in (JENKINS_PACE_S, OUR_PACE_S)
    ]
    for thread in (viewer, *beside):
        thread.start()
    seen: list[float] = []
    why: list[str] = []

    def browse() -> None:
        found, trouble = lines_in_browser(portal, build, LINES)
        seen.extend(found)
        why.append(trouble)

    browser = threading.Thread(target=browse, daemon=True)
    browser.start()
    time.sleep(6)  # the page is open
    jenkins.do("write", job=job, number=number, lines=LINES, every=EVERY_S)
    for thread in (viewer, browser, *beside):
        thread.join(120)
    project.finished("builds", build)
    theirs, same = (percentile(reader.late, 0.95) for reader in beside)
    ours = percentile(late, 0.95)
    note = f"median {percentile(late, 0.5):.0f} ms over {len(late)} lines"
    yield Number("Jenkins' log line → WebSocket, p95", ours, "ms", limit=1500, note=note)
    note = why[0] if why and why[0] else f"median {percentile(seen, 0.5):.0f} ms over {len(seen)} lines, chromium"
    dom = percentile(seen, 0.95)
    yield Number("Jenkins' log line → browser's DOM, p95", dom, "ms", limit=1500, note=note)
    for pace, beside_us in ((JENKINS_PACE_S, theirs), (OUR_PACE_S, same)):
        base = f"progressiveText read directly, {pace:g} s after each answer"
        name = f"… against a reader beside the portal, every {pace:g} s"
        yield Number(name, dom, "ms", baseline=beside_us, baseline_name=base, limit=1.3)


def hundred(portal: Portal, project: Project, jenkins: Served) -> Number:
    """The log's requests in WINDOW_S with one viewer, then with a hundred of the same log."""
    build, number = running(portal, project)
    job = f"fdd/{project.slug}"
    jenkins.do("write", job=job, number=number, lines=int((3 * WINDOW_S + 20) / EVERY_S), every=EVERY_S)
    counts, got = [], []

    async def watch(viewers: int) -> None:
        lines: list[list[float]] = [[] for _ in range(viewers)]
        end = time.monotonic() + WINDOW_S + 8
        everybody = [asyncio.create_task(view(portal, build, late, end)) for late in lines]
        await asyncio.sleep(6)  # all are connected
        since = time.monotonic()
        await asyncio.sleep(WINDOW_S)
        counts.append(len(await asyncio.to_thread(jenkins.do, "asked", pattern="progressiveText", since=since)))
        await asyncio.gather(*everybody)
        got.append(min(len(late) for late in lines))

    asyncio.run(watch(1))
    asyncio.run(watch(VIEWERS))
    jenkins.do("end", builds=[(job, number, "SUCCESS")])
    note = f"{counts[0]} and {counts[1]} progressiveText requests in {WINDOW_S:g} s; each viewer got at least {got[1]} lines"
    name = f"requests for one log with {VIEWERS} viewers"
    rates = [count / WINDOW_S for count in counts]
    return Number(name, rates[1], "per s", baseline=rates[0], baseline_name="one viewer", limit=1.1, note=note)
