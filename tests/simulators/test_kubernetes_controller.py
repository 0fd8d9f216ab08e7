"""The simulated cluster's controllers: rollouts, and everything that becomes of pods."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.waiting import until

from .kubernetes.rollout import complete
from .kubernetes_ground import DEPLOYMENT, SPACE, Caller, Watched, container_of, deployment
from .kubernetes_rig import Rig


def _reasons(rig: Rig, kind: str = "Pod") -> dict[str, str]:
    found = rig.all("events", SPACE)
    return {each["reason"]: each["message"] for each in found if each["involvedObject"]["kind"] == kind}


def _waits(rig: Rig, reason: str) -> dict[str, Any]:
    """Until a container waits for this reason."""

    def found() -> dict[str, Any] | None:
        for pod in rig.pods(SPACE):
            for each in pod["status"].get("containerStatuses") or []:
                if each["state"].get("waiting", {}).get("reason") == reason:
                    return dict(each)
        return None

    return until(found, what=reason)


def _heard_of_the_end(watched: Watched) -> None:
    """Until the watch, too, has come to where the rollout is done."""
    until(lambda: watched.events and complete(watched.events[-1]["object"]), what="the rollout as it is told")


@pytest.mark.parametrize(
    ("surge", "unavailable", "most", "least"), [(1, 0, 5, 4), ("0%", "25%", 4, 3), ("50%", 0, 6, 4)]
)
def test_a_rollout_keeps_within_its_bounds(caller: Caller, surge: Any, unavailable: Any, most: int, least: int) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    caller.applied(deployment(replicas=4, strategy=strategy))
    caller.rig.rolled_out(SPACE, "web")
    with caller.watching("/apis/apps/v1/deployments") as watched:
        caller.applied(deployment("rig.local/app:v2", replicas=4, strategy=strategy))
        _heard_of_the_end(watched)
    statuses = [event["object"]["status"] for event in watched.events]
    assert max(status["replicas"] for status in statuses) == most
    assert min(status.get("availableReplicas", 0) for status in statuses) >= least
    until(lambda: len(caller.rig.all("pods", SPACE)) == 4, what="the old pods' end")
    assert {pod["spec"]["containers"][0]["image"] for pod in caller.rig.pods(SPACE)} == {"rig.local/app:v2"}


def test_recreate_ends_all_before_it_begins(caller: Caller) -> None:
    caller.applied(deployment(strategy={"type": "Recreate"}))
    caller.rig.rolled_out(SPACE, "web")
    with caller.watching() as watched:
        caller.applied(deployment("rig.local/app:v2", strategy={"type": "Recreate"}))
        caller.rig.rolled_out(SPACE, "web")
        until(lambda: len([e for e in watched.events if e["type"] == "ADDED"]) == 2, what="new pods")
    types = [event["type"] for event in watched.events if event["type"] != "MODIFIED"]
    assert types == ["DELETED", "DELETED", "ADDED", "ADDED"]


def test_revisions_go_on_and_a_rollback_takes_its_replica_set_again(caller: Caller) -> None:
    for image in ("v1", "v2", "v1"):
        caller.applied(deployment(f"rig.local/app:{image}"))
        found = caller.rig.rolled_out(SPACE, "web")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    sets = caller.rig.all("replicasets", SPACE)
    revisions = sorted(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for each in sets)
    assert revisions == ["2", "3"]
    for number in range(4):
        caller.applied(deployment(f"rig.local/app:w{number}", revisionHistoryLimit=1))
        caller.rig.rolled_out(SPACE, "web")
    until(lambda: len(caller.rig.all("replicasets", SPACE)) == 2, what="older revisions to be forgotten")


def test_paused_and_resumed(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    caller.applied(deployment("rig.local/app:v2", paused=True))
    caller.rig.condition(SPACE, "web", "Progressing", "DeploymentPaused")
    assert {pod["spec"]["containers"][0]["image"] for pod in caller.rig.pods(SPACE)} == {"rig.local/app:v1"}
    caller.applied(deployment("rig.local/app:v2"))
    caller.rig.rolled_out(SPACE, "web")


def test_a_new_number_comes_before_a_new_template(caller: Caller) -> None:
    """As a Kubernetes 1.20 told it: what runs is brought to the number, the generation is said to be seen, and only then
    is there a replica set of the new template."""
    caller.applied(deployment(replicas=4))
    caller.rig.rolled_out(SPACE, "web")
    with caller.watching("/apis/apps/v1/deployments") as watched:
        caller.applied(deployment("rig.local/app:v2"))
        _heard_of_the_end(watched)
    told = [
        (each["metadata"]["annotations"]["deployment.kubernetes.io/revision"], each["status"].get("updatedReplicas"))
        for each in (event["object"] for event in watched.events)
        if each["status"].get("observedGeneration") == each["metadata"]["generation"]
    ]
    assert told[0] == ("1", None), told
    assert told[-1] == ("2", 2)
    scaled = [
        each["message"] for each in caller.rig.all("events", SPACE) if each["involvedObject"]["kind"] == "Deployment"
    ]
    assert [re.sub(r"web-\w+", "web", one) for one in scaled[1:3]] == [
        "Scaled down replica set web from 4 to 2", "Scaled up replica set web from 0 to 1",
    ]  # fmt: skip


def test_of_two_templates_each_gets_its_share_of_a_new_number(caller: Caller) -> None:
    caller.rig.image("rig.local/app:v2", ready=False)
    caller.applied(deployment(replicas=4))
    caller.rig.rolled_out(SPACE, "web")
    caller.applied(deployment("rig.local/app:v2", replicas=4))
    until(lambda: len(caller.rig.pods(SPACE)) == 5, what="a roll-out that stands still")
    caller.applied(deployment("rig.local/app:v2", replicas=8))

    def sizes() -> list[int]:
        return sorted(each["spec"]["replicas"] for each in caller.rig.all("replicasets", SPACE))

    until(lambda: sum(sizes()) == 10, what="replicas and surge in two shares")
    assert sizes()[1] >= 6


def test_pods_must_be_ready_for_long_enough(caller: Caller) -> None:
    caller.rig.pace.second = 3600  # as long as the test looks
    caller.applied(deployment(minReadySeconds=1))
    until(lambda: caller.rig.get("deployments", SPACE, "web")["status"].get("readyReplicas") == 2, what="readiness")  # type: ignore[index]
    assert not caller.rig.ready(SPACE, "web")
    caller.rig.pace.second = 0.2
    caller.rig.call(caller.rig.controllers.everything)
    caller.rig.rolled_out(SPACE, "web")


def test_a_crash_loop_says_why_and_keeps_the_old_pods(caller: Caller) -> None:
    caller.rig.pace.second = 0.05
    caller.applied(deployment(progressDeadlineSeconds=10))
    caller.rig.rolled_out(SPACE, "web")
    caller.applied(deployment("rig.local/crash:v2", progressDeadlineSeconds=10))
    state = _waits(caller.rig, "CrashLoopBackOff")
    assert state["lastState"]["terminated"]["exitCode"] == 1
    assert state["restartCount"] >= 1
    assert state["state"]["waiting"]["message"].startswith("back-off 1s restarting failed container=app pod=web-")
    assert _reasons(caller.rig)["BackOff"].startswith("Back-off restarting failed container app in pod web-")
    caller.rig.condition(SPACE, "web", "Progressing", "ProgressDeadlineExceeded")
    status = caller.rig.get("deployments", SPACE, "web")["status"]  # type: ignore[index]
    assert (status["availableReplicas"], status["unavailableReplicas"]) == (2, 1)


def test_an_image_that_is_not_there(caller: Caller) -> None:
    caller.applied(deployment("rig.local/nosuch:v9"))
    first = _waits(caller.rig, "ErrImagePull")
    assert "failed to pull and unpack image" in first["state"]["waiting"]["message"]
    _waits(caller.rig, "ImagePullBackOff")
    said = _reasons(caller.rig)
    assert said["Failed"] in ("Error: ErrImagePull", "Error: ImagePullBackOff")
    assert said["BackOff"] == 'Back-off pulling image "rig.local/nosuch:v9"'


def test_a_digest_is_what_runs(caller: Caller) -> None:
    digest = "sha256:" + "a" * 64
    caller.rig.tag("rig.local/app:v1", digest)
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    identities = {pod["status"]["containerStatuses"][0]["imageID"] for pod in caller.rig.pods(SPACE)}
    assert identities == {f"rig.local/app@{digest}"}
    other = "sha256:" + "b" * 64
    caller.applied(deployment(f"rig.local/app:v1@{other}"))
    caller.rig.rolled_out(SPACE, "web")
    assert caller.rig.pods(SPACE)[0]["status"]["containerStatuses"][0]["imageID"] == f"rig.local/app@{other}"


def test_never_ready_says_what_the_probe_says(caller: Caller) -> None:
    caller.rig.image("rig.local/app:v1", ready=False, probe='Get "http://10.1.2.3:80/": connection refused')
    caller.applied(deployment())
    until(lambda: "Unhealthy" in _reasons(caller.rig), what="the probe's event")
    assert _reasons(caller.rig)["Unhealthy"] == 'Readiness probe failed: Get "http://10.1.2.3:80/": connection refused'
    assert caller.rig.get("deployments", SPACE, "web")["status"].get("readyReplicas", 0) == 0  # type: ignore[index]


def test_an_image_may_get_ready_later(caller: Caller) -> None:
    caller.rig.image("rig.local/app:v1", ready=False)
    caller.applied(deployment())
    until(lambda: "Unhealthy" in _reasons(caller.rig), what="the probe's event")
    caller.rig.image("rig.local/app:v1", ready=True)
    caller.rig.rolled_out(SPACE, "web")


def test_a_pod_has_time_to_end(caller: Caller) -> None:
    """Its preStop first, then as long as its grace period lasts."""
    caller.rig.pace.second = 0.001
    obj = deployment("rig.local/deaf:v1", replicas=1)
    obj["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 600  # which would be ten minutes
    container_of(obj)["lifecycle"] = {"preStop": {"sleep": {"seconds": 200}}}
    caller.applied(obj)
    caller.rig.rolled_out(SPACE, "web")
    pod = caller.rig.pods(SPACE)[0]["metadata"]["name"]
    with caller.watching() as watched:
        begun = time.monotonic()
        caller.rig.delete("pods", SPACE, pod)
        last = watched.said("DELETED", pod)["object"]
    assert 0.55 <= time.monotonic() - begun < 60
    assert last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert last["status"]["phase"] == "Failed"


def test_a_failing_liveness_probe_restarts(caller: Caller) -> None:
    caller.applied(deployment("rig.local/not-live:v1", replicas=1))
    until(lambda: caller.rig.pods(SPACE)[0]["status"]["containerStatuses"][0]["restartCount"] >= 1
          if caller.rig.pods(SPACE) else False, what="a restart")  # fmt: skip
    assert "failed liveness probe" in _reasons(caller.rig)["Killing"]


def test_what_fits_nowhere_waits_until_there_is_room(caller: Caller) -> None:
    obj = deployment(replicas=1)
    container_of(obj)["resources"] = {"requests": {"cpu": "16"}}
    caller.applied(obj)
    until(lambda: "FailedScheduling" in _reasons(caller.rig), what="the scheduler's event")
    assert _reasons(caller.rig)["FailedScheduling"].startswith(
        "0/1 nodes are available: 1 Insufficient cpu. preemption:"
    )
    (condition,) = caller.rig.pods(SPACE)[0]["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    caller.rig.node("big", cpu="32")
    caller.rig.rolled_out(SPACE, "web")


def test_a_quota_stops_new_pods(caller: Caller) -> None:
    caller.rig.create("ResourceQuota", SPACE, {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}})
    caller.applied(deployment())
    found = caller.rig.condition(SPACE, "web", "ReplicaFailure", "FailedCreate")
    assert "is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1" in found["message"]
    assert _reasons(caller.rig, "ReplicaSet")["FailedCreate"].startswith('Error creating: pods "web-')
    caller.rig.delete("resourcequotas", SPACE, "few")
    caller.rig.rolled_out(SPACE, "web")


def test_an_autoscaler_holds_its_bounds(caller: Caller) -> None:
    caller.applied(deployment(replicas=1))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}
    caller.rig.create("HorizontalPodAutoscaler", SPACE, {"metadata": {"name": "web"}, "spec": spec})
    until(lambda: caller.rig.get("deployments", SPACE, "web")["spec"]["replicas"] == 3, what="three")  # type: ignore[index]
    answer = caller.apply(deployment(replicas=1))
    assert answer.json()["details"]["causes"][0]["message"] == (
        'conflict with "kube-controller-manager" with subresource "scale" using apps/v1'
    )


def test_services_know_who_is_ready(caller: Caller) -> None:
    caller.rig.create(
        "Service", SPACE, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    )
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")

    def addresses() -> list[str]:
        found = caller.rig.get("endpoints", SPACE, "web") or {}
        return [each["ip"] for subset in found.get("subsets") or [] for each in subset.get("addresses") or []]

    until(lambda: len(addresses()) == 2, what="two addresses")
    caller.rig.faults.unready(SPACE, caller.rig.pods(SPACE)[0]["metadata"]["name"])
    until(lambda: len(addresses()) == 1, what="one address")


def test_foreground_deletion_waits_for_all_below(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    with caller.watching("/apis/apps/v1/deployments") as watched:
        caller.http.request("DELETE", DEPLOYMENT, json={"propagationPolicy": "Foreground"})
        watched.said("DELETED", "web")
        assert caller.rig.all("pods", SPACE) == []
        assert caller.rig.all("replicasets", SPACE) == []


def test_background_and_orphans(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    caller.http.delete(DEPLOYMENT, params={"propagationPolicy": "Orphan"})
    assert len(caller.rig.all("replicasets", SPACE)) == 1
    (name,) = [each["metadata"]["name"] for each in caller.rig.all("replicasets", SPACE)]
    answer = caller.http.delete(f"/apis/apps/v1/namespaces/{SPACE}/replicasets/{name}")
    assert answer.json()["status"] == "Success"
    until(lambda: not caller.rig.all("pods", SPACE), what="no pods")


def test_a_namespace_takes_everything_with_it(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    held = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    caller.rig.create("ConfigMap", SPACE, held)
    caller.rig.faults.delete_namespace(SPACE)
    refused = caller.apply(deployment(name="late"), DEPLOYMENT.replace("/web", "/late"))
    assert refused.status_code == 403
    assert "because it is being terminated" in refused.json()["message"]
    caller.rig.faults.edit("configmaps", SPACE, "held", {"metadata": {"finalizers": None}})
    until(lambda: caller.rig.get("namespaces", "", SPACE) is None, what="its end")
    assert caller.rig.all("pods") == []
