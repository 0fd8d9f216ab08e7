"""How long a change may take: what is late is turned back, except for what was asked to go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from clusters.drivers.runtime.base import Artifact, Plan, ServiceRef, Wanted
from clusters.drivers.runtime.spec import FETCH_S, ServiceSpec
from deployments import actions, patience
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, Service
from fangduoduo_release.common import engines
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Event
from projects.actions import save_spec
from tests import world
from tests.deployments.kubernetes_ground import REPOSITORY, Ground, ground_on, reach, step, why
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SPEC = {"command": ["run"], "drain_s": 10, "stop_grace_s": 7, "start_deadline_s": 50}
EACH = FETCH_S + 50 + 10  # an image, a start, a drain


# -- how long -------------------------------------------------------------------------------------------------------


def allowed(spec: dict[str, Any], *, replicas: int = 1, there: int = 0, start_s: float | None = None) -> float:
    """Seconds beyond those that every change has."""
    goal = Wanted(
        service=ServiceRef("key"), generation=1, project="shop", machine="m", deployment="d",
        spec=ServiceSpec.from_json({**SPEC, **spec, "replicas": replicas}), artifact=Artifact("sha256:0"),
    )  # fmt: skip
    plan = Plan("", "", "", changed=True, replaces_instances=True, start_s=start_s)
    return patience.of_goal(goal, plan, Service(total=there)) - patience.LATE_S


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({}, 1 * EACH),
        ({"replicas": 0}, 1 * EACH),
        ({"replicas": 4}, 4 * EACH),
        ({"replicas": 4, "start_s": 600.0}, 4 * (EACH + 550)),
        ({"replicas": 2, "there": 40}, 40 * EACH),
        ({"replicas": 9, "there": 3}, 9 * EACH),
    ],
)
def test_every_instance_has_its_time_also_those_that_the_load_asked_for(facts: dict[str, Any], seconds: float) -> None:
    assert allowed({}, **facts) == seconds


def test_as_many_as_the_load_may_ask_for_count() -> None:
    assert allowed({"autoscale": {"min": 2, "max": 20}}, replicas=2) == 20 * EACH


def test_a_removal_has_the_time_of_its_drain_and_its_stop() -> None:
    project = world.bare_project(slug="shop")
    spec = save_spec(actor=SYSTEM, project=project, spec=SPEC)
    service = Service(project=project, machine=world.machine(), spec_revision=spec)
    assert patience.of_removal(service) == patience.LATE_S + 17
    assert patience.of_removal(Service(project=project, machine=world.machine())) == patience.LATE_S


# -- what is late ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ground() -> Iterator[Ground]:
    with Rig() as rig:
        rig.namespace("shop-test")
        yield ground_on(rig)
        assert rig.failures == []


Look = Callable[[Deployment], Deployment]


@pytest.fixture
def look() -> Look:
    """One look after another by one and the same process, at a deployment whose time is over."""
    engine = DeploymentEngine()

    def at(deployment: Deployment) -> Deployment:
        now = timezone.now()
        over = {"started_at": now - timedelta(seconds=1), "deadline_at": now - timedelta(seconds=0.99)}
        Deployment.objects.filter(pk=deployment.pk, lease_until=None).update(next_at=Now(), **over)
        engines.drive(engine, deployment.pk)
        deployment.refresh_from_db()
        return deployment

    return at


def held(ground: Ground) -> None:
    """A cloud's controller does not let go of the Service yet."""
    ground.rig.faults.edit("services", "shop-test", "shop", {"metadata": {"finalizers": ["cloud/balancer"]}}, "cloud")


def let_go(ground: Ground) -> None:
    ground.rig.faults.edit("services", "shop-test", "shop", {"metadata": {"finalizers": None}}, "cloud")


def said(deployment: Deployment, kind: str) -> list[str]:
    rows = Event.objects.filter(topic=deployment.topic, kind=kind).order_by("seq")
    return [row.text for row in rows]


def test_a_roll_out_that_is_late_is_turned_back(ground: Ground, look: Look) -> None:
    first = ground.version("one")
    ground.run()
    ground.version("two", ready=False)
    deployment = ground.start()
    until(lambda: step(deployment).phase == "rolling")
    until(lambda: look(deployment).state == "failed")
    assert deployment.error["code"] == "too_late"
    assert ground.images() == {f"{REPOSITORY}@{first.digest}"}


def test_a_removal_that_is_late_is_waited_for_and_brings_nothing_back(ground: Ground, look: Look) -> None:
    ground.version("one")
    ground.run()
    held(ground)
    deployment = ground.start("remove")
    until(lambda: look(deployment) and said(deployment, "late"))
    for _ in range(3):
        look(deployment)
    assert deployment.state == "running"
    assert said(deployment, "late") == [
        "It takes longer than it may, and is waited for until nothing is left; cancel it to bring back what ran."
    ], "once"
    told = Event.objects.filter(topic=deployment.topic, kind="progress").order_by("seq").last()
    assert told is not None
    assert (told.text, told.data["what"]) == ("Still being deleted: %(what)s.", "Service/shop")
    let_go(ground)
    until(lambda: look(deployment).state == "succeeded")
    assert ground.service.state == "absent"
    assert ground.rig.get("deployments", "shop-test", "shop") is None


def test_a_removal_that_is_late_can_be_cancelled_and_what_ran_comes_back(ground: Ground, look: Look) -> None:
    first = ground.version("one")
    ground.run()
    held(ground)
    deployment = ground.start("remove")
    until(lambda: look(deployment) and said(deployment, "late"))
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    let_go(ground)
    assert reach(deployment, "cancelled").state == "cancelled"
    until(lambda: ground.images() == {f"{REPOSITORY}@{first.digest}"})
    assert ground.service.version == first


# -- a way back that leads nowhere ----------------------------------------------------------------------------------


def test_what_ran_before_and_does_not_come_up_again_is_not_called_restored(ground: Ground) -> None:
    ground.version("one")
    ground.run(replicas=1)
    ground.version("two", exit_code=1)
    ground.behave("one", exit_code=3)  # its database is gone too
    for pod in ground.rig.pods("shop-test"):
        ground.rig.faults.fail_pod("shop-test", pod["metadata"]["name"])
    deployment = ground.run()
    assert deployment.state == "failed"
    assert "What ran before was applied again and does not come up: %(why)s" in said(deployment, "state")
    assert "What ran before is restored." not in said(deployment, "state")
    assert why(deployment) == "It ended with exit code 1."
