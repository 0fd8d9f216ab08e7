"""Deployments to a cluster survive what is killed around them, and a cluster that is away: the goal is reached or the old
version serves, and the rows say what the cluster has."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.ground import Ground
from tests.faults.site import Site, until
from tests.simulators.kubernetes_rig import Pace, Rig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SLUG, MACHINE, NAMESPACE = "kshop", "k-test", "kshop-test"
PIPELINE = """pipeline { agent any
 options { skipDefaultCheckout() }
 stages { stage('S') { steps {
   writeFile file: 'release.json', text: '{"image": "rig.local/app:%s"}'
   archiveArtifacts artifacts: 'release.json'
 } } } }
"""


class Shop:
    """A project of the portal that is deployed to a simulated cluster."""

    def __init__(self, site: Site, rig: Rig) -> None:
        self.site, self.rig = site, rig
        self.versions: dict[str, int] = {}

    def version(self, tag: str) -> int:
        """The number of the version with this image."""
        if tag not in self.versions:
            path = f"/api/projects/{SLUG}/pipeline/"
            assert self.site.api.put(path, json={"text": PIPELINE % tag}).status_code == 200
            pk = int(self.site.post(f"/api/projects/{SLUG}/builds/", {"ref": "main"})["id"])
            self.versions[tag] = int(self.site.ended(pk)["version"]["number"])
        return self.versions[tag]

    def deploy(self, **body: Any) -> int:
        answer = self.site.post(f"/api/projects/{SLUG}/deployments/", {"machine": MACHINE, "action": "deploy", **body})
        return int(answer["id"])

    @contextlib.contextmanager
    def held(self, tag: str) -> Iterator[None]:
        """In here no container of that version becomes ready: what rolls stays in the middle."""
        self._behave(tag, ready=False)
        try:
            yield
        finally:
            self._behave(tag, ready=True)

    def _behave(self, tag: str, **behaviour: Any) -> None:
        tagged = f"rig.local/app:{tag}"
        for reference in (tagged, f"rig.local/app@{self.rig.images.digest(tagged)}"):
            self.rig.image(reference, **behaviour)

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.site.get(f"/api/projects/{SLUG}/services/")["results"][0]
        return found

    def images(self) -> set[str]:
        """Of the pods that are there to stay."""
        pods = [pod for pod in self.rig.pods(NAMESPACE) if "deletionTimestamp" not in pod["metadata"]]
        return {pod["spec"]["containers"][0]["image"] for pod in pods}

    def runs(self, tag: str, replicas: int = 2) -> None:
        """The cluster runs this and nothing else, and the portal's rows say so."""
        until(lambda: self.images() == {f"rig.local/app:{tag}"}, what=f"only {tag} in the cluster")
        wanted = ("healthy", replicas, replicas, self.versions[tag])
        until(lambda: self.seen() == wanted, what=f"the portal to see {wanted}")

    def seen(self) -> tuple[str, int, int, int]:
        one = self.service()
        observed = one["observed"]
        return observed["state"], observed["ready"], observed["total"], one["version"]["number"]


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(pace=Pace(reaction=0.02, start=0.5, ready=0.1, stop=0.2, backoff=0.2)) as running:
        running.namespace(NAMESPACE)
        yield running


@pytest.fixture(scope="module")
def shop(site: Site, rig: Rig) -> Shop:
    """Connected, granted, and the first version runs."""
    body = {"name": "kills-k8s", "kind": "kubernetes", "config": {}, "secrets": {"kubeconfig": rig.kubeconfig()}}
    with site.portal.api("ops") as ops:
        for path, data in (
            ("connections", body),
            ("clusters", {"name": "k1", "kind": "kubernetes", "connection": "kills-k8s"}),
            ("machines", {"name": MACHINE, "cluster": "k1", "placement": {"namespace": NAMESPACE}}),
        ):
            answer = ops.post(f"/api/{path}/", json=data)
            assert answer.status_code == 201, answer.text
        spec = {"port": 8080, "replicas": 2, "drain_s": 1, "start_deadline_s": 900}
        site.post("/api/projects/", {"slug": SLUG, "name": "Shop", "source": {"kind": "git"}, "starter": "python-http", "spec": spec})  # fmt: skip
        asked = site.post(f"/api/projects/{SLUG}/machine-requests/", {"machine": MACHINE, "reason": "to try"})
        assert ops.post(f"/api/requests/{asked['id']}/approve/", json={}).status_code == 200
    found = Shop(site, rig)
    done = site.deployed(found.deploy(version=found.version("v1")))
    assert done["state"] == "succeeded", done
    found.version("v2")
    return found


@pytest.fixture(autouse=True)
def _lifted(rig: Rig) -> Iterator[None]:
    yield
    rig.faults.clear()
    rig.faults.stuck(False)


def other(shop: Shop) -> str:
    return "v2" if shop.service()["version"]["number"] == shop.version("v1") else "v1"


