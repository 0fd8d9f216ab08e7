"""The database locked and the disk full: refused clearly, waited out, and everything goes on."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.ground import Ground
from tests.faults.site import HANG_S, Clone, Site, exclusive, pipeline, service, until
from tests.portal import Portal
from tests.require import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LINES = 300
SMALL = ("workspaces", "files")


def test_a_database_locked_for_longer_than_anybody_waits_costs_time_and_nothing_else(
    site: Site, clone: Clone, ground: Ground
) -> None:
    one = site.ended(site.pushed(clone, {"Jenkinsfile": service()}, "locked"))["version"]["number"]
    site.spec(command=["sh", "-c", "sleep 1; exec python3 app.py"])
    text = pipeline(f"sh 'for i in $(seq 1 {LINES}); do echo \"line $i of many\"; sleep 0.03; done'", "sh 'echo last'")
    build = site.pushed(clone, {"Jenkinsfile": text}, "locked")
    site.running(build)
    until(lambda: b"line 1 of many" in site.log(build), what="the first line")
    deployment = site.deploy("staging", version=one)
    answers: list[httpx.Response] = []

    def write() -> None:
        with site.portal.api("dev") as api:
            answers.append(api.post("/api/projects/sample/builds/", json={"ref": "main"}, timeout=HANG_S))

    with exclusive(site.portal.var / "db.sqlite3"):  # until all have been answered, so that nobody may wait for its end
        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        assert site.portal.get("/healthz").status_code == 200
        for writer in writers:
            writer.join(HANG_S)
        assert [answer.status_code for answer in answers] == [503] * 3, [answer.text for answer in answers]
    assert all("Retry-After" in answer.headers for answer in answers)
    done = site.ended(build)
    assert done["state"] == "succeeded", done
    log = site.log(build)
    said = [line for line in log.decode().splitlines() if line.startswith("line ") or line == "last"]
    assert said == [*(f"line {n} of many" for n in range(1, LINES + 1)), "last"]
    code = f"from builds.models import BuildLog; print(BuildLog.objects.get(pk={build}).sha256)"
    assert site.portal.manage("shell", "-v0", "-c", code).split()[-1] == hashlib.sha256(log).hexdigest()
    assert site.deployed(deployment)["state"] == "succeeded"
    assert site.says("staging") == str(one)


@pytest.fixture(scope="module")
def small() -> Iterator[Site]:
    """A portal with 6 MB for each of these folders."""
    need("mount", "umount")
    with tempfile.TemporaryDirectory(prefix="fdd-") as folder, contextlib.ExitStack() as mounted:
        for name in SMALL:
            place = Path(folder) / "var" / name
            place.mkdir(parents=True)
            command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                need("a-right-to-mount")
            mounted.callback(subprocess.run, ["umount", "-l", str(place)], check=True)
        with Portal(Path(folder) / "var") as portal, Site(portal) as site:
            site.ended(1)
            yield site


@pytest.mark.parametrize("name", SMALL)
def test_a_full_disk_fails_that_build_with_that_reason(small: Site, name: str) -> None:
    site, place = small, small.portal.var / name
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
    again = site.ended(site.pushed(clone, {"Jenkinsfile": service()}, "full"))
    assert again["state"] == "succeeded", again
