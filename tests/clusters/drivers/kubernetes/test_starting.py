"""How long a pod may take to get ready: counted from when it was seen to run, by one clock, ours."""

from __future__ import annotations

import copy

import pytest

from clusters.drivers.runtime.kubernetes.starting import KEPT, Starting, allowed_s
from clusters.drivers.runtime.spec import FETCH_S
from tests.clusters.drivers.kubernetes.scene import Item, event, pod, replicasets, waiting


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def starting(clock: Clock) -> Starting:
    return Starting(clock)


@pytest.fixture
def unready() -> Item:
    return pod(replicasets()[1], "slow", ready=False)


def uid(item: Item) -> str:
    return str(item["metadata"]["uid"])


def unschedulable(item: Item) -> Item:
    item["status"]["containerStatuses"] = []
    item["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes: Insufficient cpu.",
        }
    ]
    return item


def test_the_time_begins_when_the_pod_is_first_seen_to_run(starting: Starting, clock: Clock, unready: Item) -> None:
    unready["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = "2020-01-01T00:00:00Z"
    assert starting.overdue([unready], 60) == frozenset(), "a node's clock may be years behind ours"
    clock.now += 60
    assert starting.overdue([unready], 60) == frozenset()
    clock.now += 1
    assert starting.overdue([unready], 60) == {uid(unready)}


def test_fetching_its_image_takes_none_of_it(starting: Starting, clock: Clock, unready: Item) -> None:
    fetching = waiting(copy.deepcopy(unready), "ContainerCreating")
    for _ in range(10):
        assert starting.overdue([fetching], 60) == frozenset()
        clock.now += 60
    assert starting.overdue([unready], 60) == frozenset()
    clock.now += 61
    assert starting.overdue([unready], 60) == {uid(unready)}


def test_a_container_that_began_again_has_all_of_it_again(starting: Starting, clock: Clock, unready: Item) -> None:
    starting.overdue([unready], 60)
    clock.now += 59
    again = copy.deepcopy(unready)
    again["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-11-23T09:00:00Z"
    assert starting.overdue([again], 60) == frozenset()
    clock.now += 59
    assert starting.overdue([again], 60) == frozenset()
    clock.now += 2
    assert starting.overdue([again], 60) == {uid(again)}


def test_what_is_ready_or_leaves_is_never_overdue(starting: Starting, clock: Clock, unready: Item) -> None:
    well, leaving = pod(replicasets()[1], "well"), pod(replicasets()[1], "leaving", leaving=True)
    starting.overdue([unready, well, leaving], 1)
    clock.now += 100
    assert starting.overdue([unready, well, leaving], 1) == {uid(unready)}


def test_a_pod_that_was_ready_once_has_started(starting: Starting, clock: Clock, unready: Item) -> None:
    """One that misses a check later in a long roll-out fails nothing."""
    ready = pod(replicasets()[1], "slow")
    ready["metadata"]["uid"] = uid(unready)
    ready["status"]["containerStatuses"][0]["state"] = unready["status"]["containerStatuses"][0]["state"]
    for seen in (unready, ready, ready, unready, unready):
        assert starting.overdue([seen], 60) == frozenset()
        clock.now += 50
    again = copy.deepcopy(unready)
    again["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-11-23T09:00:00Z"
    starting.overdue([again], 60)
    clock.now += 61
    assert starting.overdue([again], 60) == {uid(unready)}, "a container that begins anew starts anew"


def test_a_pod_that_no_node_takes_may_wait_for_one_besides(starting: Starting, clock: Clock, unready: Item) -> None:
    """A cluster that makes nodes when they are needed has one after a minute or two."""
    alone = unschedulable(copy.deepcopy(unready))
    starting.overdue([alone], 60)
    clock.now += 60 + FETCH_S
    assert starting.overdue([alone], 60) == frozenset()
    clock.now += 1
    assert starting.overdue([alone], 60) == {uid(alone)}
    assert starting.overdue([unready], 60) == frozenset(), "once it runs, its start begins"
    clock.now += 61
    assert starting.overdue([unready], 60) == {uid(unready)}, "and takes no longer than any"


def test_a_pod_for_which_no_node_will_be_made_waits_no_longer(starting: Starting, clock: Clock, unready: Item) -> None:
    alone = unschedulable(copy.deepcopy(unready))
    refused = event(alone, "NotTriggerScaleUp", "pod didn't trigger scale-up", "2026-11-23T08:24:50Z")
    made = event(alone, "TriggeredScaleUp", "pod triggered scale-up: [{shop 1->2 (max: 5)}]", "2026-11-23T08:24:55Z")
    other = event(unready | {"metadata": {"uid": "of another"}}, "NotTriggerScaleUp", "no", "2026-11-23T08:24:59Z")
    starting.overdue([alone], 60)
    clock.now += 60
    assert starting.overdue([alone], 60, [refused]) == frozenset()
    clock.now += 1
    assert starting.overdue([alone], 60, [refused, other]) == {uid(alone)}
    assert starting.overdue([alone], 60, [made, other]) == frozenset()
    assert starting.overdue([alone], 60, [made, refused]) == frozenset(), "what was said last counts"
    clock.now += FETCH_S
    assert starting.overdue([alone], 60, [made]) == {uid(alone)}


def test_a_pod_of_several_containers_runs_once_all_do(starting: Starting, clock: Clock, unready: Item) -> None:
    (first,) = unready["status"]["containerStatuses"]
    second = {**first, "name": "proxy", "state": {"waiting": {"reason": "ContainerCreating"}}}
    unready["status"]["containerStatuses"] = [first, second]
    starting.overdue([unready], 60)
    clock.now += 100
    assert starting.overdue([unready], 60) == frozenset()


def test_pods_that_are_long_gone_are_forgotten(starting: Starting, clock: Clock) -> None:
    one = pod(replicasets()[1], "p", ready=False)
    crowd = [{**one, "metadata": {**one["metadata"], "uid": f"uid-{number}"}} for number in range(KEPT + 2)]
    starting.overdue(crowd, 60)
    clock.now += 61
    assert starting.overdue(crowd[:1], 60) == frozenset(), "and one that is still there waits a little longer"
    clock.now += 61
    assert starting.overdue(crowd[:1], 60) == {uid(crowd[0])}


@pytest.mark.parametrize(
    ("deadline", "spec_s", "wanted"),
    [(300, 60.0, 60.0), (330, 60.0, 90.0), (600, 60.0, 360.0), (77, 60.0, 60.0), (None, 45.0, 45.0), ("x", 45.0, 45.0)],
)
def test_a_manifest_may_give_more_time_than_the_spec(deadline: object, spec_s: float, wanted: float) -> None:
    assert allowed_s({"spec": {"progressDeadlineSeconds": deadline}}, spec_s) == wanted


def test_a_pod_without_a_status_is_not_waited_for(starting: Starting, clock: Clock) -> None:
    bare = {"metadata": {"uid": "x"}}
    starting.overdue([bare], 1)
    clock.now += 10
    assert starting.overdue([bare], 1) == frozenset()
