"""Around a deployment to a cluster: what was there before it, what people agreed to, and the rounds that look after all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployments import actions, approvals, reconcile, sightings
from deployments.models import Service
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from tests import world
from tests.deployments.kubernetes_ground import REPOSITORY, Ground, finish, ground_on, step, why
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        made.namespace("shop-test")
        yield made
        assert made.failures == []


@pytest.fixture
def ground(rig: Rig) -> Ground:
    return ground_on(rig)


# -- what was there before us ---------------------------------------------------------------------------------------


def test_a_first_deployment_that_fails_deletes_nothing_that_was_there_before(ground: Ground) -> None:
    ports = [{"port": 80, "name": "theirs"}]  # of several ports each needs a name
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": {"ports": ports}}
    ground.rig.create("services", "shop-test", theirs, manager="kubectl-client-side-apply")
    ground.version("one", exit_code=1)
    preview = actions.preview_deployment(actor=SYSTEM, project=ground.project, machine=ground.machine, action="deploy")
    assert any("Service/shop is there already" in str(one) for one in preview.warnings)
    failed = ground.run(take_over=True)
    assert (failed.state, failed.error["code"]) == ("failed", "crash_loop")
    assert ground.item("services")["spec"]["ports"]
    again = ground.run(take_over=True)
    assert (again.state, again.error["code"]) == ("failed", "crash_loop")
    assert ground.item("services"), "nor the second time, when it carries our mark"


def test_a_port_without_a_name_that_was_there_before_is_told_before_anything_begins(ground: Ground) -> None:
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": {"ports": [{"port": 80}]}}
    ground.rig.create("services", "shop-test", theirs, manager="kubectl-client-side-apply")
    ground.version("one")
    with pytest.raises(Invalid, match=r"spec\.ports\[\d\]\.name: Required value"):
        actions.preview_deployment(actor=SYSTEM, project=ground.project, machine=ground.machine, action="deploy")
    assert ground.item("services")["spec"]["ports"][0]["port"] == 80


def test_more_than_was_agreed_to_is_not_taken_over(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 5}}, manager="kubectl-edit")
    ground.version("two")
    deployment = ground.start(take_over=True)
    ground.rig.faults.edit(
        "deployments", "shop-test", "shop", {"spec": {"progressDeadlineSeconds": 77}}, manager="another-tool"
    )
    finish(deployment)
    assert (deployment.state, deployment.error["code"]) == ("failed", "field_conflict")
    assert "spec.progressDeadlineSeconds (another-tool)" in why(deployment)
    assert (ground.item()["spec"]["replicas"], ground.item()["spec"]["progressDeadlineSeconds"]) == (5, 77)


def test_what_people_approve_says_whose_fields_are_taken_and_which_texts_run(ground: Ground) -> None:
    ground.version("one")
    deployment = ground.start()
    plain = approvals.fingerprint(deployment)
    deployment.take_over, deployment.pins["taken_over"] = (
        True,
        [{"what": "Deployment/shop", "field": "a", "owner": "b"}],
    )
    taking = approvals.fingerprint(deployment)
    deployment.pins["config"] = {"source": "database", "key": "shop/base.yaml", "revision": "3", "sha256": "ab"}
    bound = approvals.fingerprint(deployment)
    deployment.pins["config"]["revision"] = "4"
    assert len({plain, taking, bound, approvals.fingerprint(deployment)}) == 4


def test_a_failed_goal_that_scaled_by_itself_is_turned_back_to_a_fixed_number(ground: Ground) -> None:
    first = ground.version("one")
    ground.run()
    ground.spec(resources={"cpu": 0.1}, autoscale={"min": 3, "max": 9, "cpu_percent": 70})
    ground.version("two", ready=False)
    deployment = ground.start()
    until(lambda: step(deployment).phase == "rolling")
    ground.rig.faults.autoscale("shop-test", "shop", 4)
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    assert finish(deployment).state == "cancelled"
    until(lambda: ground.images() == {f"{REPOSITORY}@{first.digest}"})
    assert ground.item()["spec"]["replicas"] == 2


def test_a_connection_that_went_bad_does_not_keep_the_others_from_being_looked_at(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    Connection.objects.update(secrets={"kubeconfig": "no: kubeconfig"})
    assert reconcile.look_again() == 0


def test_what_runs_already_is_deployed_again_with_all_of_it_counted(ground: Ground) -> None:
    """At the first look it is done, and nothing differs from what was known of the service."""
    ground.version("one")
    ground.run()
    again = ground.run()
    assert (again.state, again.ready, again.total) == ("succeeded", 2, 2)


def test_our_label_with_somebody_elses_words_spoils_no_other_news(ground: Ground) -> None:
    """Anybody who may make a pod anywhere in the cluster may write it on it."""
    ground.version("one")
    ground.run()
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 3}})
    keys = {"another-portal", "", str(ground.service.key)}

    def told() -> bool:
        sightings.objects_changed(keys)
        return ground.service.total == 3 and bool(ground.service.drift)

    until(told, what="the news of the edit")


def test_a_cluster_that_is_away_is_waited_for_once_a_round_and_not_once_a_service(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.version("one")
    ground.run()
    for number in range(3):
        other = world.bare_project(slug=f"other-{number}")
        Service.objects.create(project=other, machine=ground.machine, generation=2)
    ground.rig.faults.go_away()
    assert reconcile.look_again() == 0
    assert len([one for one in caplog.records if "cannot look after" in one.message]) == 1


def test_the_way_back_is_applied_once_and_then_only_followed(ground: Ground) -> None:
    ground.version("one")
    ground.run(replicas=1)
    ground.version("two", ready=False)
    deployment = ground.start(replicas=4)
    until(lambda: step(deployment).phase == "rolling")
    until(lambda: len(ground.rig.pods("shop-test")) > 1)
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    until(lambda: step(deployment).pins.get("restored"))
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 2}}, manager="kubectl-edit")
    assert finish(deployment).state == "cancelled", "what somebody changed since is not met as a conflict"
    assert ground.item()["spec"]["replicas"] == 2
