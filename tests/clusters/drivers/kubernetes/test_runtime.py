"""The runtime against a simulated cluster: the contract of its family, and what only an orchestrator can do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from clusters.drivers.runtime.base import PullSecret
from clusters.drivers.runtime.kubernetes import names
from clusters.drivers.runtime.spec import Autoscale, ConfigFile, Resources
from fangduoduo_release.common.errors import Conflict, Unavailable
from tests.clusters.drivers.kubernetes.goals import BASE
from tests.clusters.drivers.kubernetes.places import KubernetesPlace, nobody, objects, place_on, replicas
from tests.clusters.drivers.runtime_contract import Place, RuntimeContract, staying
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until


class OfAnOrchestrator(RuntimeContract):
    """It rolls by itself and does not stop with the portal."""

    def test_apply_alone_changes_nothing_that_runs(self, place: Place) -> None:
        first = place.deploy("one")
        pods = staying(place.instances())
        place.rig.faults.stuck()  # type: ignore[attr-defined]
        place.runtime.apply(place.want(place.version("two")))
        seen = place.instances()
        assert staying(seen) == pods
        assert not seen.green(place.digest(first))
        place.rig.faults.stuck(False)  # type: ignore[attr-defined]

    def test_stop_all_and_back(self, place: Place) -> None:
        place.deploy("one")
        assert place.runtime.stop_all()
        place.runtime.ensure()
        assert place.instances().state == "ready"


class TestSimulated(OfAnOrchestrator):
    @pytest.fixture
    def place(self, rig: Rig) -> KubernetesPlace:
        return place_on(rig)


@pytest.mark.slow
class TestWithoutWatchers(OfAnOrchestrator):
    """Nobody watches the cluster: every look is one of our own."""

    @pytest.fixture
    def place(self, rig: Rig) -> KubernetesPlace:
        return place_on(rig, reader=nobody)


# -- plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_touches_nothing_and_shows_what_would_come(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.want(place.version("one"), secrets={"TOKEN": "hunter2-hunter2"}, files=(ConfigFile("a", "b"),))
    before = objects(rig)
    plan = place.runtime.plan(wanted)
    assert objects(rig) == before
    assert (plan.changed, plan.conflicts, plan.deletes) == (True, (), ())
    for kind in ("Secret", "ConfigMap", "Service", "Deployment"):
        assert f"+++ wanted/{kind}/shop" in plan.diff
    assert "hunter2" not in plan.diff + plan.manifest
    assert len(plan.sha256) == 64


def test_what_runs_already_is_no_change_and_the_next_generation_of_it_neither(place: KubernetesPlace) -> None:
    wanted = place.deploy("one", files=(ConfigFile("a", "1"),))
    place.settle(place.want(wanted.artifact, files=(ConfigFile("a", "2"),), version=wanted.version))
    back = replace(wanted, generation=next(place.generations), deployment="again")
    place.settle(back)
    plan = place.runtime.plan(replace(back, generation=back.generation + 1))
    assert (plan.changed, plan.replaces_instances, plan.diff, plan.deletes) == (False, False, "", ())
    assert plan.sha256 == place.instances().manifest_sha256


def test_a_plan_says_whether_instances_are_replaced(place: KubernetesPlace) -> None:
    wanted = place.deploy("one")
    scaled = place.runtime.plan(replace(wanted, spec=replace(wanted.spec, replicas=5)))
    assert (scaled.changed, scaled.replaces_instances) == (True, False)
    assert "-  replicas: 2\n+  replicas: 5" in scaled.diff
    assert place.runtime.plan(replace(wanted, restart_nonce="x")).replaces_instances


def test_a_plan_names_what_would_be_deleted(rig: Rig, place: KubernetesPlace) -> None:
    extra = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n"
    first = place.want(place.version("one"), base=BASE + extra)
    place.settle(first)
    second = replace(first, base=BASE, generation=next(place.generations))
    assert place.runtime.plan(second).deletes == ("ConfigMap/extra",)
    place.settle(second)
    assert rig.get("configmaps", "shop-test", "extra") is None


def test_fields_that_somebody_else_set_are_told_with_their_owner_and_never_taken_silently(
    rig: Rig, place: KubernetesPlace
) -> None:
    wanted = place.deploy("one")
    rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 7}}, manager="kubectl-edit")
    more = replace(wanted, generation=next(place.generations), spec=replace(wanted.spec, replicas=3))
    plan = place.runtime.plan(more)
    assert [(one.what, one.field, one.owner) for one in plan.conflicts] == [
        ("Deployment/shop", "spec.replicas", "kubectl-edit")
    ]
    assert str(plan.warnings[0]) == (
        "spec.replicas of Deployment/shop belongs to “kubectl-edit”, who set it; it would have to be taken over."
    )
    assert "-  replicas: 7\n+  replicas: 3" in plan.diff
    with pytest.raises(Conflict, match="Somebody else manages what this deployment would set") as refusal:
        place.runtime.apply(more)
    assert refusal.value.code == "field_conflict"
    assert replicas(rig) == 7
    taken = replace(more, take_over=True)
    assert place.runtime.plan(taken).warnings == ()
    assert place.settle(taken).ready == 3
    assert place.runtime.plan(replace(taken, take_over=False)).conflicts == (), "from then on it is ours"


# -- apply ----------------------------------------------------------------------------------------------------------


def test_applying_again_changes_not_even_a_version_number(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.deploy("one", secrets={"A": "b"}, files=(ConfigFile("a", "b"),), pull=PullSecret("h", "u", "p"))
    rig.rolled_out("shop-test", "shop")
    before = {name: version for name, version in objects(rig).items() if not name.startswith("deployments")}
    generation = rig.get("deployments", "shop-test", "shop")["metadata"]["generation"]  # type: ignore[index]
    pods = staying(place.instances())
    place.runtime.apply(wanted)
    assert {name: version for name, version in objects(rig).items() if not name.startswith("deployments")} == before
    assert rig.get("deployments", "shop-test", "shop")["metadata"]["generation"] == generation  # type: ignore[index]
    assert staying(place.instances()) == pods


def test_what_was_applied_says_whose_it_is_and_what_brought_it(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.deploy("one")
    item = rig.get("deployments", "shop-test", "shop")
    assert item is not None
    labels, notes = item["metadata"]["labels"], item["metadata"]["annotations"]
    assert labels[names.DEPLOYMENT] == wanted.deployment
    assert notes[names.GENERATION] == str(wanted.generation)
    assert [one["manager"] for one in item["metadata"]["managedFields"] if one["operation"] == "Apply"] == [
        names.MANAGER
    ]
    for pod in rig.pods("shop-test"):
        assert names.DEPLOYMENT not in pod["metadata"]["labels"]
        assert pod["metadata"]["labels"][names.VERSION] == wanted.version


def test_a_deployment_that_nobody_here_made_is_left_alone(rig: Rig, place: KubernetesPlace) -> None:
    manifest = yaml.safe_load(BASE.replace("web", "shop"))
    rig.create("deployments", "shop-test", manifest, manager="kubectl-client-side-apply")
    wanted = place.want(place.version("one"))
    for verb in (place.runtime.plan, place.runtime.apply):
        with pytest.raises(Conflict, match="has a Deployment/shop that this portal did not make") as refusal:
            verb(wanted)
        assert refusal.value.code == "foreign"


@pytest.mark.parametrize("base", ["", BASE])
def test_two_portals_do_not_take_each_others_objects(rig: Rig, base: str) -> None:
    mine, theirs = place_on(rig), place_on(rig)
    assert mine.service != theirs.service
    mine.settle(mine.want(mine.version("one"), base=base))
    before = objects(rig)
    for verb in (theirs.runtime.plan, theirs.runtime.apply):
        with pytest.raises(Conflict, match="belongs to another service or another portal") as refusal:
            verb(theirs.want(theirs.version("two"), base=base))
        assert refusal.value.code == "foreign"
    assert objects(rig) == before


def test_another_services_config_of_the_same_name_is_not_taken_either(rig: Rig, place: KubernetesPlace) -> None:
    other = place_on(rig, project="cart")
    config = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: common}\ndata: {a: '%s'}\n"
    place.settle(place.want(place.version("one"), base=BASE.replace("web", "shop") + config % "1"))
    wanted = other.want(other.version("two"), base=BASE.replace("web", "cart") + config % "2")
    with pytest.raises(Conflict, match="ConfigMap/common belongs to another service"):
        other.runtime.apply(wanted)
    assert rig.get("configmaps", "shop-test", "common")["data"] == {"a": "1"}  # type: ignore[index]
    assert rig.get("deployments", "shop-test", "cart") is None


def test_old_config_goes_when_no_pod_can_be_started_with_it_any_more(rig: Rig, place: KubernetesPlace) -> None:
    def config() -> set[str]:
        return {one["metadata"]["name"] for kind in ("configmaps", "secrets") for one in rig.all(kind, "shop-test")}

    def want(number: str) -> Any:
        return place.want(place.version("one"), secrets={"A": number}, files=(ConfigFile("a", number),))

    place.settle(want("1"))
    first = config()
    assert len(first) == 2
    place.behave("one", ready=False)
    place.runtime.apply(want("2"))
    assert first < config(), "pods of before are still there, and start again with it"
    place.behave("one")
    place.settle(want("3"))
    place.settle(want("3"))
    assert first.isdisjoint(config())
    assert len(config()) == 2


def test_a_selector_that_was_another_is_told_and_nothing_is_lost(rig: Rig, place: KubernetesPlace) -> None:
    place.settle(place.want(place.version("one"), base=BASE.replace("name: web, ", "name: shop, ")))
    with pytest.raises(Conflict, match="chooses other pods"):
        place.runtime.apply(place.want(place.version("two")))
    assert place.instances().state == "ready"


def test_an_object_that_is_still_being_deleted_is_waited_for(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.deploy("one")
    place.behave("one", deaf=True)
    place.settle(replace(wanted, generation=next(place.generations), restart_nonce="deaf", spec=replace(wanted.spec, stop_grace_s=30.0)))  # fmt: skip
    rig.delete("deployments", "shop-test", "shop", propagationPolicy="Foreground")
    again = place.want(place.version("two"))
    with pytest.raises(Unavailable, match="is still being deleted"):
        place.runtime.apply(again)


def test_a_service_that_is_still_being_deleted_is_waited_for_too(rig: Rig, place: KubernetesPlace) -> None:
    """As a load balancer's is: what is applied to it meanwhile would go with it."""
    place.deploy("one")
    held = {"metadata": {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}}
    rig.faults.edit("services", "shop-test", "shop", held, manager="cloud")
    rig.delete("services", "shop-test", "shop")
    again = place.want(place.version("two"))
    with pytest.raises(Unavailable, match="Service/shop is still being deleted"):
        place.runtime.apply(again)
    rig.rolled_out("shop-test", "shop")  # the Service holds only itself up
    assert place.digest(again) in rig.pods("shop-test")[0]["spec"]["containers"][0]["image"]
    rig.faults.edit("services", "shop-test", "shop", {"metadata": {"finalizers": None}}, manager="cloud")
    assert place.settle(again).ready == 2
    assert rig.get("services", "shop-test", "shop") is not None


