"""Who says how many replicas there are: an autoscaler that somebody else made keeps what it chose, and the rest is ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from clusters.drivers.runtime.base import Plan
from clusters.drivers.runtime.kubernetes import names
from clusters.drivers.runtime.spec import Autoscale, Resources
from fangduoduo_release.common.errors import AppError, Conflict, Unavailable
from tests.clusters.drivers.kubernetes.goals import BASE
from tests.clusters.drivers.kubernetes.places import KubernetesPlace, objects, place_on, replicas
from tests.simulators.kubernetes_rig import Rig, Rule
from tests.waiting import until

HPA = "HorizontalPodAutoscaler/theirs"
SAYS = f"{HPA} of this cluster decides how many instances there are; the replicas given here do not count."


def autoscaler(rig: Rig, target: str = "shop", kind: str = "Deployment", **metadata: Any) -> None:
    """As `kubectl autoscale` or KEDA makes one."""
    target_ref = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    made = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "theirs", **metadata},
        "spec": {"scaleTargetRef": target_ref, "minReplicas": 2, "maxReplicas": 30},
    }  # fmt: skip
    rig.create("horizontalpodautoscalers", "shop-test", made, manager="kubectl-autoscale")


def planned(place: KubernetesPlace, **more: Any) -> Plan:
    return place.runtime.plan(place.want(place.version("two"), **more))


def test_what_somebody_else_s_autoscaler_chose_stays_through_every_deployment(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    autoscaler(rig)
    rig.faults.autoscale("shop-test", "shop", 6)
    for name in ("two", "one"):  # forth, and back again
        wanted = place.want(place.version(name))
        plan = place.runtime.plan(wanted)
        assert (plan.conflicts, [str(one) for one in plan.warnings], plan.scaled_by) == ((), [SAYS], HPA)
        assert "replicas:" not in plan.manifest
        assert "replicas" not in plan.diff.replace("  replicas: 6", "")
        assert place.settle(wanted).ready == 6
        assert place.runtime.advance(wanted).drift == ()
    assert "horizontalpodautoscalers/theirs" in objects(rig), "nor is it taken away with what is surplus"


def test_one_that_has_scaled_nothing_yet_takes_the_number_without_a_drop(rig: Rig, place: KubernetesPlace) -> None:
    place.settle(place.want(place.version("one"), replicas=4))
    autoscaler(rig)
    wanted = place.want(place.version("two"), replicas=2)
    assert "replicas: 1" not in place.runtime.plan(wanted).diff
    place.runtime.apply(wanted)
    seen = {replicas(rig)}

    def over() -> bool:
        seen.add(replicas(rig))
        return place.runtime.advance(wanted).settled

    until(over)
    assert seen == {4}
    rig.faults.autoscale("shop-test", "shop", 5)
    assert place.settle(place.want(place.version("two"))).ready == 5


def test_once_it_is_gone_the_number_is_ours_again(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    autoscaler(rig)
    rig.faults.autoscale("shop-test", "shop", 5)
    place.settle(place.want(place.version("two")))
    rig.delete("horizontalpodautoscalers", "shop-test", "theirs")
    wanted = place.want(place.version("two"), replicas=3)
    plan = place.runtime.plan(wanted)
    assert (plan.conflicts, plan.warnings, plan.scaled_by) == ((), (), "")
    assert "-  replicas: 5\n+  replicas: 3" in plan.diff
    assert place.settle(wanted).ready == 3


def test_fields_of_others_beside_the_number_are_still_in_the_way(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    autoscaler(rig)
    rig.faults.autoscale("shop-test", "shop", 6)
    rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"progressDeadlineSeconds": 77}})
    assert [one.field for one in planned(place).conflicts] == ["spec.progressDeadlineSeconds"]
    with pytest.raises(Conflict) as refusal:
        place.runtime.apply(place.want(place.version("two")))
    assert refusal.value.code == "field_conflict"
    place.settle(place.want(place.version("two"), take_over=True))
    assert replicas(rig) == 6


@pytest.mark.parametrize(
    "made",
    [{"target": "cart"}, {"kind": "StatefulSet"}, {"labels": "ours"}, {"finalizers": ["example.com/held"]}],
    ids=lambda made: next(iter(made)),
)
def test_what_scales_something_else_or_is_on_its_way_out_decides_nothing(
    rig: Rig, place: KubernetesPlace, made: dict[str, Any]
) -> None:
    place.deploy("one")
    mark = {"labels": {names.SERVICE: place.service.key, names.GROUP: place.service.group}}
    autoscaler(rig, **(mark if "labels" in made else made))
    if "finalizers" in made:
        rig.delete("horizontalpodautoscalers", "shop-test", "theirs")
        assert "horizontalpodautoscalers/theirs" in objects(rig)
    plan = planned(place, replicas=3)
    assert (plan.scaled_by, plan.warnings) == ("", ())
    assert "replicas: 3" in plan.manifest
    assert plan.deletes == ((HPA,) if "labels" in made else ()), "what is marked as the service's goes with its goal"


def test_who_may_not_look_for_autoscalers_is_told_of_the_field_as_ever(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    autoscaler(rig)
    rig.faults.autoscale("shop-test", "shop", 5)
    kinds = ("deployments", "replicasets", "pods", "services", "configmaps", "secrets", "ingresses", "events")
    rig.user("narrow", Rule(("get", "list", "patch", "create"), kinds, namespaces=("shop-test",)))
    narrow = place_on(rig, user="narrow", service=place.service)
    plan = planned(narrow)
    assert [(one.field, one.owner) for one in plan.conflicts] == [("spec.replicas", names.CONTROLLERS)]
    assert plan.scaled_by == ""


def test_a_cluster_that_does_not_answer_is_asked_again_rather_than_taken_to_have_none(
    rig: Rig, place: KubernetesPlace
) -> None:
    """Else the replicas would be set once in a while."""
    place.deploy("one")
    autoscaler(rig)
    with rig.faults.status(503, "horizontalpodautoscalers", times=1), pytest.raises(AppError) as refusal:
        planned(place)
    assert isinstance(refusal.value, Unavailable)
    assert planned(place).scaled_by == HPA


def test_an_autoscaler_of_the_goal_s_own_is_named_without_a_word_of_warning(rig: Rig, place: KubernetesPlace) -> None:
    plan = planned(place, autoscale=Autoscale(2, 5), resources=Resources(cpu=0.1))
    assert (plan.scaled_by, plan.warnings) == ("HorizontalPodAutoscaler/shop", ())
    autoscaler(rig, "web")
    theirs = "\n---\n" + yaml.safe_dump(rig.get("horizontalpodautoscalers", "shop-test", "theirs"))
    rig.delete("horizontalpodautoscalers", "shop-test", "theirs")
    plan = planned(place, base=BASE + theirs)
    assert (plan.scaled_by, plan.warnings) == (HPA, ())


def test_a_service_that_stands_at_none_is_told_to_stay_so(rig: Rig, place: KubernetesPlace) -> None:
    """Somebody stopped it by hand; an autoscaler does nothing then, and a deployment would end well with nothing running."""
    place.settle(place.want(place.version("one"), replicas=0))
    autoscaler(rig)
    assert [str(one) for one in planned(place).warnings] == [
        SAYS,
        "Deployment/shop stands at 0 instances, and this starts none: whoever scales it has to, and a "
        "HorizontalPodAutoscaler does nothing at 0.",
    ]


def test_to_look_at_many_services_costs_no_request_each_and_to_change_one_asks_anew(
    rig: Rig, place: KubernetesPlace
) -> None:
    wanted = place.deploy("one")
    asked = rig.faults.latency(0.0, "GET .*/horizontalpodautoscalers")
    for number in range(20):
        assert place.runtime.advance(replace(wanted, version=str(number))).total == 2
    assert asked.hits == 0, "the deployment has just seen them"
    autoscaler(rig)
    assert planned(place).scaled_by == HPA
    assert asked.hits >= 1
