"""A build on a Jenkins survives whatever is killed in the portal, is started there once, and ends as it ended there."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import PATIENCE_S, Ground
from tests.faults.site import Site
from tests.simulators.jenkins import Jenkins
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_numbers = itertools.count(1)
LONG = """pipeline {
  agent any
  options { skipDefaultCheckout() }
  stages {
    stage('One') { steps { sh 'echo one; sleep 3' } }
    stage('Two') { steps { sh 'echo two; echo kept > kept.txt'; archiveArtifacts 'kept.txt' } }
  }
}
"""
SLEEPS = "pipeline {\n agent any\n options { skipDefaultCheckout() }\n stages { stage('S') { steps { sh 'sleep 300' } } }\n}\n"


@pytest.fixture(scope="module")
def jenkins(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jenkins]:
    """A simulated Jenkins that ops have connected."""
    with Jenkins(quiet_period=0, home=tmp_path_factory.mktemp("jenkins")) as running:
        config = {"url": running.url, "user": running.user, "folder": "kills"}
        with site.portal.api("ops") as ops:
            body = {"name": "kills", "kind": "jenkins", "config": config, "secrets": {"token": running.token}}
            answer = ops.post("/api/connections/", json=body, timeout=30)
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


def started(site: Site, slug: str, text: str = LONG) -> int:
    answer = site.api.put(f"/api/projects/{slug}/pipeline/", json={"text": text})
    assert answer.status_code == 200, answer.text
    return int(site.post(f"/api/projects/{slug}/builds/", {"ref": "main"})["id"])


def runs_of(jenkins: Jenkins, slug: str) -> int:
    return len(jenkins.job(f"kills/{slug}").runs)


@pytest.mark.parametrize("victim", ["web", "worker", "watch", "group", "sweeper"])
def test_a_build_over_there_goes_on_whoever_is_killed_here(
    site: Site, ground: Ground, jenkins: Jenkins, slug: str, victim: str
) -> None:
    pk = started(site, slug)
    assert site.running(pk)["state"] == "running"
    assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
    done = site.ended(pk, timeout=PATIENCE_S + 25)
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
    done = site.ended(pk, timeout=PATIENCE_S + 45)
    assert done["state"] == "succeeded", done
    assert runs_of(jenkins, slug) == 1


def test_the_whole_portal_may_crash_while_it_builds(site: Site, jenkins: Jenkins, slug: str) -> None:
    pk = started(site, slug)
    site.running(pk)
    site.portal.crash()
    site.portal.start()
    done = site.ended(pk, timeout=PATIENCE_S + 30)
    assert done["state"] == "succeeded", done
    assert b"two" in site.log(pk)
    assert runs_of(jenkins, slug) == 1


def test_a_cancel_survives_the_worker_that_was_asked(site: Site, ground: Ground, jenkins: Jenkins, slug: str) -> None:
    pk = started(site, slug, SLEEPS)
    site.running(pk)
    ground.kill("group")
    site.post(f"/api/builds/{pk}/cancel/")
    done = site.ended(pk, timeout=PATIENCE_S + 30)
    assert done["state"] == "cancelled", done
    until(lambda: not [run for run in jenkins.running() if run.job.path == f"kills/{slug}"], what="it to stop there")


def test_jenkins_may_go_away_and_come_back(site: Site, jenkins: Jenkins, slug: str, tmp_path: Path) -> None:
    pk = started(site, slug)
    site.running(pk)
    with jenkins.faults.starting(""):
        time.sleep(5)  # longer than the build takes there: it ends while nobody can see it
        assert site.build(pk)["state"] == "running"
    done = site.ended(pk, timeout=60)
    assert done["state"] == "succeeded", done
