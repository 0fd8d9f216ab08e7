"""Stopped on purpose everything stops and comes back; crashed, what is deployed serves on and is adopted."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from tests.faults.ground import LEASE_S, PATIENCE_S, Ground
from tests.faults.site import Site, Steady, pipeline
from tests.portal import Portal
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Portals = Callable[..., Portal]


def answer(url: str) -> str:
    """The version that answers, "" while nobody does."""
    try:
        found = httpx.get(f"{url.rstrip('/')}/version", timeout=5)
    except httpx.TransportError:
        return ""
    return str(found.json()["version"]) if found.status_code == 200 else ""


def test_ctrl_c_stops_everything_and_the_next_start_restores_it(portals: Portals) -> None:
    portal = portals(env={"FDD_LEASE_S": str(LEASE_S)}).start()
    ground = Ground(portal)
    with Site(portal) as site:
        site.ended(1)
        clone = site.clone()
        site.spec()
        assert site.deployed(site.deploy(version=1))["state"] == "succeeded"
        url = site.service()["url"]
        sleeper = {"Jenkinsfile": pipeline("sh 'echo begun; sleep 300'")}
        old = site.pushed(clone, sleeper, "old")
        until(lambda: b"begun" in site.log(old), what="the first build")
        ground.kill("worker")  # its agent goes on as nobody's child, and must be found all the same
        new = site.pushed(clone, sleeper, "new")
        until(lambda: b"begun" in site.log(new), timeout=PATIENCE_S, what="the second build")
        portal.stop()
        assert ground.left_over() == []
        assert portal.processes() == []
        portal.start()
        for build in (old, new):
            done = site.ended(build, timeout=PATIENCE_S)
            assert done["state"] in {"cancelled", "failed"}
            assert "stopped" in done["error"]["sentence"]
        assert site.service()["url"] == url
        until(lambda: answer(url) == "1", what="version 1 on the same port")
        until(lambda: site.service()["observed"]["ready"] == 2, what="both instances")
        assert len(site.instances()) == 2


def test_a_crash_takes_no_service_along(portals: Portals) -> None:
    portal = portals(env={"FDD_LEASE_S": str(LEASE_S)}).start()
    with Site(portal) as site:
        site.ended(1)
        site.spec()
        assert site.deployed(site.deploy(version=1))["state"] == "succeeded"
        before = {process.pid for process in site.instances()}
        assert len(before) == 2
        pk = site.start_build()
        with Steady(site.service()["url"]) as steady:
            portal.crash()
            asked = steady.asked
            until(lambda: steady.asked > asked + 20, what="answers without a portal")
            portal.start()
            until(lambda: site.service()["observed"]["state"] == "healthy", what="the adoption")
            time.sleep(2.5)  # a round of what looks after services
        assert steady.failures == []
        assert {process.pid for process in site.instances()} == before
        assert all(instance["restarts"] == 0 for instance in site.seen())
        done = site.ended(pk, timeout=PATIENCE_S + 10)
        assert done["state"] == "succeeded" or done["error"]["sentence"]
        assert Ground(portal).left_over() == []
