"""Whatever is killed in the portal, every push to Gerrit becomes one build, and a change gets its vote once."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.site import Site, until
from tests.simulators.gerrit.changes import Change
from tests.simulators.gerrit_rig import Rig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
_numbers = itertools.count(1)
QUICK = (
    "pipeline {\n agent any\n options { skipDefaultCheckout() }\n stages { stage('S') { steps { echo 'hello' } } }\n}\n"
)


@pytest.fixture(scope="module")
def rig(site: Site) -> Iterator[Rig]:
    """A simulated Gerrit that ops have connected, and that the portal listens to."""
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder)) as running:
        config, secrets = running.connection_facts()
        with site.portal.api("ops") as ops:
            body = {"name": "kills-gerrit", "kind": "gerrit", "config": config, "secrets": secrets}
            answer = ops.post("/api/connections/", json=body)
            assert answer.status_code == 201, answer.text
        running.listening()
        yield running


@pytest.fixture
def slug(site: Site, rig: Rig) -> str:
    """A project there with a pipeline that takes no time, whose changes are built."""
    name = f"gkills{next(_numbers)}"
    source = {"kind": "gerrit", "connection": "kills-gerrit", "repository": name, "create": True}
    site.post("/api/projects/", {"slug": name, "starter": "blank", "source": source})
    assert site.api.put(f"/api/projects/{name}/pipeline/", json={"text": QUICK}).status_code == 200
    assert site.api.put(f"/api/projects/{name}/triggers/", json={"changes": True}).status_code == 200
    return name


def builds(site: Site, slug: str) -> Counter[str]:
    """How many builds each commit has."""
    found = site.get(f"/api/projects/{slug}/builds/", params={"page_size": 200})["results"]
    return Counter(str(build["commit"]["sha"]) for build in found)


def all_built(site: Site, slug: str, shas: list[str]) -> None:
    until(lambda: set(shas) <= set(builds(site, slug)), every=0.5, what="a build of every push")
    assert set(builds(site, slug).values()) == {1}, "none twice"


@pytest.mark.parametrize("victim", ["web", "worker", "watch", "group", "sweeper"])
def test_every_push_builds_once_whoever_is_killed_meanwhile(
    site: Site, ground: Ground, rig: Rig, slug: str, victim: str
) -> None:
    shas = []
    for number in range(8):
        if number == 4:
            assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
        shas.append(rig.gerrit.push(slug, message=f"Push {number}"))
    all_built(site, slug, shas)


def test_pushes_while_nobody_listens_are_found_one_by_one(site: Site, ground: Ground, rig: Rig, slug: str) -> None:
    site.portal.crash()
    shas = [rig.gerrit.push(slug, message=f"Into the dark {number}") for number in range(10)]
    shas += [rig.gerrit.push(slug, ref=f"topic-{number}", message=f"Beside {number}") for number in range(5)]
    rig.gerrit.delete_branch(slug, "topic-0")
    site.portal.start()
    all_built(site, slug, shas[:10] + shas[11:])
    assert shas[10] not in builds(site, slug)  # its branch is gone: there is nothing to build


def test_a_restarting_gerrit_loses_no_push(site: Site, ground: Ground, rig: Rig, slug: str) -> None:
    rig.gerrit.faults.restart(3)
    shas = [rig.gerrit.push(slug, message=f"While it restarts {number}") for number in range(5)]
    all_built(site, slug, shas)
    rig.listening()


def messages(change: Change) -> Counter[str]:
    """How often each was said under the change."""
    return Counter(message.text.partition(" (")[0].rpartition("\n")[2] for message in list(change.messages))


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
def test_a_vote_is_given_once_whenever_the_worker_dies(
    site: Site, ground: Ground, rig: Rig, slug: str, after: float
) -> None:
    change = rig.gerrit.upload(slug, message="Look at this")
    time.sleep(after)
    ground.kill("group")
    ground.kill("worker")
    vote = until(lambda: change.vote_of(rig.account, rig.label), what="the vote")
    assert vote.value == 1
    said = until(lambda: (told := messages(change)) and told["Build #1 succeeded"] and told, what="its message")
    assert said["Build #1 succeeded"] == 1, said
    assert said["Build #1 started"] <= 1, said
