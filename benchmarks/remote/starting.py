"""From the wish for a build to Jenkins' 201, by the engine's step alone and through a whole portal; against a bare POST."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.client import Project
from benchmarks.measure import Number, percentile
from tests.portal import ROOT, Portal, migrated_database
from tests.waiting import until

from .bare import Bare
from .served import Served

STEPS, STARTS = 100, 25
SETTINGS = {"DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"}


def step_alone(scratch: Path) -> Iterator[Number]:
    folder = scratch / "step"
    folder.mkdir(mode=0o700)
    env = {**Portal(folder / "unused").env, **SETTINGS, "FDD_VAR": str(folder), "LOG_LEVEL": "ERROR"}
    (folder / "db.sqlite3").write_bytes(migrated_database(env).read_bytes())
    with Served() as jenkins:
        jenkins.do("adopt")
        command = [sys.executable, "-m", "benchmarks.remote.step", *jenkins.as_arguments(), str(STEPS)]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=200)
        answered = [at for status, at in jenkins.do("answered", path="/buildWithParameters") if status == 201][1:]
        taken = [(there - began) * 1000 for began, there in zip(json.loads(done.stdout), answered, strict=True)]
        bare = Bare(*jenkins.as_arguments(), job="fdd/step")
        plain = [bare.start() * 1000 for _ in range(STEPS)]
    yield _overhead("a start: the engine's step → Jenkins' 201, over a bare POST", taken, plain, 50)


def _overhead(name: str, taken: list[float], plain: list[float], limit: float | None) -> Number:
    """Medians: what it takes more than the bare call."""
    whole, bare = percentile(taken, 0.5), percentile(plain, 0.5)
    note = f"median {whole:.1f} ms (p95 {percentile(taken, 0.95):.1f}) of {len(taken)}; the bare POST {bare:.1f} ms"
    return Number(name, whole - bare, "ms", limit=limit, note=note)


def whole_portal(portal: Portal, project: Project, jenkins: Served) -> Iterator[Number]:
    """From the API's POST, sent, to the 201; builds one after the other, the portal otherwise idle."""
    there, asked, answered, plain = [], [], [], []
    bare = None
    for turn in range(STARTS + 1):
        jenkins.do("clear")
        began = time.monotonic()
        row = project.post(f"/api/projects/{project.slug}/builds/", {})
        told = time.monotonic()
        ((_, at),) = until(lambda: jenkins.do("answered", path="/buildWithParameters"), timeout=30, every=0.02)
        if turn:  # the first one makes the job
            there.append((at - began) * 1000)
            asked.append((told - began) * 1000)
            answered.append((at - told) * 1000)
        number = until(lambda pk=row["id"]: number_of(portal, pk), timeout=30, every=0.05, what="its number")  # type: ignore[misc]
        jenkins.do("end", builds=[(f"fdd/{project.slug}", number, "SUCCESS")])
        project.finished("builds", row["id"], timeout=60)
        bare = bare or Bare(*jenkins.as_arguments(), job=f"fdd/{project.slug}")
        plain.append(bare.start() * 1000)
        jenkins.do("end", builds=[(f"fdd/{project.slug}", number + 1, "SUCCESS")])
    yield _overhead("a start: POST to our API sent → Jenkins' 201, over a bare POST", there, plain, 50)
    yield Number("… of that until our API answered", percentile(asked, 0.5), "ms")
    yield _overhead("… from our answer (the row is queued) → Jenkins' 201, over a bare POST", answered, plain, None)


def number_of(portal: Portal, build: int) -> int | None:
    """The build's number in Jenkins, as its address there tells it."""
    with portal.api() as api:
        url = str(api.get(f"/api/builds/{build}/").json()["external_url"])
    return int(url.rstrip("/").rpartition("/")[2]) if url else None


def connect(portal: Portal, jenkins: Served, slug: str) -> None:
    command = [sys.executable, "-m", "benchmarks.remote.connect", *jenkins.as_arguments(), slug]
    subprocess.run(command, cwd=ROOT, env={**portal.env, **SETTINGS}, check=True, timeout=60)
