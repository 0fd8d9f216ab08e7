"""How long a trouble that may pass is waited for: counted from when it was first seen, by one clock, ours."""

from __future__ import annotations

import copy

import pytest

from clusters.drivers.runtime.kubernetes.lasting import KEPT, PATIENCE_S, QUOTA_S, Lasting, Waited
from clusters.drivers.runtime.spec import FETCH_S
from tests.clusters.drivers.kubernetes.scene import Item, pod, replicasets, waiting
from tests.clusters.drivers.kubernetes.test_starting import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lasting(clock: Clock) -> Lasting:
    return Lasting(clock)


@pytest.fixture
def well() -> Item:
    return pod(replicasets()[1], "one")


def stuck(item: Item, name: str = "app") -> frozenset[tuple[str, str]]:
    return frozenset({(str(item["metadata"]["uid"]), name)})


NOBODY: frozenset[tuple[str, str]] = frozenset()


def test_one_try_that_failed_late_in_a_long_fetch_is_not_the_end(lasting: Lasting, clock: Clock, well: Item) -> None:
    well["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    busy = waiting(copy.deepcopy(well), "ErrImagePull", "429 Too Many Requests")
    assert lasting.stuck([busy]) == NOBODY
    clock.now += 30
    assert lasting.stuck([busy]) == NOBODY
    assert lasting.stuck([well]) == NOBODY


def test_a_fetch_that_fails_again_and_again_is_one_trouble(lasting: Lasting, clock: Clock, well: Item) -> None:
    for number in range(9):
        again = waiting(well, ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")[number % 3])
        assert lasting.stuck([again]) == NOBODY
        clock.now += FETCH_S / 8
    assert lasting.stuck([well]) == stuck(well)


def test_a_container_that_cannot_be_made_is_waited_for_less_long(lasting: Lasting, clock: Clock, well: Item) -> None:
    lasting.stuck([waiting(well, "CreateContainerError")])
    clock.now += PATIENCE_S["make"]
    assert lasting.stuck([waiting(well, "RunContainerError")]) == NOBODY
    clock.now += 1
    assert lasting.stuck([well]) == stuck(well)
    assert lasting.stuck([waiting(well, "ErrImagePull")]) == NOBODY, "another trouble has its own time"


def test_a_container_that_ran_in_between_begins_anew(lasting: Lasting, clock: Clock, well: Item) -> None:
    lasting.stuck([waiting(well, "ErrImagePull")])
    clock.now += FETCH_S + 1
    assert lasting.stuck([waiting(well, "ErrImagePull", restartCount=1)]) == NOBODY
    clock.now += FETCH_S + 1
    assert lasting.stuck([well]) == stuck(well)


def test_each_container_of_each_pod_has_its_own_time(lasting: Lasting, clock: Clock, well: Item) -> None:
    lasting.stuck([waiting(well, "ErrImagePull")])
    clock.now += FETCH_S + 1
    other = waiting(pod(replicasets()[1], "two"), "ErrImagePull")
    well["status"]["initContainerStatuses"] = [{"name": "fetch", "state": {"waiting": {"reason": "ErrImagePull"}}}]
    late = lasting.stuck([well, other])
    assert late == stuck(well)
    assert Waited(stuck=late).stuck_in(str(well["metadata"]["uid"])) == {"app"}
    assert Waited(stuck=late).stuck_in(str(other["metadata"]["uid"])) == frozenset()
    clock.now += FETCH_S + 1
    assert lasting.stuck([well, other]) == stuck(well) | stuck(well, "fetch") | stuck(other)


def test_what_is_on_its_way_and_what_crashes_is_none_of_it(lasting: Lasting, clock: Clock, well: Item) -> None:
    for reason in ("ContainerCreating", "PodInitializing", "CrashLoopBackOff"):
        lasting.stuck([waiting(well, reason), {"metadata": {"uid": "bare"}}])
        clock.now += 1000
        assert lasting.stuck([well, {"metadata": {"uid": "bare"}}]) == NOBODY


def test_troubles_that_are_long_over_are_forgotten(lasting: Lasting, clock: Clock, well: Item) -> None:
    first = waiting(well, "ErrImagePull")["status"]
    crowd = [{"metadata": {"uid": f"uid-{number}"}, "status": first} for number in range(KEPT + 2)]
    lasting.stuck(crowd)
    clock.now += FETCH_S + 1
    assert lasting.stuck(crowd[:1]) == NOBODY, "and one that is still there waits a little longer"
    clock.now += FETCH_S + 1
    assert lasting.stuck(crowd[:1]) == stuck(crowd[0])


def full(since: str = "2026-11-23T08:24:40Z", message: str = 'pods "x" is forbidden: exceeded quota: q') -> Item:
    """A ReplicaSet whose pods are refused since then."""
    item = replicasets()[1]
    said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    item["status"]["conditions"] = [{**said, "lastTransitionTime": since}]
    return item


def of(item: Item) -> frozenset[str]:
    return frozenset({str(item["metadata"]["uid"])})


def test_a_quota_is_full_for_good_when_nobody_leaves_and_it_has_lasted(lasting: Lasting, clock: Clock) -> None:
    stays = [pod(replicasets()[0], "a"), pod(replicasets()[1], "b", ready=False)]
    assert lasting.refused([full()], stays) == frozenset()
    clock.now += QUOTA_S
    assert lasting.refused([full()], stays) == frozenset()
    clock.now += 1
    assert lasting.refused([full(), replicasets()[0]], stays) == of(full())
    assert lasting.refused([full(message="no pods on Friday")], stays) == frozenset(), "it is no quota"
    assert lasting.refused([full(since="2026-11-23T08:26:40Z")], stays) == frozenset(), "there was room in between"


def test_while_a_pod_leaves_a_quota_may_have_room_again(lasting: Lasting, clock: Clock) -> None:
    leaving, gone = [pod(replicasets()[0], "a", leaving=True)], [pod(replicasets()[0], "b")]
    for _ in range(5):
        assert lasting.refused([full()], leaving) == frozenset()
        clock.now += 20
    assert lasting.refused([full()], leaving) == frozenset()
    clock.now += 100
    assert lasting.refused([full()], gone) == frozenset(), "its controller tries again as late as that"
    clock.now += 1
    assert lasting.refused([full()], gone) == of(full())
    assert lasting.refused([full()], leaving) == frozenset()


def test_refusals_that_are_long_over_are_forgotten(lasting: Lasting, clock: Clock) -> None:
    first = full()
    crowd = [{**first, "metadata": {"uid": f"uid-{number}"}} for number in range(KEPT + 2)]
    lasting.refused(crowd, ())
    clock.now += QUOTA_S + 1
    assert lasting.refused(crowd[:1], ()) == frozenset(), "and one that is still refused waits a little longer"
    clock.now += QUOTA_S + 1
    assert lasting.refused(crowd[:1], ()) == of(crowd[0])
