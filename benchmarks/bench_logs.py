"""Logs: from a step's print to a viewer, 100 MB of it, fifty viewers, and viewers whose connections are cut."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.asyncio.client import connect

from tests.builds.logs.watching import Watcher
from tests.portal import ROOT, Portal, migrated_database, pss_mb
from tests.waiting import until

from .browser_lines import lines_in_browser
from .client import Project
from .measure import Number, percentile

LINES = 150
MEGABYTES = 100
VIEWERS, CUTS = 20, 20
STAMP = re.compile(rb"stamp (\d{13})")
PIPELINE = "pipeline {{\n agent any\n stages {{ stage('Print') {{ steps {{ sh 'python3 {}' }} }} }}\n}}\n"
STAMPS = f"""
import time
time.sleep(6)
for number in range({LINES}):
    print(f"line {{number}} stamp {{time.time_ns() // 1_000_000}}", flush=True)
    time.sleep(0.1)
"""
BIG = f"""
import sys
lines = "".join(f"gcc -O2 -Wall -Iinclude -c src/module_{{n:03d}}.c -o build/module_{{n:03d}}.o\\n" for n in range(900))
written = 0
while written < {MEGABYTES}_000_000:
    written += sys.stdout.write(lines)
"""
STEADY = """
import time
for number in range(300):
    print("".join(f"tests/web/test_{number}.py::test_case_{n} PASSED [{n % 101:3d}%]\\n" for n in range(300)), end="", flush=True)
    time.sleep(0.05)
"""


def measure(scratch: Path) -> Iterator[Number]:
    with Portal(scratch / "var") as portal:
        project = Project(portal, scratch)
        project.finished("builds", 1)
        yield from one_line(portal, project)
        yield from big(portal, project)
        yield cuts(portal, project)
    yield from viewers(scratch)


def started(project: Project, script: str, text: str) -> dict[str, Any]:
    """The running build of a pipeline that runs the script."""
    sha = project.push({"Jenkinsfile": PIPELINE.format(script), script: text}, script)

    def running() -> dict[str, Any] | None:
        rows = project.get(f"/api/builds/?project={project.slug}")["results"]
        return next((row for row in rows if row["commit"]["sha"] == sha and row["state"] == "running"), None)

    found: dict[str, Any] = until(running, timeout=60, every=0.05, what="a running build")
    return found


def socket_to(portal: Portal, build: int, offset: int = 0) -> connect:
    token = portal.credentials()["tokens"]["dev"]
    address = f"{portal.url.replace('http', 'ws', 1)}/ws/builds/{build}/log/?offset={offset}"
    return connect(address, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None)


def one_line(portal: Portal, project: Project) -> Iterator[Number]:
    """The step writes the time into each line; who gets it compares it with the same clock."""
    build = started(project, "stamps.py", STAMPS)
    late: list[float] = []

    async def follow() -> None:
        rest = b""
        watcher = Watcher(keep=False)
        async with socket_to(portal, build["id"]) as socket:
            while True:
                try:
                    message = await watcher.one(socket)
                except OSError:
                    return
                if isinstance(message, bytes):
                    now = time.time() * 1000
                    *whole, rest = (rest + message).split(b"\n")
                    late.extend(now - int(found[1]) for line in whole if (found := STAMP.search(line)))
                elif message.get("sha256"):
                    return

    reader = threading.Thread(target=lambda: asyncio.run(follow()))
    reader.start()
    seen, why = lines_in_browser(portal, build["id"], LINES)
    reader.join(120)
    note = f"median {percentile(late, 0.5):.0f} ms over {len(late)} lines"
    yield Number("log line: step → WebSocket, p95", percentile(late, 0.95), "ms", limit=500, note=note)
    note = why or f"median {percentile(seen, 0.5):.0f} ms over {len(seen)} lines, chromium"
    yield Number("log line: step → browser's DOM, p95", percentile(seen, 0.95), "ms", limit=500, note=note)


class Memory:
    """The greatest proportional memory of web and worker, without what the build's step itself runs."""

    def __init__(self, portal: Portal) -> None:
        self.peak = 0.0
        self._portal = portal
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _work(self) -> None:
        while not self._ended.wait(0.3):
            self.peak = max(self.peak, pss_mb(self._ours()))

    def _ours(self) -> list[int]:
        found = []
        for pid in [*self._portal.tree("web"), *self._portal.tree("worker")]:
            try:
                words = " ".join(psutil.Process(pid).cmdline())
            except psutil.Error:
                continue
            if "big.py" not in words and "small.py" not in words:
                found.append(pid)
        return found


