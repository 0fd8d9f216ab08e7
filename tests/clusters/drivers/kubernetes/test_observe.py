"""How far a service is: recorded roll-outs event by event, and everything that must not be taken for done."""

from __future__ import annotations

import pytest

from clusters.drivers.runtime.base import CANARY, ServiceRef
from clusters.drivers.runtime.kubernetes import names, observe
from clusters.drivers.runtime.kubernetes.observe import Sight, refuse_older, sort_out
from fangduoduo_release.common.errors import Conflict
from tests.clusters.drivers.kubernetes.goals import ONE, SERVICE, TWO, goal, recorded
from tests.clusters.drivers.kubernetes.roll_outs import (
    at_revision,
    found,
    looping,
    rolled,
    seen,
    sets,
    status_of,
    timed_out,
)
from tests.clusters.drivers.kubernetes.scene import (
    DIGEST,
    Item,
    deployment,
    ended,
    ours,
    pod,
    waiting,
)  # fmt: skip


@pytest.fixture
def two() -> Item:
    """The Deployment at the end of its recorded rolling update, at revision 2."""
    return deployment()


# -- recorded roll-outs ---------------------------------------------------------------------------------------------


def kubectl_says_done(item: Item) -> bool:
    """As `kubectl rollout status` judges a Deployment."""
    status, spec = item["status"], item["spec"]
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    return bool(
        item["metadata"]["generation"] <= status.get("observedGeneration", 0)
        and updated >= spec["replicas"] and total <= updated and status.get("availableReplicas", 0) >= updated
    )  # fmt: skip


def test_a_recorded_rolling_update_is_done_at_its_end_and_never_before() -> None:
    old, new, _ = sets()
    events = [ours(one["object"]) for one in recorded("watch-deployment-rolling-update")]
    assert len(events) == 8
    for number, item in enumerate(events):
        status = item["status"]
        updated = status.get("updatedReplicas", 0) if status["observedGeneration"] == 2 else 0
        ready = updated - status.get("unavailableReplicas", 0)
        fresh = [pod(new, str(n), ready=n < max(0, ready)) for n in range(updated)]
        stale = [pod(old, str(n)) for n in range(status["replicas"] - updated)]
        told = seen(item, *sets(), *fresh, *stale)
        last = number == len(events) - 1
        assert told.settled is last is kubectl_says_done(item), number
        assert told.failure is None
        assert told.total == 2
        assert sum(1 for one in told.instances if one.ready) >= 2, "somebody serves at every moment"
        assert (told.doing is None) is last
        assert told.state == ("ready" if last else "converging")


def test_pods_of_a_recorded_roll_out_count_one_by_one() -> None:
    """The Deployment's own word is that all is done from the beginning: the pods decide."""
    new = sets()[2]
    item = at_revision(deployment("watch-deployment-rolling-update"), new)
    settled = []
    known: dict[str, Item] = {}
    for one in recorded("watch-pods-rolling-update"):
        if one["type"] == "BOOKMARK":
            continue
        known[one["object"]["metadata"]["uid"]] = ours({"kind": "Pod", **one["object"]})
        if one["type"] == "DELETED":
            del known[one["object"]["metadata"]["uid"]]
        new_ready = [p for p in known.values() if p["metadata"]["ownerReferences"][0]["uid"] == new["metadata"]["uid"]]
        ready = [
            p
            for p in new_ready
            if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))
        ]
        told = seen(item, *sets(), *known.values())
        settled.append(told.settled)
        assert told.ready == len(ready)
        assert {i.name for i in told.instances if i.current} == {p["metadata"]["name"] for p in new_ready}
        assert told.settled is (len(ready) == 2)
    assert settled.index(True) == 12, "when the second new pod is ready; those that are leaving do not count"
    assert all(settled[12:])
    assert told.serving_digests == {DIGEST}


