"""Why a roll-out will not come up: what ends it, at once or when it has lasted, and what is another's failure."""

from __future__ import annotations

import pytest

from clusters.drivers.runtime.kubernetes import observe
from clusters.drivers.runtime.kubernetes.lasting import Waited
from clusters.drivers.runtime.kubernetes.observe import look, sort_out
from tests.clusters.drivers.kubernetes.goals import SERVICE
from tests.clusters.drivers.kubernetes.roll_outs import (
    IMAGE,
    at_revision,
    condition,
    found,
    looping,
    seen,
    sets,
    status_of,
    timed_out,
)
from tests.clusters.drivers.kubernetes.scene import NOW, Item, deployment, event, pod, waiting


@pytest.fixture
def two() -> Item:
    """The Deployment at the end of its recorded rolling update, at revision 2."""
    return deployment()


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        ('admission webhook "p" denied the request: no', "webhook_denied", "An admission webhook refused its pods: "),
        ('pods "x" is forbidden: violates PodSecurity', "start_failed", "Its pods cannot be made: "),
        ('pods "x" is forbidden: maximum cpu usage per Container is 1', "start_failed", "Its pods cannot be made: "),
        ('pods "x" is forbidden: failed quota: q: must specify cpu', "start_failed", "Its pods cannot be made: "),
        ('Pod "x" is invalid: spec.containers[0]', "start_failed", "Its pods cannot be made: "),
    ],
)
def test_pods_that_the_server_will_never_take_end_it_at_once(two: Item, message: str, code: str, says: str) -> None:
    status_of(two, updatedReplicas=0)
    old, new, other = sets()
    condition(new, "ReplicaFailure", "True", "FailedCreate", message)
    told = seen(two, old, new, other, pod(old, "a"), pod(old, "b"))
    assert told.failure is not None
    assert (told.failure.code, told.failure.evidence) == (code, message)
    assert str(told.failure.sentence) == f"{says}{message}"


def test_a_quota_that_is_used_up_is_told_at_once_and_ends_it_when_it_has_lasted_or_time_is_up(two: Item) -> None:
    """Old pods that are on their way out are charged to it until they are gone."""
    message = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3'
    status_of(two, updatedReplicas=1)
    old, new, other = sets()
    condition(new, "ReplicaFailure", "True", "FailedCreate", message)
    there = (old, new, other, pod(old, "a", leaving=True), pod(old, "b"), pod(new, "a", ready=False))
    early = seen(two, *there)
    assert (early.failure, early.state) == (None, "converging")
    assert str(early.doing) == f"The namespace's quota is used up: {message}"
    full = Waited(refused=frozenset({new["metadata"]["uid"]}))
    lasted = look(sort_out((two, *there), SERVICE), SERVICE, IMAGE, NOW, full).observed
    late = seen(timed_out(two, new), *there)
    for told in (lasted, late):
        assert told.failure is not None
        assert (told.failure.code, told.failure.evidence, told.state) == ("quota", message, "failed")


