"""Where an autoscaler decides how many run: scaling by hand is refused, and a deployment, good or bad, leaves the number alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters import configs
from deployments import actions, scaling
from deployments.models import Deployment
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict
from tests.clusters.drivers.kubernetes.goals import BASE
from tests.deployments.kubernetes_ground import Ground, finish, ground_on, why
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 30
"""
SAYS = (
    "HorizontalPodAutoscaler/web decides how many instances run here, so a number given here does not count. Change it where "
    "it comes from: in this service's manifest, then deploy, or in the cluster. To stop every instance at once, remove the "
    "service."
)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        made.namespace("shop-test")
        yield made
        assert made.failures == []


@pytest.fixture
def ground(rig: Rig) -> Ground:
    """A service with a manifest of its own."""
    made = ground_on(rig)
    made.spec(config={"source": "database", "key": "shop/base.yaml"})
    text(BASE)
    made.version("one")
    return made


def text(base: str) -> None:
    configs.source_named("database").put("shop/base.yaml", base, author="dev")


def beside(rig: Rig) -> None:
    """An autoscaler that somebody makes in the cluster."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 30}
    made = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": spec,
    }
    rig.create("horizontalpodautoscalers", "shop-test", made, manager="kubectl-autoscale")


def refused(ground: Ground, replicas: int) -> None:
    """Scaling is refused before anything begins, and nothing is different after it."""
    before, known = ground.item(name="web")["spec"]["replicas"], Deployment.objects.count()
    asked: dict[str, Any] = {"actor": SYSTEM, "project": ground.project, "machine": ground.machine, "action": "scale"}
    for verb in (actions.preview_deployment, actions.start_deployment):
        with pytest.raises(Conflict) as refusal:
            verb(**asked, replicas=replicas)
        assert (refusal.value.code, str(refusal.value.sentence)) == ("autoscaled", SAYS)
    assert (ground.item(name="web")["spec"]["replicas"], Deployment.objects.count()) == (before, known)


def test_a_service_whose_manifest_brings_an_autoscaler_is_not_said_to_be_scaled(ground: Ground) -> None:
    text(BASE + "---" + HPA)
    assert ground.run().state == "succeeded"
    for replicas in (0, 5):
        refused(ground, replicas)
    assert ground.run("restart").state == "succeeded", "all else is done as ever"
    text(BASE)
    refused(ground, 0)  # what the source says by now is not what runs
    assert ground.run(replicas=0).state == "succeeded", "as the refusal says: out of the manifest, then deploy"
    assert ground.item(name="web")["spec"]["replicas"] == 0
    assert ground.run("scale", replicas=1).state == "succeeded"


def test_an_autoscaler_made_between_the_click_and_the_start_is_met_with_the_same_word(ground: Ground) -> None:
    ground.run()
    deployment = ground.start("scale", replicas=5)
    beside(ground.rig)
    assert finish(deployment).state == "failed"
    assert (deployment.error["code"], why(deployment)) == ("autoscaled", SAYS)


def test_in_an_emergency_the_service_can_be_removed(ground: Ground) -> None:
    text(BASE + "---" + HPA)
    ground.run()
    refused(ground, 0)
    assert ground.run("remove").state == "succeeded"
    assert ground.rig.pods("shop-test") == []


def test_where_nothing_scales_by_the_load_the_number_counts(ground: Ground) -> None:
    ground.run()
    assert ground.run("scale", replicas=3).ready == 3
    for action in Deployment.Action.values:
        scaling.require_uncontested(action, "")


def test_an_autoscaler_made_beside_the_portal_keeps_its_number_also_when_a_deployment_fails(ground: Ground) -> None:
    ground.run()
    beside(ground.rig)
    ground.rig.faults.autoscale("shop-test", "web", 6)
    until(lambda: len(ground.rig.pods("shop-test")) == 6)
    refused(ground, 0)
    first = ground.images()
    bad = ground.version("two", exit_code=7)
    failed = ground.run(version=bad)
    assert (failed.state, failed.error["code"], failed.take_over) == ("failed", "crash_loop", False)
    assert ground.service.state == "healthy"
    assert (ground.item(name="web")["spec"]["replicas"], ground.images()) == (6, first), "what ran before is restored"
    good = ground.version("three")
    assert ground.run(version=good).state == "succeeded"
    assert ground.item(name="web")["spec"]["replicas"] == 6
    ground.rig.delete("horizontalpodautoscalers", "shop-test", "web")
    assert ground.run("scale", replicas=3).ready == 3, "from then on the number is ours"
