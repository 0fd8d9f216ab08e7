"""The runtime against a simulated cluster: the contract of its family, and what only an orchestrator can do."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from clusters.drivers.runtime.base import Artifact, LogQuery, PullSecret, ServiceRef
from clusters.drivers.runtime.kubernetes import names
from clusters.drivers.runtime.spec import Autoscale, ConfigFile, Resources
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, Rejected, Unavailable
from tests.clusters.drivers.kubernetes.goals import BASE
from tests.clusters.drivers.kubernetes.places import KubernetesPlace, nobody, place_on, watched
from tests.clusters.drivers.runtime_contract import Place, RuntimeContract, staying
from tests.simulators.kubernetes_rig import Rig, Rule
from tests.waiting import until


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        yield made
        assert made.failures == []


@pytest.fixture
def place(rig: Rig) -> KubernetesPlace:
    return place_on(rig)


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


LEAST = Rule(
    ("get", "list", "watch", "create", "patch", "update", "delete"),
    (
        "deployments", "replicasets", "pods", "services", "configmaps", "secrets", "ingresses", "horizontalpodautoscalers",
        "events", "pods/log", "pods/exec",
    ),
    namespaces=("shop-test",),
)  # fmt: skip


# -- plan -----------------------------------------------------------------------------------------------------------


def objects(rig: Rig, namespace: str = "shop-test") -> dict[str, str]:
    """kind/name of what is there, and at which version."""
    return {
        f"{kind}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for kind in ("deployments", "services", "configmaps", "secrets", "ingresses", "horizontalpodautoscalers")
        for one in rig.all(kind, namespace)
    }  # fmt: skip


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


def replicas(rig: Rig, name: str = "shop", namespace: str = "shop-test") -> int:
    found = rig.get("deployments", namespace, name)
    assert found is not None
    return int(found["spec"]["replicas"])


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
    assert [one.field for one in place.runtime.plan(fixed).conflicts] == ["spec.replicas"]
    assert place.settle(replace(fixed, take_over=True)).ready == 2
    assert rig.all("horizontalpodautoscalers", "shop-test") == []


def test_a_number_handed_over_and_never_changed_is_taken_back_without_asking(rig: Rig, place: KubernetesPlace) -> None:
    spec = {"resources": Resources(cpu=0.1)}
    place.settle(place.want(place.version("one"), replicas=4, **spec))
    place.settle(place.want(place.version("one"), autoscale=Autoscale(1, 9), **spec))
    assert replicas(rig) == 4
    fixed = place.want(place.version("one"), replicas=2, **spec)
    assert place.runtime.plan(fixed).conflicts == ()
    assert place.settle(fixed).ready == 2


# -- looking --------------------------------------------------------------------------------------------------------


def test_a_hand_edit_is_drift_and_is_left_as_it_is(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.deploy("one")
    assert place.runtime.advance(wanted).drift == ()
    rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 3}})
    rig.faults.edit("services", "shop-test", "shop", {"spec": {"selector": {"app": "evil"}}})
    seen = until(lambda: (s := place.runtime.advance(wanted)).ready == 3 and s)
    assert [str(one) for one in seen.drift] == [
        "Service “shop” was changed in the cluster: spec.selector.app is evil instead of –.",
        "Deployment “shop” was changed in the cluster: spec.replicas is 3 instead of 2.",
    ]
    assert replicas(rig) == 3


def test_a_roll_out_undone_by_hand_is_told_and_not_waited_for(rig: Rig, place: KubernetesPlace) -> None:
    first = place.deploy("one")
    old = copy.deepcopy(rig.get("deployments", "shop-test", "shop"))
    wanted = place.deploy("two")
    assert old is not None
    # As `kubectl rollout undo` does: the template, and the annotations that the ReplicaSet had kept.
    notes = {k: v for k, v in old["metadata"]["annotations"].items() if k.startswith(names.PREFIX)}
    rig.faults.edit("deployments", "shop-test", "shop", {"metadata": {"annotations": notes}, "spec": {"template": old["spec"]["template"]}}, "kubectl-rollout")  # fmt: skip
    seen = until(lambda: (s := place.runtime.advance(wanted)).serving_digests == {first.artifact.digest} and s)
    assert not seen.settled
    assert str(seen.drift[0]) == "Its Deployment was turned back to an earlier state in the cluster."
    assert any("image is" in str(one) for one in seen.drift)


@pytest.mark.parametrize("reader", [None, nobody])
def test_what_is_gone_is_told_as_gone(rig: Rig, reader: Any) -> None:
    place = place_on(rig, reader=reader)
    wanted = place.deploy("one")
    rig.faults.delete_namespace("shop-test")
    seen = until(lambda: (s := place.runtime.advance(wanted)).state == "absent" and s)
    assert seen.failure is not None
    assert seen.failure.code == "gone"
    with pytest.raises(Rejected) as refusal:
        until(lambda: place.runtime.apply(wanted))
    assert refusal.value.code == "no_namespace"


def test_rows_that_are_behind_are_asked_about_and_rows_that_are_old_are_not_believed(rig: Rig) -> None:
    kept: list[Any] = [[], 0.0]
    place = place_on(rig, reader=lambda _: (kept[0], kept[1]))
    wanted = place.want(place.version("one"))
    place.runtime.apply(wanted)
    assert place.runtime.advance(wanted).state != "absent", "it was applied a moment ago"
    rig.rolled_out("shop-test", "shop")
    until(lambda: place.runtime.advance(wanted).settled)
    kept[0] = watched(rig)(place.service.key)[0]
    assert place.runtime.advance(wanted).settled
    rig.faults.go_away()
    assert place.runtime.advance(wanted).settled, "fresh rows need no server"
    kept[1] = 60.0
    place.runtime._seer.forget(place.service)
    with pytest.raises(Unavailable):
        place.runtime.advance(wanted)


def test_the_main_container_beside_a_sidecar_is_the_one_that_is_pinned_and_listened_to(rig: Rig) -> None:
    place = place_on(rig)
    base = BASE.replace(
        "name: web\n        image", "name: proxy\n        image: proxy:v1\n      - name: shop\n        image"
    )
    rig.image("proxy:v1", lines=("proxying",))
    wanted = place.want(place.version("one"), base=base)
    assert place.settle(wanted).green(wanted.artifact.digest)
    assert {one.containers for one in place.instances().instances} == {("shop", "proxy")}
    lines = place.runtime.logs(place.service, LogQuery()).lines
    assert {(line.container, line.data) for line in lines} == {("shop", b"serving one\n")}
    other = place.runtime.logs(place.service, LogQuery(container="proxy")).lines
    assert {line.data for line in other} == {b"proxying\n"}


def test_a_tag_without_a_digest_is_deployed_and_what_was_pulled_is_told(rig: Rig, place: KubernetesPlace) -> None:
    rig.image("registry.example/team/shop:one")
    rig.tag("registry.example/team/shop:one", "sha256:" + "7" * 64)
    seen = place.settle(place.want(Artifact("", image="registry.example/team/shop:one")))
    assert (seen.settled, seen.serving_digests) == (True, {"sha256:" + "7" * 64})


# -- failing --------------------------------------------------------------------------------------------------------


def broken(rig: Rig, place: KubernetesPlace, name: str, **behaviour: Any) -> Any:
    place.deploy("one", start_deadline_s=2.0)
    artifact = place.version(name)
    place.behave(name, **behaviour)
    seen = place.settle(place.want(artifact, start_deadline_s=2.0))
    assert seen.failure is not None
    assert seen.state == "failed"
    assert place.answers() == {"one"}, "the old version keeps serving"
    return seen.failure


def test_an_image_that_cannot_be_pulled_ends_it_with_the_node_s_words(rig: Rig, place: KubernetesPlace) -> None:
    failure = broken(rig, place, "two", exists=False, pull_error="registry.example/team/shop:two: not found")
    assert failure.code == "image_pull"
    assert "cannot be pulled" in str(failure.sentence)
    assert "not found" in failure.evidence


def test_a_check_that_never_passes_ends_it_at_the_deadline_with_what_it_said(rig: Rig, place: KubernetesPlace) -> None:
    failure = broken(
        rig, place, "two", ready=False, probe="HTTP probe failed with statuscode: 503", lines=("no database",)
    )
    assert failure.code == "probe_failing"
    assert str(failure.sentence) == "Its readiness check fails: HTTP probe failed with statuscode: 503"
    assert "no database" in failure.evidence


def test_memory_that_runs_out_is_told_as_such(rig: Rig, place: KubernetesPlace) -> None:
    failure = broken(rig, place, "two", exit_code=137, reason="OOMKilled", lines=("allocating",))
    assert "used more memory than it may (exit code 137)" in str(failure.sentence)
    assert "allocating" in failure.evidence


def test_pods_that_no_node_has_room_for_are_told_by_resource(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one", start_deadline_s=2.0)
    seen = place.settle(place.want(place.version("two"), start_deadline_s=2.0, resources=Resources(cpu=500.0)))
    assert seen.failure is not None
    assert (seen.failure.code, str(seen.failure.sentence)) == (
        "unschedulable",
        "No node has room for it: too little cpu.",
    )


def test_a_quota_and_a_webhook_are_told_by_their_own_words(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    rig.faults.deny("no shops on Friday", "Deployment")
    with pytest.raises(Rejected, match=r"An admission webhook refused it: .*no shops on Friday") as refusal:
        place.runtime.apply(place.want(place.version("two")))
    assert refusal.value.code == "webhook_denied"
    rig.faults.allow()
    rig.faults.deny("no pods on Friday", "Pod")
    seen = place.settle(place.want(place.version("three")))
    assert seen.failure is not None
    assert seen.failure.code == "webhook_denied"
    assert "no pods on Friday" in str(seen.failure.sentence)
    rig.faults.allow()
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
    rig.create("resourcequotas", "shop-test", quota)
    full = place.settle(place.want(place.version("four")))
    assert full.failure is not None
    assert full.failure.code == "quota"


# -- the server's own troubles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, AppError, "does not accept the connection's token"),
        (403, Rejected, "may not do this"),
        (429, Unavailable, "overloaded or not ready (429)"),
        (500, Unavailable, "overloaded or not ready (500)"),
        (503, Unavailable, "overloaded or not ready (503)"),
    ],
)
def test_each_refusal_of_the_server_is_our_own_error(
    rig: Rig, place: KubernetesPlace, status: int, error: type[AppError], says: str
) -> None:
    wanted = place.deploy("one")
    fresh = place_on(rig, reader=nobody, service=place.service)
    for verb in (
        lambda: fresh.runtime.plan(wanted), lambda: fresh.runtime.apply(wanted), lambda: fresh.runtime.advance(wanted),
        lambda: fresh.runtime.observe(fresh.service), lambda: fresh.runtime.remove(fresh.service),
        lambda: fresh.runtime.removal(fresh.service),
    ):  # fmt: skip
        with rig.faults.status(status), pytest.raises(error) as refusal:
            verb()
        assert isinstance(refusal.value, Rejected | Unavailable)
        assert says in str(refusal.value.sentence)
    assert place.instances().settled, "nothing was done"


def test_a_token_that_ran_out_in_the_middle_of_a_change_is_waited_for_and_told_to_who_plans(rig: Rig) -> None:
    place = place_on(rig, reader=nobody)
    wanted = place.deploy("one")
    rig.faults.status(401)
    with pytest.raises(Rejected):
        place.runtime.plan(wanted)
    place.runtime._seer.forget(place.service)
    for verb in (place.runtime.apply, place.runtime.advance):
        with pytest.raises(Unavailable, match="does not accept the connection's token") as refusal:
            verb(wanted)
        assert refusal.value.code == "unauthorized"
    with pytest.raises(Unavailable):
        place.runtime.remove(place.service)


def test_a_server_that_is_away_is_away(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.deploy("one")
    fresh = place_on(rig, reader=nobody, service=place.service)
    rig.faults.go_away()
    for verb in (fresh.runtime.plan, fresh.runtime.apply, fresh.runtime.advance):
        with pytest.raises(Unavailable, match="The API server does not answer"):
            verb(wanted)
    for verb in (fresh.runtime.observe, fresh.runtime.remove):
        with pytest.raises(Unavailable):
            verb(place.service)


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_namespace_that_is_not_there_is_named(rig: Rig, verb: str) -> None:
    place = place_on(rig)
    wanted = replace(place.want(place.version("one")), placement={"namespace": "nowhere"})
    with pytest.raises(Rejected, match="The cluster has no namespace “nowhere”") as refusal:
        getattr(place.runtime, verb)(wanted)
    assert refusal.value.code == "no_namespace"


def test_a_machine_without_a_namespace_is_refused(place: KubernetesPlace) -> None:
    with pytest.raises(Invalid, match="The machine “here” names no namespace"):
        place.runtime.plan(replace(place.want(place.version("one")), placement={}))


def test_a_field_that_kubernetes_does_not_know_is_refused_by_name(place: KubernetesPlace) -> None:
    base = BASE.replace("spec:\n  selector", "spec:\n  replicaz: 3\n  selector")
    with pytest.raises(Invalid, match=r"\.spec\.replicaz"):
        place.runtime.plan(place.want(place.version("one"), base=base))


# -- removing, and an account with few rights -----------------------------------------------------------------------


def test_everything_is_removed_and_named_before(rig: Rig, place: KubernetesPlace) -> None:
    place.settle(
        place.want(
            place.version("one"), secrets={"A": "b"}, files=(ConfigFile("a", "b"),), resources=Resources(cpu=0.1),
            autoscale=Autoscale(2, 3), pull=PullSecret("h", "u", "p"),
        )
    )  # fmt: skip
    rig.create("configmaps", "shop-test", {"metadata": {"name": "of-somebody-else"}})
    named = place.runtime.removal(place.service)
    assert {one.partition("/")[0] for one in named} == {
        "Secret", "ConfigMap", "Service", "Deployment", "HorizontalPodAutoscaler",
    }  # fmt: skip
    until(lambda: place.runtime.remove(place.service).state == "absent")
    assert set(objects(rig)) == {"configmaps/of-somebody-else"}
    assert rig.pods("shop-test") == []
    assert place.runtime.removal(place.service) == ()


@pytest.mark.parametrize("reader", [None, nobody])
def test_an_account_of_one_namespace_suffices(rig: Rig, reader: Any) -> None:
    rig.user("narrow", LEAST)
    place = place_on(rig, user="narrow", reader=reader)
    wanted = place.deploy("one")
    assert not place.runtime.plan(wanted).changed
    assert place.instances().settled
    assert place.answers() == {"one"}
    assert place.runtime.logs(place.service, LogQuery()).lines
    until(lambda: place.runtime.remove(place.service).state == "absent")
    assert rig.get("deployments", "shop-test", "shop") is None


def test_what_cannot_be_looked_for_is_not_said_to_be_gone(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    rig.user("blind", Rule(("list",), ("services",), namespaces=("shop-test",)))
    blind = place_on(rig, user="blind", service=place.service)
    with pytest.raises(Rejected):
        blind.runtime.remove(place.service)
    nowhere = ServiceRef(place.service.key)
    with pytest.raises(Rejected):
        place_on(rig, user="blind", reader=nobody).runtime.remove(nowhere)


# -- old servers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minor", "sleeps"), [("27", False), ("29+", False), ("30", True), ("35", True), ("", True)])
def test_an_old_server_is_told_to_wait_by_the_image_s_own_sleep(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, minor: str, sleeps: bool
) -> None:
    place = place_on(rig)
    answered = 0

    def call(method: str, path: str, **options: Any) -> Any:
        nonlocal answered
        answered += path == "/version"
        return {"major": "1", "minor": minor} if path == "/version" else type(api).call(api, method, path, **options)

    api = place.runtime._api
    monkeypatch.setattr(api, "call", call)
    wanted = place.want(place.version("one"), drain_s=1.0)
    place.settle(wanted)
    place.runtime.plan(wanted)
    assert answered == 1, "once in a while is enough"
    item = rig.get("deployments", "shop-test", "shop")
    assert item is not None
    hook = item["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]
    assert hook == ({"sleep": {"seconds": 1}} if sleeps else {"exec": {"command": ["sleep", "1"]}})
