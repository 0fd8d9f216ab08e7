"""What the runtime sees of a simulated cluster, and what it makes of everything that goes wrong there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from clusters.drivers.runtime.base import Artifact, LogQuery, Observed, PullSecret, ServiceRef
from clusters.drivers.runtime.kubernetes import names
from clusters.drivers.runtime.kubernetes.lasting import QUOTA_S, Lasting
from clusters.drivers.runtime.kubernetes.pods import is_ready, statuses
from clusters.drivers.runtime.kubernetes.starting import Starting
from clusters.drivers.runtime.spec import FETCH_S, Autoscale, ConfigFile, Resources
from fangduoduo_release.common.errors import AppError, Invalid, Rejected, Unavailable
from tests.clusters.drivers.kubernetes.goals import BASE
from tests.clusters.drivers.kubernetes.places import KubernetesPlace, nobody, objects, place_on, replicas, watched
from tests.clusters.drivers.kubernetes.test_starting import Clock
from tests.simulators.kubernetes_rig import Rig, Rule
from tests.waiting import until

LEAST = Rule(
    ("get", "list", "watch", "create", "patch", "update", "delete"),
    (
        "deployments", "replicasets", "pods", "services", "configmaps", "secrets", "ingresses", "horizontalpodautoscalers",
        "events", "pods/log", "pods/exec",
    ),
    namespaces=("shop-test",),
)  # fmt: skip


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


@pytest.mark.parametrize("reader", [None, nobody])
def test_a_service_that_was_deleted_is_drift_before_all_else(rig: Rig, reader: Any) -> None:
    place = place_on(rig, reader=reader)
    wanted = place.deploy("one")
    rig.faults.edit("deployments", "shop-test", "shop", {"spec": {"replicas": 3}})
    rig.delete("services", "shop-test", "shop")
    place.runtime._seer.forget(place.service)
    seen = until(lambda: (s := place.runtime.advance(wanted)).settled and s.total == 3 and s)
    assert [str(one) for one in seen.drift] == [
        "Service “shop” is not in the cluster any more.",
        "Deployment “shop” was changed in the cluster: spec.replicas is 3 instead of 2.",
    ]
    again = replace(wanted, generation=wanted.generation + 1, take_over=True)
    place.settle(again)
    assert place.runtime.advance(again).drift == (), "the next deployment makes it anew"


def test_a_service_that_the_watch_has_not_seen_yet_is_not_said_to_be_gone(rig: Rig) -> None:
    everything = watched(rig)

    def behind(key: str) -> tuple[Sequence[dict[str, Any]], float | None]:
        found, age_s = everything(key)
        return [one for one in found if one["kind"] != "Service"], age_s

    place = place_on(rig, reader=behind)
    wanted = place.deploy("one")
    assert place.runtime.advance(wanted).drift == ()
    rig.faults.edit("services", "shop-test", "shop", {"metadata": {"labels": {names.SERVICE: "somebody"}}})
    assert place.runtime.advance(wanted).drift == (), "it is there still"
    rig.delete("services", "shop-test", "shop")
    assert place.runtime.advance(wanted).drift != ()
    for trouble in (403, 503):
        with rig.faults.status(trouble, "GET .*/services"):
            assert place.runtime.advance(wanted).drift == (), "nobody could look"


def test_what_is_there_is_not_asked_for_and_what_was_never_wanted_is_not_missed(
    rig: Rig, place: KubernetesPlace
) -> None:
    wanted = place.deploy("one")
    asked = rig.faults.latency(0.0, "GET .*/services/shop")
    assert place.runtime.advance(wanted).drift == ()
    rig.delete("services", "shop-test", "shop")
    base = place.deploy("two", base=BASE)
    goal = place.runtime._goal(base)
    assert [one["kind"] for one in goal if one["kind"] == "Service"] == []
    assert place.runtime.advance(base).drift == ()
    assert asked.hits == 0


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


def timed(place: KubernetesPlace) -> Clock:
    """How long starts take is told by this clock from now on."""
    clock = Clock()
    place.runtime._starting = Starting(clock)
    return clock


def broken(rig: Rig, place: KubernetesPlace, name: str, start_deadline_s: float = 60.0, **behaviour: Any) -> Any:
    place.deploy("one")
    artifact = place.version(name)
    place.behave(name, **behaviour)
    seen = place.settle(place.want(artifact, start_deadline_s=start_deadline_s))
    assert seen.failure is not None
    assert seen.state == "failed"
    assert place.answers() == {"one"}, "the old version keeps serving"
    return seen.failure


def test_an_image_that_cannot_be_pulled_ends_it_with_the_node_s_words(rig: Rig, place: KubernetesPlace) -> None:
    failure = broken(rig, place, "two", exists=False, pull_error="registry.example/team/shop:two: not found")
    assert failure.code == "image_pull"
    assert "cannot be pulled" in str(failure.sentence)
    assert "not found" in failure.evidence


def test_a_registry_that_is_busy_is_waited_for_and_not_for_ever(rig: Rig, place: KubernetesPlace) -> None:
    clock = Clock()
    place.runtime._lasting = Lasting(clock)
    place.deploy("one")
    artifact = place.version("two")
    place.behave("two", exists=False, pull_error="unexpected status: 429 Too Many Requests")
    wanted = place.want(artifact)
    place.runtime.apply(wanted)
    busy = until(lambda: (s := place.runtime.advance(wanted)) and "cannot be pulled" in str(s.doing) and s)
    assert (busy.failure, busy.state) == (None, "converging")
    clock.now += FETCH_S + 1
    late = place.runtime.advance(wanted)
    assert late.failure is not None
    assert late.failure.code == "image_pull"
    assert place.instances().state == "failed", "whoever only looks is told the same"
    place.behave("two")
    assert until(lambda: (s := place.runtime.advance(wanted)).settled and s).failure is None


def test_a_check_that_never_passes_ends_it_at_the_deadline_with_what_it_said(rig: Rig, place: KubernetesPlace) -> None:
    failure = broken(
        rig, place, "two", 2.0, ready=False, probe="HTTP probe failed with statuscode: 503", lines=("no database",)
    )
    assert failure.code == "probe_failing"
    assert str(failure.sentence) == "Its readiness check fails: HTTP probe failed with statuscode: 503"
    assert "no database" in failure.evidence


def test_an_image_that_takes_longer_to_fetch_than_a_start_may_take_is_waited_for(
    rig: Rig, place: KubernetesPlace
) -> None:
    clock = timed(place)
    place.deploy("one", start_deadline_s=1.0)
    rig.pace.start = 0.5
    wanted = place.want(place.version("two"), start_deadline_s=1.0)
    place.runtime.apply(wanted)
    waited = 0.0

    def over() -> Observed | None:
        """It is always much later by our clock, unless some container runs that is not ready yet."""
        nonlocal waited
        late = [pod for pod in rig.pods("shop-test") if not is_ready(pod)]
        if late and not any("running" in one["state"] for pod in late for one in statuses(pod)):
            waited += 2.5
            clock.now += 2.5
        found = place.runtime.advance(wanted)
        return found if found.settled or found.failure else None

    seen = until(over, every=0.1)
    assert (seen.settled, seen.failure) == (True, None)
    assert waited > 1.0
    assert place.answers() == {"two"}


def test_memory_that_runs_out_is_told_as_such(rig: Rig, place: KubernetesPlace) -> None:
    failure = broken(rig, place, "two", exit_code=137, reason="OOMKilled", lines=("allocating",))
    assert "used more memory than it may (exit code 137)" in str(failure.sentence)
    assert "allocating" in failure.evidence


def test_pods_that_no_node_has_room_for_are_told_by_resource(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    rig.pace.second = 0.01  # four minutes for a node that may yet be made are two seconds
    seen = place.settle(place.want(place.version("two"), start_deadline_s=2.0, resources=Resources(cpu=500.0)))
    assert seen.failure is not None
    assert (seen.failure.code, str(seen.failure.sentence)) == (
        "unschedulable",
        "No node has room for it: too little cpu.",
    )


def test_pods_that_wait_for_a_node_that_is_made_get_their_time_from_then(rig: Rig, place: KubernetesPlace) -> None:
    clock = timed(place)
    place.deploy("one", start_deadline_s=0.5)
    wanted = place.want(place.version("two"), start_deadline_s=0.5, resources=Resources(cpu=500.0))
    place.runtime.apply(wanted)
    said = "No node has room for it: too little cpu."
    until(lambda: str(place.runtime.advance(wanted).doing) == said)
    clock.now += 1.5
    waiting = place.runtime.advance(wanted)
    assert (waiting.failure, waiting.state, str(waiting.doing)) == (None, "converging", said)
    rig.node("large", cpu="2000")
    assert until(lambda: (s := place.runtime.advance(wanted)).settled and s).failure is None


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
    clock = Clock()
    place.runtime._lasting = Lasting(clock)
    wanted = place.want(place.version("four"))
    place.runtime.apply(wanted)
    told = until(lambda: (s := place.runtime.advance(wanted)) and "quota is used up" in str(s.doing) and s)
    assert (told.failure, told.state) == (None, "converging")
    clock.now += QUOTA_S + 1
    full = place.runtime.advance(wanted)
    assert full.failure is not None
    assert full.failure.code == "quota"


def test_a_quota_that_pods_on_their_way_out_will_free_fails_nothing(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    rig.create("resourcequotas", "shop-test", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "3"}}})
    rig.pace.stop = rig.pace.second = 3600  # what is asked to end stays for as long as the test looks
    wanted = place.want(place.version("two"))
    place.runtime.apply(wanted)
    said: set[str] = set()

    def over() -> Observed | None:
        seen = place.runtime.advance(wanted)
        said.add(str(seen.doing).partition(":")[0])
        if "The namespace's quota is used up" in said:
            for pod in rig.all("pods", "shop-test"):
                if "deletionTimestamp" in pod["metadata"]:
                    rig.delete("pods", "shop-test", pod["metadata"]["name"], gracePeriodSeconds=0)
        return seen if seen.settled or seen.failure else None

    done = until(over, every=0.02)
    assert (done.settled, done.failure) == (True, None)
    assert "The namespace's quota is used up" in said, "it was in the way, and it was told"
    assert place.answers() == {"two"}


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


def test_an_amount_that_is_none_is_refused_and_not_waited_for(place: KubernetesPlace) -> None:
    base = f"{BASE.rstrip()}\n        resources: {{limits: {{cpu: much}}}}\n"
    for verb in (place.runtime.plan, place.runtime.apply):
        with pytest.raises(Invalid, match="quantities must match"):
            verb(place.want(place.version("one"), base=base))


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


def test_an_account_that_reads_no_events_still_follows_a_roll_out(rig: Rig) -> None:
    rig.user("eventless", replace(LEAST, resources=tuple(one for one in LEAST.resources if one != "events")))
    place = place_on(rig, user="eventless", reader=nobody)
    artifact = place.version("one")
    place.behave("one", ready=False)
    wanted = place.want(artifact)
    place.runtime.apply(wanted)
    until(lambda: rig.pods("shop-test"))
    place.runtime._seer.forget(place.service)
    assert place.runtime.advance(wanted).state == "converging"


def test_of_what_is_not_wanted_fresh_rows_are_believed_without_asking_the_server(rig: Rig) -> None:
    place = place_on(rig, reader=lambda _: ((), 0.0))
    rig.faults.go_away()
    assert place.runtime.observe(place.service).state == "absent"


def test_a_roll_out_undone_by_hand_costs_one_look_and_not_two(rig: Rig, place: KubernetesPlace) -> None:
    wanted = replace(place.deploy("one"), generation=99)
    looks = rig.faults.latency(0.0, "GET .*/deployments")
    assert "turned back" in str(place.runtime.advance(wanted).doing)
    assert looks.hits == 1


def test_what_cannot_be_looked_for_is_not_said_to_be_gone(rig: Rig, place: KubernetesPlace) -> None:
    place.deploy("one")
    rig.user("blind", Rule(("list",), ("services",), namespaces=("shop-test",)))
    blind = place_on(rig, user="blind", service=place.service)
    with pytest.raises(Rejected):
        blind.runtime.remove(place.service)
    nowhere = ServiceRef(place.service.key)
    with pytest.raises(Rejected):
        place_on(rig, user="blind", reader=nobody).runtime.remove(nowhere)