def test_the_recorded_failed_roll_out_fails_at_its_deadline_with_what_the_pod_says() -> None:
    events = [ours(one["object"]) for one in recorded("watch-deployment-failed-rollout")]
    old = sets()[2]
    for number, item in enumerate(events):
        item["metadata"]["annotations"].setdefault(observe.REVISION, "4")
        new = {**sets()[2], "metadata": {**sets()[2]["metadata"], "uid": "new", "name": "hello-5dbbd6fb76"}}
        new["metadata"]["annotations"] = {observe.REVISION: "4"}
        new["spec"] = {**new["spec"], "template": item["spec"]["template"]}
        crashed = pod(new, "x")
        waiting(crashed, "CrashLoopBackOff", restartCount=1, lastState=ended(code=3, message="fatal"))
        there = [pod(old, "a"), pod(old, "b"), *([crashed] if number > 2 else [])]
        told = found(item, *sets(), new, *there)
        assert not told.observed.settled
        late = number == len(events) - 1
        assert (told.observed.failure is not None) is late
        assert sum(1 for one in told.observed.instances if one.ready) == 2, "the old ones serve"
    assert told.observed.failure is not None
    assert (told.observed.failure.code, told.observed.failure.exit_code) == ("crash_loop", 3)
    assert (told.culprit, told.observed.state) == (crashed["metadata"]["name"], "failed")


def test_a_deadline_without_any_word_of_a_pod_says_just_that(two: Item) -> None:
    timed_out(two, sets()[1])
    status_of(two, updatedReplicas=1, replicas=3)
    told = seen(two, *sets(), pod(sets()[0], "a"), pod(sets()[0], "b"))
    assert told.failure is not None
    assert told.failure.code == "deadline"
    assert str(told.failure.sentence) == "It made no progress for as long as a start may take."
    assert "timed out progressing" in told.failure.evidence


