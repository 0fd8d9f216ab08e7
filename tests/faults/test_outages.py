"""The database locked and the disk full: refused clearly, waited out, and everything goes on."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.ground import PATIENCE_S, Ground
from tests.faults.site import Clone, Site, exclusive, pipeline, service
from tests.portal import Portal
from tests.require import need
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LOCKED_S = 30.0
LINES = 300


def timed(ask: Any) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    answer: httpx.Response = ask()
    return answer, time.monotonic() - began


def test_a_database_locked_for_half_a_minute_costs_time_and_nothing_else(
    site: Site, clone: Clone, ground: Ground
) -> None:
    one = site.ended(site.pushed(clone, {"Jenkinsfile": service()}, "locked"))["version"]["number"]
    site.spec(command=["sh", "-c", "sleep 1; exec python3 app.py"])
    text = pipeline(f"sh 'for i in $(seq 1 {LINES}); do echo \"line $i of many\"; sleep 0.03; done'", "sh 'echo last'")
    build = site.pushed(clone, {"Jenkinsfile": text}, "locked")
    site.running(build)
    until(lambda: b"line 1 of many" in site.log(build), what="the first line")
    deployment = site.deploy("staging", version=one)
    answers: list[tuple[httpx.Response, float]] = []

    def write() -> None:
        with site.portal.api("dev") as api:
            answers.append(timed(lambda: api.post("/api/projects/sample/builds/", json={"ref": "main"}, timeout=60)))

    with exclusive(site.portal.var / "db.sqlite3"):
        until_s = time.monotonic() + LOCKED_S
        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        answer, took = timed(lambda: site.portal.get("/healthz"))
        assert (answer.status_code, took < 5) == (200, True)
        for writer in writers:
            writer.join(60)
        time.sleep(max(0.0, until_s - time.monotonic()))
    assert [answer.status_code for answer, _ in answers] == [503] * 3, [a.text for a, _ in answers]
    assert all("Retry-After" in answer.headers for answer, _ in answers)
    assert max(took for _, took in answers) < 25
    done = site.ended(build, timeout=60)
    assert done["state"] == "succeeded", done
    log = site.log(build)
    said = [line for line in log.decode().splitlines() if line.startswith("line ") or line == "last"]
    assert said == [*(f"line {n} of many" for n in range(1, LINES + 1)), "last"]
    code = f"from builds.models import BuildLog; print(BuildLog.objects.get(pk={build}).sha256)"
    assert site.portal.manage("shell", "-v0", "-c", code).split()[-1] == hashlib.sha256(log).hexdigest()
    assert site.deployed(deployment, timeout=60)["state"] == "succeeded"
    assert site.says("staging") == str(one)


@pytest.fixture(params=["workspaces", "files"])
def small(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Path]]:
    """A portal with 6 MB for this folder."""
    need("mount", "umount")
    with tempfile.TemporaryDirectory(prefix="fdd-") as folder:
        place = Path(folder) / "var" / request.param
        place.mkdir(parents=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], capture_output=True, check=False
        )
        if made.returncode:
            need("a-right-to-mount")
        try:
            with Portal(Path(folder) / "var") as portal, Site(portal) as site:
                site.ended(1)
                yield site, place
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_fails_that_build_with_that_reason(small: tuple[Site, Path]) -> None:
    site, place = small
    clone = site.clone()
    big = pipeline("sh 'echo before; head -c 5000000 /dev/urandom > big; sync'; archiveArtifacts 'big'")
    filler = place / "filler"
    filler.write_bytes(b"x" * 3_000_000)
    done = site.ended(site.pushed(clone, {"Jenkinsfile": big}, "full"))
    assert done["state"] == "failed", done
    said = f"{done['error']['sentence']} {done['error']['evidence']} {site.log(done['id']).decode()}".lower()
    assert "no space left" in said or "disk is full" in said, done
    assert done["version"] is None
    assert site.portal.get("/healthz").status_code == 200
    filler.unlink()
    again = site.ended(site.pushed(clone, {"Jenkinsfile": service()}, "full"), timeout=PATIENCE_S + 20)
    assert again["state"] == "succeeded", again
