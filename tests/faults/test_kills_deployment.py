"""A deployment survives what is killed around it: it reaches its goal or the old version, and people notice nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.ground import VICTIMS, Ground
from tests.faults.site import SPEC, Clone, Site, Steady, service, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SLOW = {**SPEC, "command": ["sh", "-c", "sleep 0.8; exec python3 app.py"]}


@pytest.fixture(scope="module")
def versions(site: Site, clone: Clone) -> tuple[int, int]:
    """Two versions; the first one runs."""
    built = [site.ended(site.pushed(clone, {"Jenkinsfile": service(), "NOTES": str(n)}, "rolling")) for n in range(2)]
    one, two = (int(build["version"]["number"]) for build in built)
    site.spec(command=SLOW["command"])
    assert site.deployed(site.deploy(version=one))["state"] == "succeeded"
    return one, two


@pytest.fixture
def steady(site: Site, versions: tuple[int, int]) -> Iterator[Steady]:
    """Somebody uses the service all the while and never sees an error."""
    with Steady(site.service()["url"]) as found:
        yield found
        found.asked_more(10)
    assert found.failures == []


def other(site: Site, versions: tuple[int, int]) -> int:
    one, two = versions
    return two if site.service()["version"]["number"] == one else one


def whole(site: Site, version: int, done: dict[str, Any]) -> None:
    """Exactly what is wanted runs, and nothing else."""
    assert site.says() == str(version)
    until(lambda: len(site.instances()) == 2, what="two instances and no third")
    seen = until(lambda: (s := site.seen()) and all(i["ready"] for i in s) and s, what="ready instances")
    assert {instance["digest"] for instance in seen} == {done["pins"]["digest"]}
    assert site.service()["wanted"]["version"] == version
    assert not done["needs_ops"]


@pytest.mark.parametrize("victim", [v for v in VICTIMS if v != "agents"])
def test_a_rollout_goes_on_whoever_is_killed(
    site: Site, ground: Ground, versions: tuple[int, int], steady: Steady, victim: str
) -> None:
    wanted = other(site, versions)
    pk = site.deploy(version=wanted)
    site.phase(pk, "rolling")
    assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
    done = site.deployed(pk)
    assert done["state"] == "succeeded", done
    whole(site, wanted, done)


@pytest.mark.parametrize("moment", [0.0, 0.6, 1.2, 1.6])
def test_all_hands_are_killed_at_any_moment(
    site: Site, ground: Ground, versions: tuple[int, int], steady: Steady, moment: float
) -> None:
    """While queued, applying, rolling, at the switch of the traffic, while the old ones drain."""
    wanted = other(site, versions)
    pk = site.deploy(version=wanted)
    time.sleep(moment)
    ground.kill("group")
    done = site.deployed(pk)
    assert done["state"] == "succeeded", done
    whole(site, wanted, done)


@pytest.mark.parametrize("moment", [0.0, 0.2])
def test_the_way_back_survives_too(
    site: Site, ground: Ground, versions: tuple[int, int], steady: Steady, moment: float
) -> None:
    before = site.service()["version"]["number"]
    digest = site.service()["wanted"]["digest"]
    site.spec(command=["sleep", "3000"], start_deadline_s=900)  # never ready, so that it can still be turned back
    pk = site.deploy(version=other(site, versions))
    site.spec(command=SLOW["command"])
    assert site.phase(pk, "rolling") == "rolling"
    site.post(f"/api/deployments/{pk}/cancel/")
    site.phase(pk, "rolling_back")
    time.sleep(moment)
    ground.kill("group")
    done = site.deployed(pk)
    assert done["state"] == "cancelled", done
    assert done["error"]["sentence"] == "Cancelled by dev."
    assert site.says() == str(before)
    whole(site, before, {**done, "pins": {"digest": digest}})


def test_a_storm_of_kills(site: Site, ground: Ground, versions: tuple[int, int], steady: Steady) -> None:
    chance = random.Random(7)
    for _ in range(3):
        wanted = other(site, versions)
        pk = site.deploy(version=wanted)
        for _ in range(4):
            time.sleep(chance.uniform(0.0, 0.8))
            ground.kill(chance.choice(VICTIMS))
        done = site.deployed(pk)
        assert done["state"] == "succeeded", done
        whole(site, wanted, done)


def test_scale_restart_and_remove_survive(site: Site, ground: Ground, versions: tuple[int, int]) -> None:
    for action, more, count in (("scale", {"replicas": 3}, 3), ("restart", {}, 3), ("remove", {}, 0)):
        pk = site.deploy(action=action, **more)
        time.sleep(0.2)
        ground.kill("group")
        done = site.deployed(pk)
        assert done["state"] == "succeeded", done
        until(lambda n=count: len(site.instances()) == n, what=f"{count} instances after {action}")
    site.looked_after()  # it must not bring back what was removed
    assert site.instances() == []