def test_the_recorded_crash_and_the_recorded_image_that_cannot_be_pulled_are_told_by_code(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    new = sets()[1]
    stuck = pod(new, "x")
    waiting(stuck, "ErrImagePull", "rig.local/app:v9: not found", image="rig.local/app:v9")
    for bad, code in ((stuck, "image_pull"), (looping(new), "crash_loop")):
        told = found(two, *sets(), bad, pod(sets()[0], "a"), pod(sets()[0], "b"))
        assert told.observed.failure is not None
        assert told.observed.failure.code == code
        assert told.culprit == bad["metadata"]["name"]


# -- what must not be taken for done --------------------------------------------------------------------------------


def test_all_is_done_when_every_pod_that_serves_is_of_the_newest_template(two: Item) -> None:
    told = seen(*rolled(two))
    assert (told.settled, told.state, told.ready, told.total, told.generation) == (True, "ready", 2, 2, 2)
    assert told.green(DIGEST)
    assert not told.green(ONE)


def test_a_status_of_an_older_spec_says_nothing(two: Item) -> None:
    two["metadata"]["generation"] = 3
    told = seen(*rolled(two))
    assert (told.settled, told.state, told.failure) == (False, "converging", None)
    assert not any(one.current for one in told.instances), "nobody knows yet which are"
    timed_out(two, sets()[1])
    assert seen(*rolled(two)).failure is None, "the deadline was that of an older spec"


def test_pods_that_were_seen_before_their_deployment_was_are_not_enough(two: Item) -> None:
    told = seen(two, *sets(), pod(sets()[0], "a"), pod(sets()[0], "b"))
    assert not told.settled, "the Deployment says it is done; rows of pods are older"
    assert not seen(two, *sets(), pod(sets()[1], "a"), pod(sets()[1], "b"), pod(sets()[0], "c")).settled


def test_pods_that_leave_do_not_count_and_do_not_hinder(two: Item) -> None:
    told = seen(*rolled(two), pod(sets()[0], "gone", leaving=True))
    assert told.settled
    assert [one.state for one in told.instances].count("stopping") == 1
    assert told.green(DIGEST)


def test_an_evicted_pod_does_not_hinder_either(two: Item) -> None:
    dead = pod(sets()[1], "dead")
    dead["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    told = seen(*rolled(two), dead)
    assert told.settled
    assert told.green(DIGEST)


def test_a_dead_pod_is_not_the_one_that_explains_while_another_does(two: Item) -> None:
    dead = pod(sets()[1], "a-dead")
    dead["status"] = {"phase": "Failed", "reason": "Evicted", "message": "low"}
    status_of(two, availableReplicas=1)
    assert found(two, *sets(), dead, looping(sets()[1])).culprit.endswith("loop")


@pytest.mark.parametrize("revision", [None, "77"])
def test_an_unknown_revision_is_not_done(two: Item, revision: str | None) -> None:
    two["metadata"]["annotations"].pop(observe.REVISION)
    if revision:
        two["metadata"]["annotations"][observe.REVISION] = revision
    assert not seen(*rolled(two)).settled


def test_without_its_replicasets_nothing_is_done(two: Item) -> None:
    told = seen(two, pod(sets()[1], "a"), pod(sets()[1], "b"))
    assert (told.settled, told.instances) == (False, ())


def test_paused_is_told_and_not_done(two: Item) -> None:
    two["spec"]["paused"] = True
    status_of(two, updatedReplicas=1, replicas=3)
    told = seen(two, *sets(), pod(sets()[1], "a"), pod(sets()[0], "b"), pod(sets()[0], "c"))
    assert (told.settled, told.state, told.failure) == (False, "converging", None)
    assert str(told.doing) == "Paused: 1 of 2 are new."


def test_scaled_to_nothing_is_done_and_stopped(two: Item) -> None:
    two["spec"]["replicas"] = 0
    for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
        two["status"].pop(key)
    told = seen(two, *sets())
    assert (told.settled, told.state, told.ready, told.total) == (True, "stopped", 0, 0)


def before_it_begins(two: Item) -> tuple[Item, Item]:
    """The template and the number changed at once: the controller has brought the pods of before to the new number, and
    says so, and has made no ReplicaSet yet (as a Kubernetes 1.20 told it in a watch)."""
    old, newest, _ = sets()
    two["metadata"]["annotations"][observe.REVISION] = old["metadata"]["annotations"][observe.REVISION]
    assert two["status"]["observedGeneration"] == two["metadata"]["generation"]
    assert two["spec"]["template"]["spec"] == newest["spec"]["template"]["spec"]
    del two["status"]["updatedReplicas"]
    return two, old


def test_a_template_that_the_controller_has_not_begun_with_is_not_judged_by_the_pods_of_before(two: Item) -> None:
    two, old = before_it_begins(two)
    loops = waiting(pod(old, "a"), "CrashLoopBackOff", restartCount=7, lastState=ended(code=3))
    timed_out(two, old)
    told = seen(two, old, loops, pod(old, "b"))
    assert (told.failure, told.settled, told.state) == (None, False, "converging")
    assert (told.ready, {one.current for one in told.instances}) == (0, {False})
    assert str(told.doing) == "0 of 2 ready."


def test_a_service_that_comes_back_from_nothing_or_is_paused_at_once_has_nothing_new_yet(two: Item) -> None:
    two, old = before_it_begins(two)
    two["spec"]["paused"] = True
    assert str(seen(two, old, pod(old, "a"), pod(old, "b")).doing) == "Paused: 0 of 2 are new."
    two["spec"] |= {"paused": False, "replicas": 0}
    for key in ("replicas", "readyReplicas", "availableReplicas"):
        two["status"].pop(key)
    assert not seen(two, old).settled


def test_a_number_that_an_autoscaler_set_is_the_number(two: Item) -> None:
    two["spec"]["replicas"] = 3
    status_of(two, replicas=3, updatedReplicas=3, readyReplicas=3, availableReplicas=3)
    told = seen(*rolled(two), pod(sets()[1], "c"))
    assert (told.settled, told.ready, told.total) == (True, 3, 3)


def test_what_was_lost_since_is_degraded_and_what_is_all_lost_has_failed(two: Item) -> None:
    status_of(two, readyReplicas=1, availableReplicas=1)
    one, other = pod(sets()[1], "a"), pod(sets()[1], "b", ready=False)
    assert seen(two, *sets(), one, other).state == "degraded"
    assert seen(two, *sets(), pod(sets()[1], "a", ready=False), other).state == "failed"


def test_a_deployment_that_is_going_is_being_removed(two: Item) -> None:
    two["metadata"]["deletionTimestamp"] = "2026-11-23T08:25:00Z"
    status_of(two, replicas=1)
    assert seen(*rolled(two)).state == "removing"


def test_old_instances_that_are_left_are_counted_in_words(two: Item) -> None:
    status_of(two, replicas=3)
    told = seen(*rolled(two), pod(sets()[0], "old"))
    assert str(told.doing) == "The old instances are being taken away: 1 left."


# -- whose is what --------------------------------------------------------------------------------------------------


def test_nothing_is_absent() -> None:
    told = seen()
    assert (told.state, told.settled, told.generation) == ("absent", False, 0)


def test_objects_of_others_are_not_ours(two: Item) -> None:
    stranger = pod(sets()[1], "stranger")
    stranger["metadata"]["labels"][names.SERVICE] = "somebody"
    orphan = pod(sets()[1], "orphan")
    orphan["metadata"]["ownerReferences"] = []
    alien = pod(sets()[1], "alien")
    alien["metadata"]["ownerReferences"][0]["uid"] = "of another ReplicaSet"
    assert [one.name for one in seen(*rolled(two), stranger, orphan, alien).instances] == [
        "hello-5c84ff54d7-a", "hello-5c84ff54d7-b",
    ]  # fmt: skip


def test_the_stable_group_and_the_canary_are_two(two: Item) -> None:
    assert sort_out(rolled(two), ServiceRef(SERVICE.key, CANARY)) == Sight(None)


def test_a_second_deployment_of_the_manifest_is_not_taken_for_the_service(two: Item) -> None:
    worker = ours(two)
    worker["metadata"] |= {"name": "worker", "uid": "worker"}
    worker["spec"]["template"]["metadata"]["labels"] = {"app": "worker"}
    sight = sort_out([worker, *rolled(two)], SERVICE)
    assert sight.deployment is not None
    assert sight.deployment["metadata"]["name"] == "hello"
    assert sort_out([worker], SERVICE).deployment is None


@pytest.mark.parametrize(("note", "generation"), [("7", 7), ("", 0), ("x", 0), ("-1", 0), ("9" * 30, 0), ("٣", 3)])
def test_a_generation_that_is_none_is_none(two: Item, note: str, generation: int) -> None:
    two["metadata"]["annotations"][names.GENERATION] = note
    assert Sight(two).generation == generation


def test_an_older_goal_than_the_applied_one_is_refused() -> None:
    refuse_older(2, goal(generation=2))
    refuse_older(2, goal(generation=3))
    with pytest.raises(Conflict) as refusal:
        refuse_older(3, goal(generation=2))
    assert refusal.value.code == "superseded"


def test_the_whole_is_done_only_with_the_pinned_digest_on_every_pod(two: Item) -> None:
    pods = [pod(sets()[1], name) for name in "ab"]
    for one, digest in zip(pods, (ONE, TWO), strict=True):
        one["spec"]["containers"][0]["image"] = "rig.local/app:v3"
        one["status"]["containerStatuses"][0]["imageID"] = f"rig.local/app@{digest}"
    told = seen(two, *sets(), *pods)
    assert (told.settled, told.serving_digests) == (True, {ONE, TWO})
    assert not told.green(ONE)