def test_config_that_was_deleted_is_gone_at_once_and_can_be_made_anew(rig: Rig, place: KubernetesPlace) -> None:
    """Not when the garbage collector comes by: until then an apply would be taken, and then lost."""
    extra = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n"
    first = place.want(place.version("one"), base=BASE + extra)
    place.settle(first)
    rig.faults.stuck()
    place.runtime.apply(replace(first, base=BASE, generation=next(place.generations)))
    assert rig.get("configmaps", "shop-test", "extra") is None
    place.runtime.apply(replace(first, generation=next(place.generations)))
    rig.faults.stuck(False)
    place.settle(replace(first, generation=next(place.generations)))
    assert rig.get("configmaps", "shop-test", "extra")["data"] == {"a": "b"}  # type: ignore[index]


def test_the_number_of_replicas_is_handed_over_and_taken_back_without_a_drop(rig: Rig, place: KubernetesPlace) -> None:
    spec = {"resources": Resources(cpu=0.1)}
    place.settle(place.want(place.version("one"), replicas=4, **spec))
    fewest = 9

    def watch() -> None:
        nonlocal fewest
        fewest = min(fewest, replicas(rig))

    scaled = place.want(place.version("two"), replicas=4, autoscale=Autoscale(3, 9), **spec)
    assert "replicas: 1" not in place.runtime.plan(scaled).diff
    place.runtime.apply(scaled)
    watch()
    until(lambda: (watch(), place.runtime.advance(scaled).settled)[1])
    assert fewest == 4
    rig.faults.autoscale("shop-test", "shop", 6)
    until(lambda: place.runtime.advance(scaled).ready == 6)
    again = replace(scaled, generation=next(place.generations))
    assert place.settle(again).ready == 6, "what the autoscaler chose stays"
    fixed = place.want(place.version("two"), replicas=2, **spec)
    assert place.runtime.plan(fixed).conflicts == (), "whoever chose the number is taken away with the same change"
    assert place.settle(fixed).ready == 2
    assert rig.all("horizontalpodautoscalers", "shop-test") == []


def test_a_number_handed_over_and_never_changed_is_taken_back_without_asking(rig: Rig, place: KubernetesPlace) -> None:
    spec = {"resources": Resources(cpu=0.1)}
    place.settle(place.want(place.version("one"), replicas=4, **spec))
    place.settle(place.want(place.version("one"), autoscale=Autoscale(1, 9), **spec))
    assert replicas(rig) == 4
    fixed = place.want(place.version("one"), replicas=2, **spec)
    assert place.runtime.plan(fixed).conflicts == ()
    assert place.settle(fixed).ready == 2
