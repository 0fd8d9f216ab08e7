"""From a push to the first step, what the portal adds to a script, and a queue of builds on four slots."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.portal import Portal

from .client import Project, seconds
from .measure import Number, percentile

PUSHES = 12
SCRIPT_S = 10
QUEUED, SLOTS, EACH_S = 40, 4, 5

FIRST_STEP = "pipeline {\n agent any\n stages { stage('First') { steps { sh 'true' } } }\n}\n"
SLEEPER = f"pipeline {{\n agent any\n stages {{ stage('Sleep') {{ steps {{ sh 'sleep {EACH_S}' }} }} }}\n}}\n"
WORKER = "pipeline {\n agent any\n stages { stage('Work') { steps { sh 'python3 work.py' } } }\n}\n"
# Half computing, half waiting for something else, and a line of log every tenth of a second.
WORK = f"""
import time
end = time.monotonic() + {SCRIPT_S}
while time.monotonic() < end:
    busy = time.monotonic() + 0.05
    while time.monotonic() < busy:
        pass
    time.sleep(0.05)
    print("still working", flush=True)
"""


def measure(scratch: Path) -> Iterator[Number]:
    env = {"FDD_BUILD_SLOTS": str(SLOTS)}
    with Portal(scratch / "var", env=env) as portal:
        project = Project(portal, scratch)
        project.finished("builds", 1)
        yield first_step(project)
        yield script(project, scratch)
        yield queue(project)


def first_step(project: Project) -> Number:
    """From the moment the push is accepted (its build is a row) to the start of the first stage, by the portal's clock."""
    waits = []
    for number in range(PUSHES):
        sha = project.push({"Jenkinsfile": FIRST_STEP, "count.txt": f"{number}\n"}, f"push {number}")
        build = project.build_of(sha)
        starts = [stage["started_at"] for stage in build["stages"] if stage["kind"] == "stage"]
        waits.append(seconds(build["created_at"], starts[0]))
    note = f"median {percentile(waits, 0.5):.2f} s over {PUSHES} pushes; the checkout is part of it"
    return Number("push accepted → first step, p95", percentile(waits, 0.95), "s", limit=1.0, note=note)


def script(project: Project, scratch: Path) -> Number:
    sha = project.push({"Jenkinsfile": WORKER, "work.py": WORK}, "work")
    build = project.build_of(sha)
    if build["state"] != "succeeded":
        raise RuntimeError(f"the build is {build['state']}: {build['error']}")
    (scratch / "work.py").write_text(WORK)
    began = time.monotonic()
    subprocess.run([sys.executable, "work.py"], cwd=scratch, stdout=subprocess.DEVNULL, check=True, timeout=120)
    direct = time.monotonic() - began
    taken = seconds(build["created_at"], build["finished_at"])
    return Number("build of a 10 s script", taken, "s", baseline=direct, baseline_name="run directly", limit=1.15)


def queue(project: Project) -> Number:
    project.build_of(project.push({"Jenkinsfile": SLEEPER}, "sleep"))
    ids = [project.post(f"/api/projects/{project.slug}/builds/", {})["id"] for _ in range(QUEUED)]
    builds = [project.finished("builds", pk, timeout=300) for pk in ids]
    failed = [build["id"] for build in builds if build["state"] != "succeeded"]
    first, last = min(b["created_at"] for b in builds), max(b["finished_at"] for b in builds)
    ideal = QUEUED / SLOTS * EACH_S
    note = f"builds {failed} did not succeed" if failed else ""
    return Number(
        f"{QUEUED} builds on {SLOTS} slots",
        float("nan") if failed else seconds(first, last),
        "s",
        baseline=ideal,
        baseline_name="ideal",
        limit=1.2,
        note=note,
    )
