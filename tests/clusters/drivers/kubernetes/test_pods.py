"""What a pod says about itself: recorded pods and every way in which one is not well, each with its sentence."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest

from clusters.drivers.runtime.kubernetes import names, pods
from clusters.drivers.runtime.kubernetes.pods import digest_of, instance_of, main_container
from clusters.drivers.runtime.kubernetes.troubles import Trouble, trouble_of
from fangduoduo_release.common.sentence import Sentence
from tests.clusters.drivers.kubernetes.goals import ONE, TWO, recorded
from tests.clusters.drivers.kubernetes.scene import DIGEST, NOW, Item, ended, event, pod, replicasets, unready, waiting


@pytest.fixture
def well() -> Item:
    return pod(replicasets()[1])


def trouble(found: Item, *events: Item, stuck: Container[str] = ()) -> Trouble:
    told = trouble_of(found, events, NOW, stuck)
    assert told is not None
    return told


def why(found: Item, events: Iterable[Item] = ()) -> Sentence | None:
    told = trouble_of(found, events, NOW)
    return told.sentence if told else None


# -- recorded -------------------------------------------------------------------------------------------------------


def test_recorded_pods_that_run_are_well() -> None:
    running = [one for one in recorded("pods-crashloop") if one["status"]["containerStatuses"][0]["ready"]]
    assert len(running) == 2
    for one in running:
        found = instance_of(one, current=True, image="rig.local/app:v3", reason=why(one))
        assert (found.state, found.ready, found.restarts, found.reason) == ("running", True, 0, None)
        assert (found.digest, found.node, found.containers) == (DIGEST, "node1", ("app",))
        assert found.started_at is not None


def test_the_recorded_crash_is_told_with_its_exit_code() -> None:
    (crashed,) = [one for one in recorded("pods-crashloop") if not one["status"]["containerStatuses"][0]["ready"]]
    told = trouble(crashed)
    assert (told.code, told.exit_code, told.container) == ("crash_loop", 3, "app")
    assert str(told.sentence) == "It ended with exit code 3."
    assert not told.final, "one restart is not yet a loop"
    found = instance_of(crashed, current=True, image="", reason=told.sentence)
    assert (found.exit_code, found.restarts, found.reason) == (3, 1, told.sentence)


def test_the_recorded_image_that_cannot_be_pulled_is_told_with_the_node_s_words() -> None:
    (stuck,) = [one for one in recorded("pods-image-pull-error") if not one["status"]["containerStatuses"][0]["ready"]]
    told = trouble(stuck)
    assert (told.code, str(told.sentence)) == ("image_pull", "The image “rig.local/nosuch:v9” cannot be pulled.")
    assert "Temporary failure in name resolution" in told.evidence
    assert not told.final, "a name that cannot be looked up for six seconds may be found yet"
    assert trouble(stuck, stuck={"app"}).final, "but not for ever"


def test_every_recorded_pod_is_read_without_a_word_of_complaint() -> None:
    seen = [*recorded("list-pods-label"), *recorded("list-pods-limit")]
    seen += [one["object"] for one in recorded("watch-pods-rolling-update")]
    assert len(seen) > 20
    for one in seen:
        instance_of(one, current=True, image="rig.local/app:v3", reason=why(one, recorded("events")))


# -- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "message", "final"),
    [
        ("ErrImagePull", 'failed to resolve reference "x": registry.example/shop:v9: not found', True),
        ("ErrImagePull", "pull access denied, repository does not exist or may require authorization", True),
        ("ErrImagePull", "unexpected status from HEAD request: 401 Unauthorized", True),
        ("ErrImagePull", "unexpected status: 403 Forbidden", True),
        ("ErrImagePull", "no match for platform in manifest", True),
        ("InvalidImageName", "couldn't parse image name", True),
        ("ErrImageNeverPull", "", True),
        ("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", False),
        ("ImagePullBackOff", 'Back-off pulling image "x"', False),
        ("RegistryUnavailable", "503", False),
    ],
)
def test_an_image_that_will_never_come_is_told_from_one_that_may(
    well: Item, reason: str, message: str, final: bool
) -> None:
    told = trouble(waiting(well, reason, message, image="registry.example/shop:v9"))
    assert (told.code, told.final) == ("image_pull", final)
    assert str(told.sentence) == "The image “registry.example/shop:v9” cannot be pulled."
    assert told.evidence == (message or reason)


@pytest.mark.parametrize(
    ("said", "final"),
    [
        ('Failed to pull image "shop:v9": rpc error: code = NotFound desc = shop:v9: not found', True),
        ('Failed to pull image "shop:v9": dial tcp 10.0.0.1:443: i/o timeout', False),
        ("Error: secret not found", False),
    ],
)
def test_an_image_that_will_never_come_is_told_between_two_tries_too(well: Item, said: str, final: bool) -> None:
    """A node that waits before the next try may say no more than that it does."""
    waiting(well, "ImagePullBackOff", 'Back-off pulling image "shop:v9"', image="shop:v9")
    told = trouble(
        well,
        event(well, "Failed", 'Failed to pull image "shop:v9": unauthorized', "2026-11-23T08:24:40Z"),
        event(well, "Failed", 'Failed to pull image "shop:v9": 429', "2026-11-23T08:24:45Z"),
        event(well, "Failed", said, "2026-11-23T08:24:50Z"),
        event(well, "Failed", 'Failed to pull image "proxy:v1": unauthorized', "2026-11-23T08:24:54Z"),
        event(well, "Failed", "Error: ImagePullBackOff", "2026-11-23T08:24:55Z"),
    )
    assert (told.code, told.final) == ("image_pull", final)
    assert told.evidence == (said if final else 'Back-off pulling image "shop:v9"')


@pytest.mark.parametrize(("count", "final"), [(0, False), (1, False), (2, True), (9, True)])
def test_a_container_that_keeps_ending_is_a_loop_after_its_second_restart(well: Item, count: int, final: bool) -> None:
    told = trouble(waiting(well, "CrashLoopBackOff", "back-off", restartCount=count, lastState=ended(code=7)))
    assert (told.code, told.final, told.exit_code, told.previous) == ("crash_loop", final, 7, True)


def test_a_loop_that_runs_at_this_very_moment_is_told_but_not_given_up(well: Item) -> None:
    unready(well)
    status = well["status"]["containerStatuses"][0]
    status |= {
        "restartCount": 3,
        "lastState": ended(code=7),
        "state": {"running": {"startedAt": "2026-11-23T08:25:00Z"}},
    }
    told = trouble(well)
    assert (told.code, told.final, told.previous) == ("crash_loop", False, True)


@pytest.mark.parametrize("message", ["Readiness probe failed: ", "Readiness probe failed:"])
def test_a_check_that_only_ends_with_a_code_is_said_to_say_nothing(well: Item, message: str) -> None:
    """As a kubelet tells of a command without output."""
    unready(well)
    told = trouble(well, event(well, "Unhealthy", message))
    assert (told.code, str(told.sentence)) == ("probe_failing", "Its readiness check fails and says nothing.")


def test_a_crash_of_long_ago_does_not_explain_what_is_wrong_now(well: Item) -> None:
    unready(well)
    status = well["status"]["containerStatuses"][0]
    status |= {
        "restartCount": 1,
        "lastState": ended(code=7),
        "state": {"running": {"startedAt": "2026-11-01T00:00:00Z"}},
    }
    assert trouble_of(well, (), NOW) is None
    told = trouble(well, event(well, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
    assert (told.code, str(told.sentence)) == (
        "probe_failing",
        "Its readiness check fails: HTTP probe failed with statuscode: 503",
    )


def test_memory_that_ran_out_is_told_as_such(well: Item) -> None:
    told = trouble(waiting(well, "CrashLoopBackOff", restartCount=2, lastState=ended("OOMKilled", 137)))
    assert str(told.sentence) == "It was killed because it used more memory than it may (exit code 137)."
    assert (told.code, told.final) == ("crash_loop", True)


@pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
def test_a_program_that_is_not_in_the_image_is_told_at_once(well: Item, reason: str) -> None:
    message = 'exec: "srve": executable file not found in $PATH: unknown'
    unready(well)
    well["status"]["containerStatuses"][0]["state"] = ended(reason, 128, message=message)
    told = trouble(well)
    assert (told.code, told.final) == ("start_failed", True)
    assert "cannot be started: exec: “srve”".replace("“", '"').replace("”", '"') in str(told.sentence)


@pytest.mark.parametrize(
    ("reason", "message", "stuck", "final"),
    [
        ("CreateContainerConfigError", 'secret "shop-env" not found', "", True),
        ("CreateContainerConfigError", "couldn't find key TOKEN in Secret shop/x", "", True),
        ("CreateContainerError", "context deadline exceeded", "", False),
        ("CreateContainerError", "context deadline exceeded", "proxy", False),
        ("CreateContainerError", "context deadline exceeded", "app", True),
        ("RunContainerError", 'exec: "x": executable file not found in $PATH', "", True),
    ],
)
def test_a_container_that_cannot_be_made_is_told_with_the_node_s_words(
    well: Item, reason: str, message: str, stuck: str, final: bool
) -> None:
    told = trouble(waiting(well, reason, message), stuck={stuck})
    assert (told.code, told.final, told.evidence) == ("start_failed", final, message)
    assert str(told.sentence) == f"The container “app” cannot be made: {message}"


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (
            "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: 0/3",
            "No node has room for it: too little cpu, memory.",
        ),
        (
            "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
            "No node has room for it: too little nvidia.com/gpu.",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {x: y}.",
            "No node takes it: 0/1 nodes are available: 1 node(s) had untolerated taint {x: y}.",
        ),
    ],
)
def test_a_pod_that_no_node_takes_says_which_resource_is_lacking(well: Item, message: str, says: str) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    well["status"] = {"phase": "Pending", "conditions": [condition]}
    told = trouble(well)
    assert (told.code, str(told.sentence), told.final) == ("unschedulable", says, False)


@pytest.mark.parametrize("which", ["Liveness", "Startup"])
def test_a_container_that_its_node_ended_for_a_failing_check_is_told_by_the_check(well: Item, which: str) -> None:
    waiting(well, "CrashLoopBackOff", restartCount=2, lastState=ended(code=137))
    told = trouble(well, event(well, "Unhealthy", f"{which} probe failed: connect: connection refused"))
    assert (told.code, told.final, told.previous) == ("probe_failing", True, True)
    assert str(told.sentence) == f"Its {which.lower()} check fails: connect: connection refused"


def test_a_crash_is_a_crash_whatever_a_check_said_before(well: Item) -> None:
    waiting(well, "CrashLoopBackOff", restartCount=2, lastState=ended(code=1))
    assert trouble(well, event(well, "Unhealthy", "Liveness probe failed: x")).code == "crash_loop"
    waiting(well, "CrashLoopBackOff", restartCount=2, lastState=ended(code=137))
    assert trouble(well, event(well, "Unhealthy", "Readiness probe failed: x")).code == "crash_loop"


def test_of_several_failed_checks_the_newest_is_told_and_others_pods_are_not_asked(well: Item) -> None:
    unready(well)
    other = pod(replicasets()[1], "other")
    told = trouble(
        well,
        event(well, "Unhealthy", "Readiness probe failed: old", "2026-11-23T08:24:40Z"),
        event(well, "Unhealthy", "Readiness probe failed: new", "2026-11-23T08:24:50Z"),
        event(other, "Unhealthy", "Readiness probe failed: another's", "2026-11-23T08:24:59Z"),
    )
    assert str(told.sentence) == "Its readiness check fails: new"


def test_what_a_node_cannot_mount_is_told(well: Item) -> None:
    waiting(well, "ContainerCreating")
    told = trouble(well, event(well, "FailedMount", 'MountVolume.SetUp failed: configmap "x" not found'))
    assert str(told.sentence) == 'The node cannot prepare it: MountVolume.SetUp failed: configmap "x" not found'


def test_an_evicted_pod_is_dead_and_says_why(well: Item) -> None:
    well["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    told = trouble(well)
    assert str(told.sentence) == "The node ended the pod (Evicted): The node was low on resource: memory."
    assert not told.final, "another takes its place"
    assert instance_of(well, current=True, image="", reason=told.sentence).state == "dead"


def test_an_init_container_that_fails_is_told_and_one_that_is_done_is_not(well: Item) -> None:
    waiting(well, "PodInitializing")
    done = {"name": "fetch", "ready": True, "restartCount": 0, "state": ended("Completed", 0)}
    well["status"]["initContainerStatuses"] = [done]
    assert trouble_of(well, (), NOW) is None
    failed = {
        "name": "migrate",
        "ready": False,
        "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    well["status"]["initContainerStatuses"] = [done, {**failed, "lastState": ended(code=4)}]
    told = trouble(well)
    assert (told.code, told.container, told.exit_code, told.final) == ("crash_loop", "migrate", 4, True)


def test_a_sidecar_that_crashes_is_told_by_its_name(well: Item) -> None:
    unready(well)
    sidecar = {"name": "proxy", "ready": False, "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    well["status"]["containerStatuses"][0]["ready"] = True
    well["status"]["containerStatuses"].append({**sidecar, "lastState": ended(code=9)})
    assert (trouble(well).container, trouble(well).exit_code) == ("proxy", 9)


def test_a_pod_on_its_way_in_or_out_is_in_no_trouble(well: Item) -> None:
    starting = waiting(pod(replicasets()[1], "new"), "ContainerCreating")
    assert trouble_of(starting, (), NOW) is None
    assert instance_of(starting, current=True, image="", reason=None).state == "starting"
    leaving = pod(replicasets()[1], "old", ready=False, leaving=True)
    assert trouble_of(leaving, (), NOW) is None
    found = instance_of(leaving, current=False, image="", reason=None)
    assert (found.state, found.ready) == ("stopping", False)


def test_a_pod_that_is_leaving_serves_no_more_even_while_it_says_that_it_is_ready() -> None:
    assert not pods.is_ready(pod(replicasets()[1], leaving=True))


def test_a_pod_in_its_back_off_is_restarting(well: Item) -> None:
    waiting(well, "CrashLoopBackOff", restartCount=3, lastState=ended())
    assert instance_of(well, current=True, image="", reason=None).state == "restarting"


@pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, {"containerStatuses": None}, {"conditions": None}])
def test_a_pod_of_which_nothing_is_known_yet_is_starting(well: Item, status: dict[str, Any]) -> None:
    well["status"] = status
    assert trouble_of(well, (), NOW) is None
    found = instance_of(well, current=True, image="", reason=None)
    assert (found.state, found.ready, found.digest, found.restarts) == ("starting", False, "", 0)


# -- what really runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wished", "pulled", "digest"),
    [
        ("registry.example/shop:v7", f"registry.example/shop@{ONE}", ONE),
        ("registry.example/shop:v7", f"docker-pullable://registry.example/shop@{ONE}", ONE),
        ("registry.example/shop:v7", ONE, ONE),
        ("registry.example/shop:v7", f"docker://{ONE}", ONE),
        (f"registry.example/shop@{ONE}", f"registry.example/shop@{ONE}", ONE),
        (f"registry.example/shop@{ONE}", TWO, ONE),
        (f"registry.example/shop:v7@{TWO}", f"registry.example/shop@{TWO}", TWO),
        ("registry.example/shop:v7", "", ""),
        (f"registry.example/shop@{ONE}", "", ""),
        ("registry.example/shop:v7", "nonsense", ""),
    ],
)
def test_the_digest_is_the_one_the_pod_was_made_with_or_else_the_one_that_was_pulled(
    well: Item, wished: str, pulled: str, digest: str
) -> None:
    well["spec"]["containers"][0]["image"] = wished
    well["status"]["containerStatuses"][0] |= {"image": wished, "imageID": pulled}
    assert digest_of(well, "registry.example/shop:v7") == digest


def test_a_webhook_that_put_another_image_in_is_seen(well: Item) -> None:
    well["spec"]["containers"][0]["image"] = f"mirror.example/shop@{TWO}"
    assert digest_of(well, f"registry.example/shop@{ONE}") == TWO


def test_what_waits_runs_nothing(well: Item) -> None:
    assert digest_of(waiting(well, "CrashLoopBackOff"), "rig.local/app") == ""


def with_containers(found: Item, *named: tuple[str, str, str]) -> Item:
    found["spec"]["containers"] = [{"name": name, "image": image} for name, image, _ in named]
    first = found["status"]["containerStatuses"][0]
    found["status"]["containerStatuses"] = [
        {**first, "name": name, "image": image, "imageID": pulled} for name, image, pulled in named
    ]
    return found


def test_beside_a_sidecar_the_service_s_container_is_known_by_annotation_or_image(well: Item) -> None:
    image = "registry.example/shop:v7"
    proxy = ("proxy", "registry.example/shop-proxy:v1", f"registry.example/shop-proxy@{TWO}")
    with_containers(well, proxy, ("app", f"registry.example/shop@{ONE}", f"registry.example/shop@{ONE}"))
    assert (main_container(well, image), digest_of(well, image)) == ("app", ONE)
    assert main_container(well) == "proxy", "without any word the first is it"
    well["metadata"]["annotations"] = {names.MAIN: "app"}
    assert (main_container(well), digest_of(well)) == ("app", ONE)
    assert instance_of(well, current=True, image="", reason=None).containers == ("app", "proxy")
    well["metadata"]["annotations"] = {names.MAIN: "gone"}
    assert main_container(well, image) == "app"
