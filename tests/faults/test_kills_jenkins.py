"""A build on a Jenkins survives whatever is killed in the portal, is started there once, and ends as it ended there."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.site import Site, until, waits_for
from tests.simulators.jenkins import Jenkins

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
_numbers = itertools.count(1)
LONG = """pipeline {
  agent any
  options { skipDefaultCheckout() }
  stages {
    stage('One') { steps { sh 'echo one; %s' } }
    stage('Two') { steps { sh 'echo two; echo kept > kept.txt'; archiveArtifacts 'kept.txt' } }
  }
}
"""
SLEEPS = "pipeline {\n agent any\n options { skipDefaultCheckout() }\n stages { stage('S') { steps { sh 'sleep 3000' } } }\n}\n"


@pytest.fixture(scope="module")
def jenkins(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jenkins]:
    """A simulated Jenkins that ops have connected."""
    with Jenkins(quiet_period=0, home=tmp_path_factory.mktemp("jenkins")) as running:
        config = {"url": running.url, "user": running.user, "folder": "kills"}
        with site.portal.api("ops") as ops:
            body = {"name": "kills", "kind": "jenkins", "config": config, "secrets": {"token": running.token}}
            answer = ops.post("/api/connections/", json=body)
            assert answer.status_code == 201, answer.text
            assert answer.json()["last_test"]["ok"], answer.text
        yield running


@pytest.fixture
def slug(site: Site, jenkins: Jenkins) -> str:
    """A project of its own, built there."""
    name = f"kills{next(_numbers)}"
    builder = {"kind": "jenkins", "connection": "kills"}
    site.post("/api/projects/", {"slug": name, "name": name, "starter": "blank", "builder": builder})
    return name


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Builds stay in the middle until this file is there."""
    return tmp_path / "gate"


def long(gate: Path) -> str:
    return LONG % waits_for(gate)


def started(site: Site, slug: str, text: str = LONG % "sleep 1") -> int:
    answer = site.api.put(f"/api/projects/{slug}/pipeline/", json={"text": text})
    assert answer.status_code == 200, answer.text
    return int(site.post(f"/api/projects/{slug}/builds/", {"ref": "main"})["id"])


def runs_of(jenkins: Jenkins, slug: str) -> int:
    return len(jenkins.job(f"kills/{slug}").runs)


def runs_there(jenkins: Jenkins, slug: str) -> bool:
    return any(run.job.path == f"kills/{slug}" for run in jenkins.running())


@pytest.mark.parametrize("victim", ["web", "worker", "watch", "group", "sweeper"])
def test_a_build_over_there_goes_on_whoever_is_killed_here(
    site: Site, ground: Ground, jenkins: Jenkins, slug: str, gate: Path, victim: str
) -> None:
    pk = started(site, slug, long(gate))
    assert site.running(pk)["state"] == "running"
    assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
    gate.touch()
    done = site.ended(pk)
    assert (done["state"], done["error"]) == ("succeeded", None), done
    assert [stage["state"] for stage in done["stages"]] == ["succeeded", "succeeded"]
    assert done["version"] is not None
    assert site.log(pk).count(b"Finished: SUCCESS") == 1
    assert runs_of(jenkins, slug) == 1


@pytest.mark.parametrize("after", [0.0, 0.15, 0.4])
def test_a_worker_killed_around_the_start_starts_it_once(
    site: Site, ground: Ground, jenkins: Jenkins, slug: str, after: float
) -> None:
    """Three moments from before the job is written to after the answer came; which one was hit does not matter."""
    pk = started(site, slug)
    time.sleep(after)
    ground.kill("group")
    ground.kill("worker")
    done = site.ended(pk)
    assert done["state"] == "succeeded", done
    assert runs_of(jenkins, slug) == 1


def test_the_whole_portal_may_crash_while_it_builds(site: Site, jenkins: Jenkins, slug: str, gate: Path) -> None:
    pk = started(site, slug, long(gate))
    site.running(pk)
    site.portal.crash()
    gate.touch()
    site.portal.start()
    done = site.ended(pk)
    assert done["state"] == "succeeded", done
    assert b"two" in site.log(pk)
    assert runs_of(jenkins, slug) == 1


def test_a_cancel_survives_the_worker_that_was_asked(site: Site, ground: Ground, jenkins: Jenkins, slug: str) -> None:
    pk = started(site, slug, SLEEPS)
    site.running(pk)
    ground.kill("group")
    site.post(f"/api/builds/{pk}/cancel/")
    done = site.ended(pk)
    assert done["state"] == "cancelled", done
    until(lambda: not runs_there(jenkins, slug), what="it to stop there")


def test_jenkins_may_go_away_and_come_back(site: Site, jenkins: Jenkins, slug: str, gate: Path) -> None:
    pk = started(site, slug, long(gate))
    site.running(pk)
    with jenkins.faults.starting(""):
        gate.touch()
        until(lambda: not runs_there(jenkins, slug), what="it to end there while nobody can see it")
        assert site.build(pk)["state"] == "running"
    done = site.ended(pk)
    assert done["state"] == "succeeded", done