def big(portal: Portal, project: Project) -> Iterator[Number]:
    with Memory(portal) as before:
        build = started(project, "small.py", BIG.replace(f"{MEGABYTES}_000_000", "1_000_000"))
        project.finished("builds", build["id"], timeout=120)
    began = time.monotonic()
    with Memory(portal) as during:
        build = started(project, "big.py", BIG)
        project.finished("builds", build["id"], timeout=400)
    taken = time.monotonic() - began
    size, stored, _ = log_row(portal, build["id"])
    note = f"web and worker with the build's agent: {before.peak:.0f} MB at most with 1 MB of log, {during.peak:.0f} MB with {size / 1e6:.0f}; {taken:.0f} s"
    yield Number(f"memory grown by {MEGABYTES} MB of log", during.peak - before.peak, "MB", limit=64, note=note)
    yield Number(
        f"stored bytes of {MEGABYTES} MB of log",
        stored / 1e6,
        "MB",
        baseline=size / 1e6,
        baseline_name="raw",
        limit=0.125,
    )
    with signed_in(portal) as browser:
        times = []
        for _ in range(7):
            began = time.monotonic()
            answer = browser.get(f"/builds/{build['id']}/log/lines/?from=-500")
            answer.raise_for_status()
            assert len(answer.json()["lines"]) == 500
            times.append(time.monotonic() - began)
    note = f"median {percentile(times, 0.5):.2f} s; the first {times[0]:.2f} s"
    yield Number(f"the last 500 lines of {MEGABYTES} MB, worst of 7", max(times), "s", limit=1.0, note=note)


def log_row(portal: Portal, build: int) -> tuple[int, int, str]:
    """(raw bytes, stored bytes, sha256) once the log is sealed."""

    def sealed() -> tuple[int, int, str] | None:
        with sqlite3.connect(f"file:{portal.var}/db.sqlite3?mode=ro", uri=True, timeout=20) as database:
            columns = "size, stored_size, sha256"
            row = database.execute(
                f"SELECT {columns} FROM builds_buildlog WHERE build_id = ? AND complete", [build]
            ).fetchone()
        return tuple(row) if row else None

    found: tuple[int, int, str] = until(sealed, timeout=120, every=0.2, what="the log to be sealed")
    return found


def signed_in(portal: Portal) -> httpx.Client:
    """A client with a session, as a browser has one."""
    client = httpx.Client(base_url=portal.url, timeout=60, follow_redirects=True)
    client.get("/sign-in/")
    password = portal.credentials()["users"]["dev"]
    form = {"username": "dev", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    client.post("/sign-in/", data=form, headers={"Referer": f"{portal.url}/sign-in/"}).raise_for_status()
    return client


def cuts(portal: Portal, project: Project) -> Number:
    """Each viewer is cut off so many times while the log grows; counts those who end with other bytes than are stored."""
    build = started(project, "steady.py", STEADY)
    piece = 300 * 300 * 50 // (CUTS + 2)

    async def view(late: float) -> str:
        watcher = Watcher(keep=False)
        await asyncio.sleep(late)
        for _ in range(CUTS):
            async with socket_to(portal, build["id"], watcher.offset) as socket:
                await watcher.watch(socket, until=watcher.offset + piece)
                socket.transport.abort()
        while not (watcher.statuses and watcher.statuses[-1].get("sha256")):
            async with socket_to(portal, build["id"], watcher.offset) as socket:
                await watcher.watch(socket)
        return watcher.sha.hexdigest()

    async def everybody() -> list[str | BaseException]:
        viewing = (asyncio.wait_for(view(number * 0.05), 240) for number in range(VIEWERS))
        return await asyncio.gather(*viewing, return_exceptions=True)

    sums = asyncio.run(everybody())
    size, _, sha256 = log_row(portal, build["id"])
    wrong = [found for found in sums if found != sha256]
    note = f"{size / 1e6:.1f} MB each" + (f"; {wrong[:2]}" if wrong else "")
    return Number(
        f"of {VIEWERS} viewers, cut {CUTS} times each, with other bytes than stored", len(wrong), "", limit=0, note=note
    )


def viewers(scratch: Path) -> Iterator[Number]:
    folder = scratch / "viewers"
    folder.mkdir(mode=0o700)
    with Portal(folder / "unused").output.open("ab"):
        env = {**Portal(folder / "unused").env, "FDD_VAR": str(folder), "LOG_LEVEL": "ERROR"}
    (folder / "db.sqlite3").write_bytes(migrated_database(env).read_bytes())
    command = [sys.executable, "-m", "benchmarks.viewers"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=True)
    one, many = json.loads(done.stdout)
    for kind, word in (("looks", "looks at the totals"), ("loads", "blocks read")):
        rates = [found[kind] / found["seconds"] for found in (one, many)]
        note = f"{one[kind]} in {one['seconds']:.1f} s, {many[kind]} in {many['seconds']:.1f} s"
        name = f"{word} with {many['viewers']} viewers"
        yield Number(name, rates[1], "per s", baseline=rates[0], baseline_name="one viewer", limit=1.5, note=note)