def test_a_quota_that_another_template_filled_is_not_this_one_s_failure(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    old, new, other = sets()
    for one in (old, new):
        condition(one, "ReplicaFailure", "True", "FailedCreate", "exceeded quota")
    full = Waited(refused=frozenset({old["metadata"]["uid"]}))
    assert look(sort_out((two, old, new, other), SERVICE), SERVICE, IMAGE, NOW, full).observed.failure is None


def test_a_webhook_that_does_not_answer_may_yet_and_is_told_meanwhile(two: Item) -> None:
    message = 'Internal error occurred: failed calling webhook "p": connection refused'
    status_of(two, updatedReplicas=0)
    old, new, other = sets()
    condition(new, "ReplicaFailure", "True", "FailedCreate", message)
    there = (old, new, other, pod(old, "a"), pod(old, "b"))
    told = seen(two, *there)
    assert told.failure is None
    assert str(told.doing) == f"Its pods cannot be made: {message}"
    timed_out(two, sets()[1])
    late = seen(two, *there)
    assert late.failure is not None
    assert late.failure.code == "start_failed"


def test_what_was_refused_of_an_earlier_template_does_not_fail_this_one(two: Item) -> None:
    status_of(two, updatedReplicas=0)
    old, new, other = sets()
    for stale in (two, old):
        condition(stale, "ReplicaFailure", "True", "FailedCreate", "exceeded quota")
    assert seen(two, old, new, other, pod(old, "a"), pod(old, "b")).failure is None


def test_of_several_pods_the_one_that_is_lost_for_good_explains(two: Item) -> None:
    status_of(two, availableReplicas=0)
    starting = waiting(pod(sets()[1], "a"), "ErrImagePull", "timeout")
    told = found(two, *sets(), starting, looping(sets()[1], "z"))
    assert told.culprit.endswith("z")


def test_a_pull_that_has_failed_for_long_ends_it(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    bad = waiting(pod(sets()[1], "x"), "ImagePullBackOff", "Back-off pulling image")
    there = sort_out((two, *sets(), pod(sets()[0], "a"), pod(sets()[0], "b"), bad), SERVICE)
    early = look(there, SERVICE, IMAGE, NOW).observed
    assert (early.failure, early.state) == (None, "converging"), "however old the pod is"
    assert "cannot be pulled" in str(early.doing)
    late = look(there, SERVICE, IMAGE, NOW, Waited(stuck=frozenset({(bad["metadata"]["uid"], "app")}))).observed
    assert late.failure is not None
    assert late.failure.code == "image_pull"


def test_troubles_of_old_pods_do_not_fail_the_new_version(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    told = seen(two, *sets(), looping(sets()[0]), pod(sets()[0], "b"), pod(sets()[1], "a"))
    assert told.failure is None
    assert [one.reason is not None for one in told.instances].count(True) == 1, "but each says what it has"


def test_unschedulable_and_failing_checks_wait_for_the_deadline(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    new = pod(sets()[1], "x", ready=False)
    unhealthy = event(new, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    there = (*sets(), pod(sets()[0], "a"), pod(sets()[0], "b"), new, unhealthy)
    told = seen(two, *there)
    assert told.failure is None
    assert str(told.doing) == "Its readiness check fails: HTTP probe failed with statuscode: 503"
    timed_out(two, sets()[1])
    late = seen(two, *there)
    assert late.failure is not None
    assert (late.failure.code, late.failure.exit_code) == ("probe_failing", None)


def test_a_pod_that_should_be_ready_by_now_ends_it_with_what_its_check_says(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    new = pod(sets()[1], "x", ready=False)
    unhealthy = event(new, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    condition(two, "Progressing", "True", "ReplicaSetUpdated")
    there = (*sets(), pod(sets()[0], "a"), pod(sets()[0], "b"), new)
    late = seen(two, *there, unhealthy, overdue=[new])
    assert late.failure is not None
    assert late.failure.code == "probe_failing"
    silent = found(two, *there, overdue=[new])
    assert silent.observed.failure is not None
    assert silent.observed.failure.code == "not_ready"
    assert str(silent.observed.failure.sentence) == "It runs and does not get ready in the time that a start may take."
    assert silent.culprit == new["metadata"]["name"]


def test_old_pods_and_those_of_a_roll_out_that_is_over_or_held_are_never_too_late(two: Item) -> None:
    old, new = pod(sets()[0], "a", ready=False), pod(sets()[1], "x", ready=False)
    assert seen(two, *sets(), old, new, overdue=[old, new]).failure is None, "it was up in full before"
    status_of(two, updatedReplicas=1, replicas=3)
    condition(two, "Progressing", "True", "ReplicaSetUpdated")
    assert seen(two, *sets(), old, new, overdue=[old]).failure is None
    two["spec"]["paused"] = True
    assert seen(two, *sets(), old, new, overdue=[old, new]).failure is None


# -- a template that comes back ---------------------------------------------------------------------------------------


def back_to_an_earlier_one(two: Item) -> tuple[Item, Item]:
    """A rollback: there is a ReplicaSet of that template already, and the one of before loops and has timed out."""
    goal, before, _ = sets()
    at_revision(two, goal)
    goal["metadata"]["annotations"][observe.REVISION] = two["metadata"]["annotations"][observe.REVISION] = "3"
    assert two["status"]["observedGeneration"] == two["metadata"]["generation"]
    status_of(two, replicas=3, updatedReplicas=2, unavailableReplicas=1)
    return timed_out(two, before), goal


def test_the_pods_of_before_are_not_charged_to_a_template_that_comes_back(two: Item) -> None:
    """Its pods are counted first, and only then does the controller say which revision is the newest."""
    two, goal = back_to_an_earlier_one(two)
    before = sets()[1]
    two["metadata"]["annotations"][observe.REVISION] = before["metadata"]["annotations"][observe.REVISION]
    told = found(two, goal, before, looping(before), pod(goal, "a"), pod(goal, "b"))
    assert (told.observed.failure, told.observed.state, told.culprit) == (None, "converging", "")


def test_the_deadline_of_before_is_not_charged_to_a_template_that_comes_back(two: Item) -> None:
    two, goal = back_to_an_earlier_one(two)
    before = sets()[1]
    there = (goal, before, looping(before), pod(goal, "a"), pod(goal, "b", ready=False))
    told = seen(two, *there)
    assert (told.failure, told.state) == (None, "converging")
    late = seen(timed_out(two, goal), *there)
    assert late.failure is not None
    assert late.failure.code == "deadline"


def test_a_deadline_names_the_deployment_only_while_there_is_no_replicaset(two: Item) -> None:
    status_of(two, updatedReplicas=1, replicas=3)
    timed_out(two, two)
    alone = seen(two)
    assert alone.failure is not None
    assert alone.failure.code == "deadline"
    assert seen(two, *sets(), pod(sets()[1], "a")).failure is None, "it was said before there was one"