@pytest.mark.parametrize("victim", ["web", "worker", "watch", "group", "sweeper"])
def test_a_rollout_goes_on_whoever_is_killed(site: Site, ground: Ground, shop: Shop, victim: str) -> None:
    tag = other(shop)
    with shop.held(tag):
        pk = shop.deploy(version=shop.version(tag))
        assert site.phase(pk, "rolling") == "rolling"
        assert until(lambda: ground.kill(victim), what=f"a {victim} to kill")
    done = site.deployed(pk)
    assert done["state"] == "succeeded", done
    assert done["pins"]["digest"].startswith("sha256:")
    shop.runs(tag)


@pytest.mark.parametrize("moment", [0.0, 0.2, 0.8])
def test_all_hands_are_killed_at_any_moment(site: Site, ground: Ground, shop: Shop, moment: float) -> None:
    tag = other(shop)
    pk = shop.deploy(version=shop.version(tag))
    time.sleep(moment)
    ground.kill("group")
    ground.kill("watch")
    done = site.deployed(pk)
    assert done["state"] == "succeeded", done
    shop.runs(tag)


def test_what_rolled_while_the_whole_portal_was_dead_is_done_when_it_comes_back(
    site: Site, ground: Ground, shop: Shop
) -> None:
    tag = other(shop)
    with shop.held(tag):
        pk = shop.deploy(version=shop.version(tag))
        assert site.phase(pk, "rolling") == "rolling"
        site.portal.crash()
    shop.rig.rolled_out(NAMESPACE, SLUG)  # a cluster goes on without us
    site.portal.start()
    done = site.deployed(pk)
    assert done["state"] == "succeeded", done
    shop.runs(tag)


def test_an_api_server_that_is_away_in_the_middle_costs_only_time(site: Site, ground: Ground, shop: Shop) -> None:
    tag = other(shop)
    with shop.held(tag):
        pk = shop.deploy(version=shop.version(tag))
        assert site.phase(pk, "rolling") == "rolling"
        shop.rig.faults.go_away()
        until(lambda: "does not answer" in str(site.deployment(pk)["error"]), what="the page to say that it is away")
        ground.kill("worker")
    shop.rig.faults.come_back()
    done = site.deployed(pk)
    assert (done["state"], done["error"]) == ("succeeded", None), done
    shop.runs(tag)


def test_watches_that_are_cut_every_second_hide_nothing(site: Site, ground: Ground, shop: Shop) -> None:
    shop.rig.faults.cut_watches(1.0)
    for _ in range(2):
        tag = other(shop)
        done = site.deployed(shop.deploy(version=shop.version(tag)))
        assert done["state"] == "succeeded", done
        shop.runs(tag)


@pytest.mark.parametrize("victim", ["worker", "watch", "group"])
def test_a_crashing_version_is_taken_back_whoever_is_killed(
    site: Site, ground: Ground, shop: Shop, victim: str
) -> None:
    before = other(shop)
    assert site.deployed(shop.deploy(version=shop.version(before)))["state"] == "succeeded"
    pk = shop.deploy(version=shop.version("crash"))
    site.phase(pk, "rolling_back")
    ground.kill(victim)
    done = site.deployed(pk)
    assert (done["state"], done["error"]["code"]) == ("failed", "crash_loop"), done
    assert "exit code 1" in done["error"]["sentence"]
    assert "cannot reach the database" in done["error"]["evidence"]
    shop.runs(before)


def test_a_token_that_was_rotated_in_the_middle_is_taken_from_the_connection(
    site: Site, ground: Ground, shop: Shop
) -> None:
    tag = other(shop)
    with shop.held(tag):
        pk = shop.deploy(version=shop.version(tag))
        assert site.phase(pk, "rolling") == "rolling"
        shop.rig.users.rotate("portal")
        with site.portal.api("ops") as ops:
            body = {"secrets": {"kubeconfig": shop.rig.kubeconfig()}}
            assert ops.patch("/api/connections/kills-k8s/", json=body).status_code == 200
    done = site.deployed(pk)
    assert done["state"] == "succeeded", done
    shop.runs(tag)


def test_scale_restart_and_remove_survive(site: Site, ground: Ground, shop: Shop) -> None:
    for action, more, count in (("scale", {"replicas": 3}, 3), ("restart", {}, 3), ("remove", {}, 0)):
        pk = shop.deploy(action=action, **more)
        time.sleep(0.2)
        ground.kill("group")
        done = site.deployed(pk)
        assert done["state"] == "succeeded", done
        until(
            lambda n=count: len([p for p in shop.rig.pods(NAMESPACE) if "deletionTimestamp" not in p["metadata"]]) == n, what=f"{count} pods after {action}",
        )  # fmt: skip
    assert shop.rig.get("deployments", NAMESPACE, SLUG) is None
    assert shop.rig.get("services", NAMESPACE, SLUG) is None
