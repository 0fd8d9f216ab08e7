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
    """(job, number) of each build, in the order of their rows' ids."""
    wanted = [(f"fdd/app-{at:03d}", str(uuid.uuid4())) for at, count in enumerate(SHAPE) for _ in range(count)]
    random.Random(4).shuffle(wanted)
    begun = jenkins.do("begin", builds=wanted)
    rows = [(job, key, queue, number) for (job, key), (number, queue) in zip(wanted, begun, strict=True)]
    command = [sys.executable, "-m", "benchmarks.remote.fill", *jenkins.as_arguments()]
    subprocess.run(command, cwd=ROOT, env=env, input=json.dumps(rows), text=True, check=True, timeout=120)
    return [(job, number) for job, _, _, number in rows]


class Seen:
    """Looks at the rows all the time, and knows when each was first written down as ended."""

    def __init__(self, database: Path) -> None:
        self.at: dict[tuple[str, int], float] = {}
        self._stop = threading.Event()
        self._database = database
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=20) as database:
            while not self._stop.wait(0.05):
                rows = database.execute("SELECT job, number FROM builds_remotebuild WHERE ended").fetchall()
                now = time.monotonic()
                for place in rows:
                    self.at.setdefault(place, now)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


def _followed(jenkins: Served, pid: int, database: Path, builds: list[tuple[str, int]]) -> Iterator[Number]:
    until(lambda: jenkins.do("asked", pattern="/computer/"), timeout=60, every=0.2, what="the first census")
    time.sleep(SETTLE_S)
    process = psutil.Process(pid)
    quiet = _measured(jenkins, process, SETTLE_S)
    note = "nothing changes"
    count = f"{len(builds):,} running builds"
    yield Number(f"{count}, quiet: requests to Jenkins", quiet[0], "per s", limit=10, note=note)
    yield Number(f"{count}, quiet: the watch process", quiet[1], "% of a core", limit=40)
    seen = Seen(database)
    before, began = process.cpu_times(), time.monotonic()
    ended = _end_some(jenkins, builds)
    try:
        until(lambda: len(seen.at) >= len(ended), timeout=60, every=0.05, what="every end to be seen")
    except AssertionError:
        pass  # those that are missing count as never seen
    seen.close()
    taken = time.monotonic() - began
    after = process.cpu_times()
    rate = len(jenkins.do("asked", since=began)) / taken
    late = [seen.at.get(place, float("inf")) - at for place, at in ended.items()]
    yield Number(f"{count}, {len(ended)} end: requests to Jenkins", rate, "per s", limit=10)
    note = f"median {percentile(late, 0.5):.2f} s, p95 {percentile(late, 0.95):.2f} s; bursts of up to {max(BURSTS)}"
    yield Number(f"{count}, {len(ended)} end: until the row says so, worst", max(late), "s", limit=5, note=note)
    busy = (after.user + after.system - before.user - before.system) / taken * 100
    yield Number(f"{count}, {len(ended)} end: the watch process", busy, "% of a core", limit=40)
    memory = process.memory_info().rss / 2**20
    note = f"resident; proportional {pss_mb([pid]):.0f} MB"
    yield Number(f"{count}: memory of the watch process", memory, "MB", limit=300, note=note)


def _measured(jenkins: Served, process: psutil.Process, seconds: float) -> tuple[float, float]:
    """(requests per second, % of a core) over so many seconds."""
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after, taken = process.cpu_times(), time.monotonic() - began
    used = after.user + after.system - before.user - before.system
    return len(jenkins.do("asked", since=began)) / taken, used / taken * 100


def _end_some(jenkins: Served, builds: list[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """End 200 at random moments of a minute, some in bursts; when each ended."""
    dice = random.Random(7)
    chosen = dice.sample(builds, sum(BURSTS))
    moments = sorted((dice.uniform(0, ENDING_S), size) for size in BURSTS)
    began, ended = time.monotonic(), {}
    for moment, size in moments:
        time.sleep(max(0.0, began + moment - time.monotonic()))
        now = [(*chosen.pop(), dice.choice(RESULTS)) for _ in range(size)]
        times = jenkins.do("end", builds=now)
        ended |= {(job, number): at for (job, number, _), at in zip(now, times, strict=True)}
    return ended
