"""A thousand builds on one Jenkins and the one process that follows them: what it asks, sees, and costs."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from benchmarks.measure import Number, percentile
from tests.portal import ROOT, Portal, migrated_database, pss_mb
from tests.waiting import until

from .served import Served

# A few busy jobs and many quiet ones: 2 × 150, 6 × 50, 20 × 10, 100 × 2.
SHAPE = [150] * 2 + [50] * 6 + [10] * 20 + [2] * 100
WAITING = 60  # more of them, which wait in the queue and begin all at once
SETTLE_S = 25.0
ENDING_S = 60.0
BURSTS = [1] * 60 + [20, 40, 30, 50]
RESULTS = ("SUCCESS", "SUCCESS", "SUCCESS", "UNSTABLE", "FAILURE", "ABORTED")


def crowd(scratch: Path) -> Iterator[Number]:
    folder = scratch / "crowd"
    folder.mkdir(mode=0o700)
    env = {
        **Portal(folder / "unused").env,
        "FDD_VAR": str(folder), "FDD_PROCESS": "watch", "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
        "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    (folder / "db.sqlite3").write_bytes(migrated_database(env).read_bytes())
    with Served() as jenkins:
        builds = _begin(jenkins, env)
        watch = subprocess.Popen(
            [sys.executable, "manage.py", "watch", "--only", "builders"], cwd=ROOT, env=env, start_new_session=True
        )
        try:
            yield from _followed(jenkins, watch.pid, folder / "db.sqlite3", builds)
        finally:
            watch.send_signal(signal.SIGTERM)
            try:
                watch.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(watch.pid, signal.SIGKILL)


def _begin(jenkins: Served, env: Mapping[str, str]) -> list[tuple[str, int]]:
    """(job, number) of each build that runs."""
    wanted = [(f"fdd/app-{at:03d}", str(uuid.uuid4())) for at, count in enumerate(SHAPE) for _ in range(count)]
    random.Random(4).shuffle(wanted)
    begun = jenkins.do("begin", builds=wanted)
    rows: list[tuple[str, str, int, int | None]] = [
        (job, key, queue, number) for (job, key), (number, queue) in zip(wanted, begun, strict=True)
    ]
    later = [(job, str(uuid.uuid4())) for job, _ in wanted[:WAITING]]
    places = jenkins.do("wait", builds=later)
    rows += [(job, key, queue, None) for (job, key), queue in zip(later, places, strict=True)]
    command = [sys.executable, "-m", "benchmarks.remote.fill", *jenkins.as_arguments()]
    subprocess.run(command, cwd=ROOT, env=env, input=json.dumps(rows), text=True, check=True, timeout=120)
    return [(job, number) for job, _, _, number in rows if number]


class Seen:
    """Looks at the rows all the time, and knows when each was first written down as ended, or as begun."""

    def __init__(self, database: Path) -> None:
        self.ended: dict[tuple[str, int], float] = {}
        self.begun: list[float] = []
        self._stop = threading.Event()
        self._database = database
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=20) as database:
            while not self._stop.wait(0.05):
                rows = database.execute("SELECT job, number FROM builds_remotebuild WHERE ended").fetchall()
                query = "SELECT count(*) FROM builds_remotebuild WHERE number IS NULL"
                waiting = database.execute(query).fetchone()[0]
                now = time.monotonic()
                for place in rows:
                    self.ended.setdefault(place, now)
                self.begun += [now] * (WAITING - waiting - len(self.begun))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


def _followed(jenkins: Served, pid: int, database: Path, builds: list[tuple[str, int]]) -> Iterator[Number]:
    until(lambda: jenkins.do("asked", pattern="/computer/"), timeout=60, every=0.2, what="the first census")
    time.sleep(SETTLE_S)
    process = psutil.Process(pid)
    crowd = f"{len(builds):,} running builds"
    rate, used = _measured(jenkins, process, SETTLE_S)
    yield Number(f"{crowd}, quiet: requests to Jenkins", rate, "per s", limit=10)
    yield Number(f"{crowd}, quiet: the watch process", used, "% of a core", limit=40)
    seen = Seen(database)
    before, since = _cpu(process), time.monotonic()
    began = jenkins.do("let_go")
    ended = _end_some(jenkins, builds)
    try:
        until(lambda: len(seen.ended) >= len(ended), timeout=60, every=0.05, what="every end to be seen")
    except AssertionError:
        pass  # those that are missing count as never seen
    seen.close()
    taken = time.monotonic() - since
    changing = f"{crowd}, {len(ended)} end and {WAITING} more begin in a minute"
    asked = [at for _, at in jenkins.do("asked", since=since)]
    most = max(sum(at <= other < at + 1 for other in asked) for at in asked)
    note = f"at most {most} within one second"
    yield Number(f"{changing}: requests to Jenkins", len(asked) / taken, "per s", limit=10, note=note)
    late = [seen.ended.get(place, float("inf")) - at for place, at in ended.items()]
    note = f"median {percentile(late, 0.5):.2f} s, p95 {percentile(late, 0.95):.2f} s; bursts of up to {max(BURSTS)}"
    yield Number(f"{changing}: an end, until the row says so, worst", max(late), "s", limit=5, note=note)
    late = [at - began for at in seen.begun] + [float("inf")] * (WAITING - len(seen.begun))
    note = f"all {WAITING} began at once"
    yield Number(f"{changing}: a beginning, until the row says so, worst", max(late), "s", limit=5, note=note)
    used = (_cpu(process) - before) / taken * 100
    yield Number(f"{changing}: the watch process", used, "% of a core", limit=40)
    memory = process.memory_info().rss / 2**20
    note = f"resident; proportional {pss_mb([pid]):.0f} MB"
    yield Number(f"{crowd}: memory of the watch process", memory, "MB", limit=300, note=note)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _measured(jenkins: Served, process: psutil.Process, seconds: float) -> tuple[float, float]:
    """(requests per second, % of a core) over so many seconds."""
    before, began = _cpu(process), time.monotonic()
    time.sleep(seconds)
    taken = time.monotonic() - began
    return len(jenkins.do("asked", since=began)) / taken, (_cpu(process) - before) / taken * 100


def _end_some(jenkins: Served, builds: list[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """End 200 at random moments of a minute, some in bursts; when each ended."""
    dice = random.Random(7)
    chosen = dice.sample(builds, sum(BURSTS))
    moments = sorted((dice.uniform(0, ENDING_S), size) for size in BURSTS)
    began = time.monotonic()
    ended: dict[tuple[str, int], float] = {}
    for moment, size in moments:
        time.sleep(max(0.0, began + moment - time.monotonic()))
        now = [(*chosen.pop(), dice.choice(RESULTS)) for _ in range(size)]
        times = jenkins.do("end", builds=now)
        ended |= {(job, number): at for (job, number, _), at in zip(now, times, strict=True)}
    return ended
