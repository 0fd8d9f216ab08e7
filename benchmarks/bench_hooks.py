"""Webhooks at 100 a second on one web process of a whole portal, and a thousand repetitions of one push.

The clock of an answer runs in the sender's process, from the connection to the last byte. Baseline: /healthz of the same
process at the same rate, right before. Each delivery is signed, stored and worked on (it is of a repository that nobody
uses here) while the next ones come. The thousand are of a repository that one project uses, under one name and under a
thousand names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.portal import ROOT, Portal
from tests.projects.git.conftest import Server, commit, git, start_server
from tests.projects.git.serve import PEOPLE
from tests.projects.hooks import letters
from tests.waiting import until

from .measure import Number

RATE = 100
SECONDS = float(os.environ.get("BENCH_HOOKS_S") or 30)
LIMIT_MS = 50.0
SECRET = "bench-secret"
CONNECT = """
import json, sys
from fangduoduo_release.common.models import Connection
from permissions.models import User
from projects.actions import create_project
url, secret, password = json.load(sys.stdin)
secrets = {"webhook_secret": secret, "password": password}
forge, _ = Connection.objects.update_or_create(
    name="forge", defaults={"kind": "git", "config": {"username": "dev", "url": url}, "secrets": secrets}
)
create_project(actor=User.objects.get(username="dev"), slug="told", repository=url, connection=forge)
"""
COUNTS = """
import json
from builds.models import Build
from projects.models import HookDelivery
states = list(HookDelivery.objects.values_list("state", flat=True))
print(json.dumps({"rows": len(states), "new": states.count("new"), "builds": Build.objects.filter(project__slug="told").count()}))
"""


def measure(scratch: Path) -> Iterator[Number]:
    remote = start_server("uvicorn", scratch / "remote")
    try:
        remote.create("told")
        with Portal(scratch / "var") as portal:
            connect(portal, remote)
            yield from rate(portal, scratch)
            yield from repetitions(portal, remote, scratch)
    finally:
        remote.stop()


def connect(portal: Portal, remote: Server) -> None:
    manage(portal, CONNECT, json.dumps([remote.url("told", who=""), SECRET, PEOPLE["dev"]]))


def manage(portal: Portal, script: str, given: str = "") -> str:
    command = [sys.executable, "manage.py", "shell", "-c", script]
    done = subprocess.run(
        command, cwd=ROOT, env=portal.env, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


def counts(portal: Portal) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manage(portal, COUNTS).splitlines()[-1])
    return found


def stream(portal: Portal, scratch: Path, path: str, seconds: float, secret: str = "") -> dict[str, Any]:
    file = scratch / "stream.json"
    command = [sys.executable, "-m", "benchmarks.posting", portal.url + path, str(RATE), str(seconds), str(file)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "BENCH_SECRET": secret}, check=True, timeout=seconds + 60)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def rate(portal: Portal, scratch: Path) -> Iterator[Number]:
    base = stream(portal, scratch, "/healthz", max(5.0, SECONDS / 3))
    told = stream(portal, scratch, "/hooks/github/forge/", SECONDS, SECRET)
    note = f"p50 {told['p50_ms']:.1f} ms, p99 {told['p99_ms']:.1f} ms; /healthz p95 {base['p95_ms']:.1f} ms; {told['reasons'] or 'none failed'}"
    yield Number(f"webhook answer at {RATE}/s, p95", told["p95_ms"], "ms", limit=LIMIT_MS, note=note)
    began = time.monotonic()
    until(lambda: not counts(portal)["new"], timeout=120, every=0.5, what="all deliveries to be worked on")
    lost = told["sent"] - counts(portal)["rows"]
    yield Number(f"of {told['sent']} deliveries lost or refused", lost, "", limit=0)
    yield Number("… and the last worked on after the last was sent", time.monotonic() - began, "s")


def repetitions(portal: Portal, remote: Server, scratch: Path) -> Iterator[Number]:
    clone = remote.clone("told", scratch / "told")
    before = git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    after = commit(clone, "NOTES", "once")
    git("push", "--quiet", "origin", "HEAD", cwd=clone)
    body = letters.github_push(before=before, after=after)
    body["repository"] = {"clone_url": remote.url("told", who="")}
    with httpx.Client(base_url=portal.url, timeout=30) as client, ThreadPoolExecutor(8) as hands:

        def post(name: str) -> int:
            headers, data = letters.github(body, SECRET, ident=name)
            return client.post("/hooks/github/forge/", headers=headers, content=data).status_code

        names = ["one"] * 1000 + [f"name{number}" for number in range(1000)]
        refused = sum(status != 202 for status in hands.map(post, names))
    until(lambda: not counts(portal)["new"], timeout=120, every=0.5, what="all repetitions to be worked on")
    until(lambda: counts(portal)["builds"], timeout=60, every=0.5, what="the build")
    yield Number("builds of a push told 2,000 times", counts(portal)["builds"], "", limit=1, note=f"{refused} refused")
