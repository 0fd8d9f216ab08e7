"""Stopped on purpose everything stops and comes back; crashed, what is deployed serves on and is adopted."""

from __future__ import annotations

import httpx
import pytest

from tests.faults.ground import Ground
from tests.faults.site import Clone, Site, Steady, pipeline, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def deployed(site: Site, ground: Ground) -> str:
    """The address of two instances of version 1."""
    site.spec()
    assert site.deployed(site.deploy(version=1))["state"] == "succeeded"
    return str(site.service()["url"])


def answer(url: str) -> str:
    """The version that answers, "" while nobody does."""
    try:
        found = httpx.get(f"{url.rstrip('/')}/version", timeout=60)
    except httpx.TransportError:
        return ""
    return str(found.json()["version"]) if found.status_code == 200 else ""


def test_ctrl_c_stops_everything_and_the_next_start_restores_it(
    site: Site, clone: Clone, ground: Ground, deployed: str
) -> None:
    sleeper = {"Jenkinsfile": pipeline("sh 'echo begun; sleep 3000'")}
    old = site.pushed(clone, sleeper, "old")
    until(lambda: b"begun" in site.log(old), what="the first build")
    ground.kill("worker")  # its agent goes on as nobody's child, and must be found all the same
    new = site.pushed(clone, sleeper, "new")
    until(lambda: b"begun" in site.log(new), what="the second build")
    site.portal.stop()
    until(lambda: not ground.left_over(), what="no process of a build to be left")
    until(lambda: not site.portal.processes(), what="no process at all to be left")
    site.portal.start()
    for build in (old, new):
        done = site.ended(build)
        assert done["state"] in {"cancelled", "failed"}
        assert "stopped" in done["error"]["sentence"]
    assert site.service()["url"] == deployed
    until(lambda: answer(deployed) == "1", what="version 1 on the same port")
    until(lambda: site.service()["observed"]["ready"] == 2, what="both instances")
    assert len(site.instances()) == 2


def test_a_crash_takes_no_service_along(site: Site, ground: Ground, deployed: str) -> None:
    before = {process.pid for process in site.instances()}
    assert len(before) == 2
    pk = site.start_build()
    with Steady(deployed) as steady:
        site.portal.crash()
        steady.asked_more(20)
        site.portal.start()
        until(lambda: site.service()["observed"]["state"] == "healthy", what="the adoption")
        site.looked_after()
    assert steady.failures == []
    assert {process.pid for process in site.instances()} == before
    assert all(instance["restarts"] == 0 for instance in site.seen())
    done = site.ended(pk)
    assert done["state"] == "succeeded" or done["error"]["sentence"]
