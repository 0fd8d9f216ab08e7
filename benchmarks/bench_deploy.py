"""What a deployment costs over starting the same processes by hand, and what users of the service notice of a change."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx

from tests.portal import ROOT, Portal, free_port
from tests.waiting import until

from .client import Project, seconds
from .measure import Number

REPLICAS = 3
RATE = 200
ROUNDS = 3


def measure(scratch: Path) -> Iterator[Number]:
    with Portal(scratch / "var") as portal:
        project = Project(portal, scratch)
        project.finished("builds", 1)
        project.build_of(project.push({"note.txt": "second\n"}, "a second version"))
        project.change("deploy", version=1, replicas=REPLICAS)
        deploys, rollbacks = [], []
        for _ in range(ROUNDS):
            deploys.append(duration(project.change("deploy", version=2)))
            rollbacks.append(duration(project.change("rollback", version=1)))
        hands = [by_hand(project.clone) for _ in range(ROUNDS)]
        deploy, hand = sorted(deploys)[ROUNDS // 2], sorted(hands)[ROUNDS // 2]
        over = (
            f"a deploy took {deploy:.2f} s, by hand {hand:.2f} s (medians of {ROUNDS}); drain of the old ones included"
        )
        yield Number(
            f"deploy of {REPLICAS} instances, over starting them by hand", deploy - hand, "s", limit=1.0, note=over
        )
        yield Number("rollback, confirmed → done", max(rollbacks), "s", limit=3.0, note=f"the slowest of {ROUNDS}")
        yield from under_load(project, scratch)


def duration(deployment: dict[str, str]) -> float:
    return seconds(deployment["created_at"], deployment["finished_at"])


def by_hand(folder: Path) -> float:
    """Start the same processes and wait until every one of them says it is healthy."""
    ports = [free_port() for _ in range(REPLICAS)]
    began = time.monotonic()
    started = [
        subprocess.Popen(
            ["python3", "app.py"],
            cwd=folder,
            env={**os.environ, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port in ports
    ]
    try:
        for port in ports:
            until(partial(healthy, port), timeout=30, every=0.02, what="an instance")
        return time.monotonic() - began
    finally:
        for process in started:
            process.kill()
            process.wait()


def healthy(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
    return False


def under_load(project: Project, scratch: Path) -> Iterator[Number]:
    """The stream runs through the stable port while the service is changed; every failed request counts."""
    (service,) = [s for s in project.get(f"/api/projects/{project.slug}/services/")["results"] if s["url"]]
    changes: dict[str, dict[str, int]] = {
        "deploy": {"version": 2},
        "rollback": {"version": 1},
        "scale": {"replicas": REPLICAS + 1},
        "restart": {},
    }
    for action, body in changes.items():
        report = scratch / f"{action}.json"
        command = [sys.executable, "-m", "benchmarks.load", f"{service['url']}version", str(RATE), str(report)]
        stream = subprocess.Popen(command, cwd=ROOT)
        time.sleep(2)
        try:
            project.change(action, **body)
            time.sleep(2)
        finally:
            stream.send_signal(signal.SIGTERM)
            stream.wait(30)
        facts = json.loads(report.read_text())
        note = f"{facts['sent']} sent, p50 {facts['p50_ms']:.0f} ms, p99 {facts['p99_ms']:.0f} ms"
        note += f"; {facts['reasons']}" if facts["reasons"] else ""
        yield Number(f"failed requests during {action} at {RATE}/s", facts["failed"], "", limit=0, note=note)
