"""Images that a version knows by their tag only: what ran is what comes back, whatever the tag means by then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployments import wanted
from deployments.models import Deployment
from fangduoduo_release.common.models import Event
from tests.deployments.kubernetes_ground import REPOSITORY, Ground, finish, ground_on, step, why
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

pytestmark = pytest.mark.django_db
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        made.namespace("shop-test")
        yield made
        assert made.failures == []


@pytest.fixture
def ground(rig: Rig) -> Ground:
    return ground_on(rig)


def names_of(ground: Ground) -> set[str]:
    return {pod["metadata"]["name"] for pod in ground.rig.pods("shop-test")}


def running(ground: Ground) -> set[str]:
    """What the pods that stay really run."""
    return {pod["status"]["containerStatuses"][0]["imageID"].partition("@")[2] for pod in ground.rig.pods("shop-test")}


def test_a_tag_nobody_knows_the_digest_of_is_pinned_by_what_the_pods_run(ground: Ground) -> None:
    ground.version("one", pinned=False)
    ground.rig.tag(f"{REPOSITORY}:one", "sha256:" + "a" * 64)
    done = ground.run()
    assert (done.state, done.pins["digest"]) == ("succeeded", "sha256:" + "a" * 64)
    assert ground.images() == {f"{REPOSITORY}:one"}
    assert ground.service.observed_digest == "sha256:" + "a" * 64


def test_a_tag_that_moved_does_not_change_what_a_restart_or_a_rollback_brings(ground: Ground) -> None:
    first, second = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    ground.version("one", pinned=False)
    ground.rig.tag(f"{REPOSITORY}:one", first)
    assert ground.run().pins["pullable"]
    ground.rig.tag(f"{REPOSITORY}:one", second)
    restarted = ground.run("restart")
    assert (restarted.state, restarted.pins["digest"]) == ("succeeded", first), restarted.error
    assert ground.images() == {f"{REPOSITORY}@{first}"}
    ground.version("two", pinned=False)
    assert ground.run().state == "succeeded"
    assert ground.images() == {f"{REPOSITORY}:two"}
    back = ground.run("rollback")
    assert (back.state, back.pins["digest"]) == ("succeeded", first), back.error
    assert ground.images() == {f"{REPOSITORY}@{first}"}


def test_what_was_started_by_its_digest_stays_so(ground: Ground) -> None:
    digest = "sha256:" + "a" * 64
    one = ground.version("one", pinned=False)
    ground.rig.tag(f"{REPOSITORY}:one", digest)
    ground.run()
    pods = {pod["metadata"]["name"] for pod in ground.rig.pods("shop-test")}
    assert ground.run("scale", replicas=3).state == "succeeded"
    assert pods < {pod["metadata"]["name"] for pod in ground.rig.pods("shop-test")}, "to scale replaces none"
    assert ground.images() == {f"{REPOSITORY}:one"}
    assert ground.run("restart").state == "succeeded"
    assert ground.run("scale", replicas=2).state == "succeeded"
    until(lambda: ground.images() == {f"{REPOSITORY}@{digest}"})
    serving = {pod["metadata"]["name"] for pod in ground.rig.pods("shop-test")}
    ground.version("two", pinned=False, exit_code=1)
    assert ground.run().state == "failed"
    until(lambda: {pod["metadata"]["name"] for pod in ground.rig.pods("shop-test")} == serving)
    assert (ground.images(), ground.service.version) == ({f"{REPOSITORY}@{digest}"}, one)
    assert wanted.of_service(ground.service) is not None
    assert ground.run(version=one).pins["digest"] == digest, "a deployment goes by the tag again"
    assert ground.images() == {f"{REPOSITORY}:one"}


def test_an_image_that_no_registry_has_goes_by_its_tag_and_one_that_moved_is_noticed(ground: Ground) -> None:
    ground.version("one", pinned=False, imported=True)
    ground.rig.tag(f"{REPOSITORY}:one", "sha256:" + "a" * 64)
    assert not ground.run().pins["pullable"]
    ground.rig.tag(f"{REPOSITORY}:one", "sha256:" + "b" * 64)
    again = ground.run("restart")
    assert (again.state, again.error["code"]) == ("failed", "other_digest")
    assert why(again) == f"What runs is sha256:{'b' * 64} and not sha256:{'a' * 64}, as was pinned."


def test_scaled_to_nothing_and_up_again_it_is_what_it_was(ground: Ground) -> None:
    ground.version("one", pinned=False)
    ground.rig.tag(f"{REPOSITORY}:one", A)
    ground.run()
    assert ground.run("scale", replicas=0).state == "succeeded"
    ground.rig.tag(f"{REPOSITORY}:one", B)
    up = ground.run("scale", replicas=2)
    assert (up.state, up.pins["digest"]) == ("succeeded", A), up.error
    assert ground.images() == {f"{REPOSITORY}@{A}"}


def test_a_restart_while_nothing_runs_forgets_nothing(ground: Ground) -> None:
    ground.version("one", pinned=False)
    ground.rig.tag(f"{REPOSITORY}:one", A)
    ground.run()
    ground.run("scale", replicas=0)
    assert ground.run("restart").state == "succeeded"
    ground.rig.tag(f"{REPOSITORY}:one", B)
    ground.run("scale", replicas=1)
    assert running(ground) == {A}
    ground.version("two", pinned=False)
    ground.run(replicas=2)
    ground.run("scale", replicas=0)
    back = ground.run("rollback")
    assert (back.state, running(ground)) == ("succeeded", {A}), back.error


def replaced(ground: Ground) -> Deployment:
    """The pods of what ran die while another version is tried, and come again by their tag."""
    failing = ground.start()
    until(lambda: step(failing).phase in ("rolling", "rolling_back"))
    for name in names_of(ground):
        ground.rig.delete("pods", "shop-test", name)
    finish(failing)
    assert failing.state == "failed"
    return failing


def test_a_restore_whose_tag_brought_something_else_goes_by_the_digest(ground: Ground) -> None:
    ground.version("one", pinned=False)
    ground.rig.tag(f"{REPOSITORY}:one", A)
    ground.run()
    ground.rig.tag(f"{REPOSITORY}:one", B)
    ground.version("two", pinned=False, exit_code=1)
    replaced(ground)
    until(lambda: running(ground) == {A}, what="the pods that ran before")
    assert ground.images() == {f"{REPOSITORY}@{A}"}
    last = ground.service.last_deployment
    assert last is not None
    assert last.pins["by_digest"]
    assert ground.run("scale", replicas=3).state == "succeeded"
    assert running(ground) == {A}


def test_a_restore_that_cannot_go_by_the_digest_says_what_came(ground: Ground) -> None:
    ground.version("one", pinned=False, imported=True)
    ground.rig.tag(f"{REPOSITORY}:one", A)
    ground.run()
    ground.rig.tag(f"{REPOSITORY}:one", B)
    ground.version("two", pinned=False, exit_code=1)
    failed = replaced(ground)
    told = [event.text % event.data for event in Event.objects.filter(topic=failed.topic) if event.text]
    assert f"Restored by its tag, which means {B} by now." in told
