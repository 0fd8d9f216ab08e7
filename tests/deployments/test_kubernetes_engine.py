"""Deployments to a simulated cluster, from the click to the last pod: what works, what breaks, and what is brought back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from clusters import configs
from clusters.drivers.runtime.kubernetes import names, seeing
from clusters.drivers.runtime.spec import FETCH_S
from deployments import actions, configuring, reconcile, scaling
from deployments.models import Deployment
from deployments.patience import LATE_S
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.sentence import Sentence
from tests.clusters.drivers.kubernetes.goals import BASE
from tests.clusters.informers.ground import Hubs, wait_live
from tests.deployments.kubernetes_ground import FINAL, REPOSITORY, Ground, finish, ground_on, reach, step, why
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


# -- what works -----------------------------------------------------------------------------------------------------


def test_where_the_load_decides_nobody_scales_by_hand(ground: Ground) -> None:
    ground.spec(autoscale={"min": 3, "max": 5}, resources={"cpu": "100m", "memory": "64Mi"})
    ground.version("one")
    ground.run()
    with pytest.raises(Conflict, match="from 3 to 5") as refused:
        ground.start("scale", replicas=4)
    assert refused.value.code == "autoscaled"
    wish = scaling.load_decides(ground.service, ground.service.spec_revision)
    assert wish is not None
    assert (wish.low, wish.high) == (3, 5)
    ground.spec()
    ground.run(take_over=True)  # the replicas, from whoever scaled by the load
    assert scaling.load_decides(ground.service, ground.service.spec_revision) is None
    assert ground.run("scale", replicas=1).state == "succeeded"


def test_a_version_is_deployed_and_every_pod_runs_the_pinned_digest(ground: Ground) -> None:
    version = ground.version("one")
    done = ground.run()
    assert (done.state, done.ready, done.total) == ("succeeded", 2, 2)
    assert done.pins["digest"] == version.digest
    assert ground.images() == {f"{REPOSITORY}@{version.digest}"}
    service = ground.service
    assert (service.state, service.ready, service.observed_digest) == ("healthy", 2, version.digest)
    assert service.port is None
    assert {i.node for i in service.instances.all()} == {"node1"}
    labels = ground.item()["metadata"]["labels"]
    assert (labels[names.DEPLOYMENT], labels[names.VERSION]) == (str(done.key), str(version.number))
    assert done.manifest.count("kind: Deployment") == 1
    assert service.manifest_sha256 == done.pins["manifest_sha256"]


def test_scaled_restarted_and_removed(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    assert ground.run("scale", replicas=4).ready == 4
    pods = {one["metadata"]["name"] for one in ground.rig.pods("shop-test")}
    assert len(pods) == 4
    assert ground.run("restart").state == "succeeded"
    assert pods.isdisjoint(one["metadata"]["name"] for one in ground.rig.pods("shop-test"))
    assert ground.run("scale", replicas=0).state == "succeeded"
    assert ground.service.state == "down"
    assert ground.run("scale", replicas=1).state == "succeeded"
    preview = actions.preview_deployment(actor=SYSTEM, project=ground.project, machine=ground.machine, action="remove")
    assert set(preview.deletes) == {"Deployment/shop", "Service/shop"}
    assert ground.run("remove").state == "succeeded"
    assert ground.service.state == "absent"
    assert ground.rig.all("deployments", "shop-test") == []
    assert ground.rig.pods("shop-test") == []


def test_a_rollback_brings_back_image_and_configuration(ground: Ground) -> None:
    source = configs.source_named("database")
    ground.spec(
        config={"source": "database", "key": "shop/base.yaml", "files": [{"path": "app.ini", "key": "shop/app.ini"}]}
    )
    source.put(
        "shop/base.yaml",
        BASE.replace("name: web, labels", "name: shop, annotations: {note: first}, labels"),
        author="dev",
    )
    source.put("shop/app.ini", "colour = blue\n", author="dev")
    first = ground.version("one")
    before = ground.run()
    assert before.state == "succeeded", before.error
    files = {one["metadata"]["name"]: one["data"] for one in ground.rig.all("configmaps", "shop-test")}
    source.put(
        "shop/base.yaml",
        BASE.replace("name: web, labels", "name: shop, annotations: {note: second}, labels"),
        author="dev",
    )
    source.put("shop/app.ini", "colour = red\n", author="dev")
    assert configuring.drift(ground.service) is not None
    ground.version("two")
    assert ground.run().state == "succeeded"
    assert ground.item()["metadata"]["annotations"]["note"] == "second"
    assert configuring.drift(ground.service) is None
    back = ground.run("rollback")
    assert back.state == "succeeded", back.error
    assert back.restores == before
    assert back.pins["config"] == before.pins["config"]
    assert ground.images() == {f"{REPOSITORY}@{first.digest}"}
    assert ground.item()["metadata"]["annotations"]["note"] == "first"
    volumes = ground.item()["spec"]["template"]["spec"]["volumes"]
    name = volumes[-1]["configMap"]["name"]
    assert files[name] == ground.item("configmaps", name)["data"]
    assert "colour = blue" in str(files[name])


# -- what breaks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "code", "says", "evidence"),
    [
        ({"exit_code": 7, "lines": ("no luck",)}, "crash_loop", "It ended with exit code 7.", "no luck"),
        ({"exists": False, "pull_error": "shop:two: not found"}, "image_pull", "cannot be pulled.", "not found"),
        (
            {"ready": False, "probe": "connection refused"},
            "probe_failing",
            "connection refused",
            "Readiness probe failed",
        ),
    ],
)
def test_a_failed_roll_out_restores_what_ran_and_it_served_all_the_while(
    ground: Ground, behaviour: dict[str, Any], code: str, says: str, evidence: str
) -> None:
    first = ground.version("one")
    ground.run()
    serving = {one["metadata"]["name"] for one in ground.rig.pods("shop-test")}
    ground.version("two", **behaviour)
    if not behaviour.get("ready", True):
        ground.spec(start_deadline_s=1)
    deployment = ground.start()
    ground.spec()
    reach(deployment, *FINAL)
    assert (deployment.state, deployment.error["code"]) == ("failed", code)
    assert says in why(deployment)
    assert evidence in deployment.error["evidence"]
    until(lambda: ground.images() == {f"{REPOSITORY}@{first.digest}"})
    assert {one["metadata"]["name"] for one in ground.rig.pods("shop-test")} == serving, "not one of them was touched"
    service = ground.service
    assert (service.version, service.state) == (first, "healthy")
    assert ground.item()["metadata"]["annotations"][names.GENERATION] == str(service.generation)
    assert ground.run(version=first).state == "succeeded"


def test_the_first_deployment_of_all_leaves_nothing_when_it_fails(ground: Ground) -> None:
    ground.version("one", exit_code=1)
    failed = ground.run()
    assert (failed.state, failed.error["code"]) == ("failed", "crash_loop")
    assert ground.rig.all("deployments", "shop-test") == []
    assert ground.service.version is None


def test_paused_it_stays_where_it_is_and_resumed_it_goes_on(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    two = ground.version("two", ready=False)
    deployment = ground.start(replicas=4)
    until(lambda: step(deployment).phase == "rolling")
    actions.pause_deployment(actor=SYSTEM, deployment=deployment, paused=True)
    until(lambda: step(deployment).pins.get("held"))
    assert ground.item()["spec"]["paused"] is True
    ground.behave("two")
    actions.pause_deployment(actor=SYSTEM, deployment=deployment, paused=False)
    assert finish(deployment).state == "succeeded"
    assert not ground.item()["spec"].get("paused")
    assert ground.images() == {f"{REPOSITORY}@{two.digest}"}


@pytest.mark.parametrize("paused", [False, True])
def test_cancelled_in_the_middle_it_is_turned_back(ground: Ground, paused: bool) -> None:
    first = ground.version("one")
    ground.run()
    ground.version("two", ready=False)
    deployment = ground.start()
    until(lambda: step(deployment).phase == "rolling")
    if paused:
        actions.pause_deployment(actor=SYSTEM, deployment=deployment, paused=True)
        until(lambda: step(deployment).pins.get("held"))
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    assert finish(deployment).state == "cancelled"
    until(lambda: ground.images() == {f"{REPOSITORY}@{first.digest}"})
    assert not ground.item()["spec"].get("paused")
    assert ground.service.version == first


# -- who else is there ----------------------------------------------------------------------------------------------


def test_a_field_of_somebody_elses_is_told_before_it_begins_and_taken_when_that_is_confirmed(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 5}}, manager="kubectl-edit")
    two = ground.version("two")
    preview = actions.preview_deployment(
        actor=SYSTEM, project=ground.project, machine=ground.machine, action="deploy", version=two
    )
    assert [(one.field, one.owner) for one in preview.conflicts] == [("spec.replicas", "kubectl-edit")]
    with pytest.raises(Conflict, match=r"spec\.replicas \(kubectl-edit\)") as refusal:
        ground.start()
    assert refusal.value.code == "field_conflict"
    assert not Deployment.objects.exclude(state__in=FINAL).exists()
    assert ground.item()["spec"]["replicas"] == 5
    done = ground.run(take_over=True)
    assert (done.state, done.take_over) == ("succeeded", True)
    assert ground.item()["spec"]["replicas"] == 2


def test_a_field_that_is_taken_from_us_between_the_click_and_the_apply_ends_it_unharmed(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    ground.version("two")
    deployment = ground.start(replicas=3)
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 5}}, manager="kubectl-edit")
    finish(deployment)
    assert (deployment.state, deployment.error["code"]) == ("failed", "field_conflict")
    assert ground.item()["spec"]["replicas"] == 5, "nothing is forced, not on the way back either"


def test_an_edit_by_hand_is_shown_as_drift_and_not_undone(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    assert reconcile.look_again() == 0 or ground.service.drift == []
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 3}})
    until(lambda: (reconcile.look_again(), ground.service.drift)[1])
    (told,) = [str(Sentence.from_json(one)) for one in ground.service.drift]
    assert told == "Deployment “shop” was changed in the cluster: spec.replicas is 3 instead of 2."
    assert ground.item()["spec"]["replicas"] == 3


def test_what_another_portal_runs_under_the_same_name_is_left_alone(ground: Ground) -> None:
    manifest = yaml.safe_load(BASE.replace("web", "shop"))
    manifest["metadata"]["labels"][names.SERVICE] = "another-portal"
    ground.rig.create("deployments", "shop-test", manifest, manager=names.MANAGER)
    ground.version("one")
    with pytest.raises(Conflict, match="belongs to another service or another portal"):
        ground.start()
    assert not Deployment.objects.exists()


def test_of_two_portals_that_race_for_a_name_the_second_ends_with_its_reason(ground: Ground) -> None:
    ground.version("one")
    deployment = ground.start()
    manifest = yaml.safe_load(BASE.replace("web", "shop"))
    manifest["metadata"]["labels"][names.SERVICE] = "another-portal"
    ground.rig.create("deployments", "shop-test", manifest, manager=names.MANAGER)
    finish(deployment)
    assert (deployment.state, deployment.error["code"]) == ("failed", "foreign")
    assert ground.item()["metadata"]["labels"][names.SERVICE] == "another-portal"


# -- the cluster's own troubles -------------------------------------------------------------------------------------


def test_a_server_that_goes_away_in_the_middle_is_waited_for_past_every_deadline(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    two = ground.version("two", ready=False)
    deployment = ground.start(replicas=3)
    until(lambda: step(deployment).phase == "rolling")
    ground.rig.faults.go_away()
    Deployment.objects.filter(pk=deployment.pk).update(deadline_at=deployment.started_at)
    for _ in range(3):
        step(deployment)
    assert (deployment.state, deployment.phase) == ("running", "rolling")
    assert why(deployment) == "The API server does not answer."
    Deployment.objects.filter(pk=deployment.pk).update(deadline_at=None)
    ground.rig.faults.come_back()
    ground.behave("two")
    assert finish(deployment).state == "succeeded"
    assert ground.images() == {f"{REPOSITORY}@{two.digest}"}


def test_a_token_that_runs_out_in_the_middle_is_waited_for(ground: Ground) -> None:
    ground.version("one", ready=False)
    deployment = ground.start()
    until(lambda: step(deployment).phase == "rolling")
    Deployment.objects.filter(pk=deployment.pk).update(phase="applying")
    with ground.rig.faults.status(401):
        step(deployment)
    ground.behave("one")
    assert (deployment.state, deployment.phase) == ("running", "applying")
    assert "does not accept the connection's token" in why(deployment)
    assert finish(deployment).state == "succeeded"


def test_a_namespace_that_is_deleted_in_the_middle_ends_it_with_that_word(ground: Ground) -> None:
    ground.version("one")
    ground.run()
    ground.version("two", ready=False)
    deployment = ground.start()
    until(lambda: step(deployment).phase == "rolling")
    ground.rig.faults.delete_namespace("shop-test")
    until(lambda: ground.rig.get("namespaces", "", "shop-test") is None)
    finish(deployment)
    assert (deployment.state, deployment.error["code"]) == ("failed", "gone")
    assert why(deployment) == "Its Deployment is not in the cluster any more: it, or its namespace, was deleted."
    reconcile.look_again()
    assert ground.service.state == "absent"


def test_a_storm_of_refusals_is_waited_out(ground: Ground) -> None:
    ground.version("one")
    deployment = ground.start()
    ground.rig.faults.status(429, times=4)
    ground.rig.faults.status(500, times=3)
    assert finish(deployment).state == "succeeded"


# -- manifests of one's own -----------------------------------------------------------------------------------------


def test_a_manifest_of_a_megabyte_from_the_config_source_is_deployed(ground: Ground) -> None:
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"text": "x" * 900_000}}
    ground.spec(config={"source": "database", "key": "shop/base.yaml"})
    configs.source_named("database").put("shop/base.yaml", BASE + "---\n" + yaml.safe_dump(big), author="dev")
    ground.version("one")
    done = ground.run()
    assert done.state == "succeeded", done.error
    assert len(ground.item("configmaps", "big")["data"]["text"]) == 900_000
    assert ground.item(name="web")["metadata"]["labels"][names.PROJECT] == "shop"
    assert ground.run("remove").state == "succeeded"
    assert ground.rig.get("configmaps", "shop-test", "big") is None


@pytest.mark.parametrize(("given", "start_s"), [("", 5), ("progressDeadlineSeconds: 1800", 1800 - FETCH_S)])
def test_a_manifest_that_gives_its_pods_more_time_is_waited_for_as_long(
    ground: Ground, given: str, start_s: float
) -> None:
    ground.spec(config={"source": "database", "key": "shop/base.yaml"}, drain_s=10, start_deadline_s=5)
    slow = BASE.replace("spec:\n", f"spec:\n  {given}\n", 1)
    configs.source_named("database").put("shop/base.yaml", slow, author="dev")
    ground.version("one")
    done = ground.run(replicas=2)
    assert done.state == "succeeded", done.error
    assert done.deadline_at is not None
    assert done.started_at is not None
    patience = done.deadline_at - done.started_at
    assert patience.total_seconds() == pytest.approx(LATE_S + 2 * (FETCH_S + start_s + 10), abs=60)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}",
            "for the namespace “kube-system”",
        ),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}", "kind “Namespace” (v1) are not deployed"),
        ("a: &a [x]\nb: [" + ",".join(["*a"] * 200) + "]", "repeats itself by aliases"),
    ],
)
def test_a_manifest_that_reaches_further_is_refused_before_anything_is_asked_for(
    ground: Ground, extra: str, says: str
) -> None:
    ground.spec(config={"source": "database", "key": "shop/base.yaml"})
    configs.source_named("database").put("shop/base.yaml", f"{BASE}---\n{extra}\n", author="dev")
    ground.version("one")
    with pytest.raises(Invalid, match=re.escape(says)):
        ground.start()
    assert not Deployment.objects.exists()
    assert ground.rig.all("deployments", "shop-test") == []


# -- with those who watch -------------------------------------------------------------------------------------------


@pytest.fixture
def hubs() -> Iterator[Hubs]:
    with Hubs() as made:
        yield made


@pytest.mark.slow
def test_through_the_rows_of_the_watchers_a_roll_out_is_followed_and_an_edit_is_seen(
    ground: Ground, hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeing, "DIRECT_S", 2.0)
    hubs.start()
    wait_live(ground.machine.cluster)
    ground.version("one")
    assert ground.run().state == "succeeded"
    bad = ground.version("two", exit_code=7, lines=("no luck",))
    failed = ground.run(version=bad)
    assert (failed.state, failed.error["code"]) == ("failed", "crash_loop")
    assert "no luck" in failed.error["evidence"]
    until(lambda: ground.service.state == "healthy", what="the news that all is as before")
    ground.rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 3}})
    until(lambda: ground.service.drift and ground.service.total == 3, what="the news of an edit")
    pod = ground.rig.pods("shop-test")[0]["metadata"]["name"]
    ground.rig.faults.unready("shop-test", pod)
    until(lambda: ground.service.state == "degraded", what="the news of a pod that is not well")
    ground.rig.delete("services", "shop-test", "shop")
    gone = "Service “shop” is not in the cluster any more."
    until(lambda: gone in [str(Sentence.from_json(one)) for one in ground.service.drift], what="the news of a Service")
