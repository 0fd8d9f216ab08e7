"""What goes wrong with the simulated cluster, on demand."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.waiting import until

from .kubernetes_ground import DEPLOYMENT, PODS, SPACE, Caller, container_of, deployment
from .kubernetes_rig import Rig, Rule

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def test_requests_fail_as_told_and_then_no_more(caller: Caller) -> None:
    with caller.rig.faults.status(429, "pods", retry_after=7) as rule:
        answer = caller.http.get(PODS)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        assert answer.json()["reason"] == "TooManyRequests"
        assert caller.http.get(DEPLOYMENT).status_code == 404
    assert rule.hits == 1
    caller.rig.faults.status(503, "GET", times=1)
    assert [caller.http.get(PODS).status_code for _ in range(2)] == [503, 200]
    caller.rig.faults.status(500)
    assert caller.refused("GET", PODS)["reason"] == "InternalError"
    caller.rig.faults.clear()
    caller.get(PODS)


def test_answers_come_late_or_not_at_all(caller: Caller) -> None:
    caller.rig.faults.latency(0.2, "pods")
    begun = time.monotonic()
    caller.get(PODS)
    assert time.monotonic() - begun >= 0.2
    caller.rig.faults.clear()
    caller.rig.faults.reset("pods")
    with pytest.raises(httpx.TransportError):
        caller.http.get(PODS)
    caller.get(PODS)


def test_a_server_that_goes_comes_back_with_all_it_knew(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    with caller.watching() as watched:
        caller.rig.faults.go_away()
        assert watched.ended.wait(60)
    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            caller.http.get(PODS)
    caller.rig.faults.fail_pod(SPACE, caller.rig.pods(SPACE)[0]["metadata"]["name"])  # life goes on
    caller.rig.faults.come_back()
    assert len(caller.get(PODS)["items"]) == 2
    until(
        lambda: any(pod["status"]["containerStatuses"][0]["restartCount"] for pod in caller.get(PODS)["items"]),
        what="it",
    )


def test_watches_are_cut_after_a_time_or_within_a_line(caller: Caller) -> None:
    with caller.rig.faults.cut_watches(0.2), caller.watching() as watched:
        assert watched.ended.wait(60)
        assert watched.error is None
    caller.applied(deployment())
    caller.rig.rolled_out(SPACE, "web")
    with caller.rig.faults.cut_watches(after_bytes=700), caller.watching(resourceVersion="0") as watched:
        assert watched.ended.wait(60)
        assert watched.error is not None
    assert len(watched.rest) + sum(1 for _ in watched.events) >= 1
    assert watched.rest.startswith('{"type":')


def test_a_watch_may_fall_silent(caller: Caller) -> None:
    with caller.watching(timeoutSeconds="1") as watched, caller.rig.faults.silence():
        caller.applied(deployment())
        caller.rig.rolled_out(SPACE, "web")
        assert watched.ended.wait(60)
    assert watched.events == []


def test_a_foreign_hand_owns_what_it_changes(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.faults.edit("Deployment", SPACE, "web", {"spec": {"replicas": 3}}, manager="helm")
    managers = {entry["manager"] for entry in caller.get(DEPLOYMENT)["metadata"]["managedFields"]}
    assert {"portal", "helm"} <= managers


def test_a_webhook_denies_an_apply_or_only_the_pods(caller: Caller) -> None:
    hook = caller.rig.faults.deny("images must be signed", "Deployment")
    refused = caller.apply(deployment())
    assert refused.status_code == 400
    assert (
        refused.json()["message"] == 'admission webhook "policy.example.com" denied the request: images must be signed'
    )
    assert caller.apply(deployment(), dryRun="All").status_code == 400
    caller.rig.faults.allow(hook)
    caller.rig.faults.deny("no", "Pod", namespace=SPACE)
    caller.applied(deployment())
    found = caller.rig.condition(SPACE, "web", "ReplicaFailure", "FailedCreate")
    assert found["message"] == 'admission webhook "policy.example.com" denied the request: no'
    caller.rig.faults.allow()
    caller.rig.rolled_out(SPACE, "web")


def test_a_webhook_that_cannot_be_reached(caller: Caller) -> None:
    caller.rig.faults.deny('Post "https://policy": dial tcp: i/o timeout', "Deployment", unreachable=True)
    refused = caller.apply(deployment())
    assert refused.status_code == 500
    assert 'failed calling webhook "policy.example.com"' in refused.json()["message"]


def test_a_controller_that_is_stuck_takes_up_what_it_missed(caller: Caller) -> None:
    caller.rig.faults.stuck()
    caller.applied(deployment())
    time.sleep(0.1)
    assert caller.rig.all("replicasets", SPACE) == []
    caller.rig.faults.stuck(False)
    caller.rig.rolled_out(SPACE, "web")


def test_who_may_what(caller: Caller) -> None:
    rule = Rule(("get", "list", "watch"), ("pods", "pods/log"), ("",), (SPACE,))
    caller.rig.user("system:serviceaccount:shop-test:reader", rule)
    with Caller(caller.rig, "system:serviceaccount:shop-test:reader") as reader:
        reader.get(PODS)
        refused = reader.refused("GET", "/api/v1/namespaces/default/pods")
        assert refused["message"] == (
            'pods is forbidden: User "system:serviceaccount:shop-test:reader" cannot list resource "pods" in API group "" '
            'in the namespace "default"'
        )
        assert reader.refused("DELETE", f"{PODS}/x")["code"] == 403

        def may(**asked: str) -> bool:
            answer = reader.http.post(REVIEW, json={"spec": {"resourceAttributes": asked}})
            assert answer.status_code == 201
            return bool(answer.json()["status"]["allowed"])

        assert may(verb="list", resource="pods", namespace=SPACE)
        assert may(verb="get", resource="pods", subresource="log", namespace=SPACE)
        assert not may(verb="create", resource="pods", subresource="exec", namespace=SPACE)
        assert not may(verb="list", resource="pods")
        rules = reader.http.post(REVIEW.replace("access", "rules"), json={"spec": {"namespace": SPACE}}).json()
        assert rules["status"]["resourceRules"] == [
            {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "pods/log"]}
        ]


def test_tokens_expire_and_rotate(caller: Caller) -> None:
    user = caller.rig.user("short", Rule(), expires_in=3600)
    with Caller(caller.rig, "short") as short:
        short.get(PODS)
        user.expires -= 3600
        until(lambda: short.http.get(PODS).status_code == 401, what="the end of the token")
    token = caller.rig.users.rotate("portal")
    assert caller.http.get(PODS).status_code == 401
    caller.http.headers["Authorization"] = f"Bearer {token}"
    caller.get(PODS)


def test_another_process_may_do_so_too(caller: Caller) -> None:
    def tell(what: str, **given: object) -> httpx.Response:
        return caller.http.post(f"/__sim__/{what}", json=given)

    number = tell("faults/status", status=500, pattern="pods").json()["rule"]
    assert caller.http.get(PODS).status_code == 500
    tell("faults/lift", rule=number)
    caller.get(PODS)
    assert tell("requests").json()["counts"]["list pods"] == 1
    tell("requests/forget")
    assert tell("requests").json()["counts"] == {}
    tell("pace", reaction=0.01)
    assert caller.rig.pace.reaction == 0.01
    assert tell("fill", namespace=SPACE, deployments=1, replicas=3).json() == ["app-0"]
    assert len(tell("pods", namespace=SPACE).json()) == 3
    assert tell("faults/nonsense").status_code == 400
    with pytest.raises(httpx.TransportError):
        tell("faults/go_away")
    caller.rig.faults.come_back()
    until(lambda: _there(caller), what="its return")


def _there(caller: Caller) -> bool:
    try:
        return caller.http.get("/readyz").text == "ok"
    except httpx.TransportError:
        return False


def test_a_crowd_lives_as_other_pods_do(caller: Caller) -> None:
    caller.rig.fill(SPACE, 2, 50)
    assert len(caller.get(PODS)["items"]) == 100
    with caller.watching() as watched:
        assert caller.rig.churn(200, 0.5, SPACE) == 100
        until(lambda: len(watched.events) >= 100, what="the changes")
    obj = deployment("rig.local/app:v2", name="app-0", replicas=50)
    patch = {"spec": {"template": {"spec": {"containers": [container_of(obj)]}}}}
    caller.rig.faults.edit("deployments", SPACE, "app-0", patch)
    caller.rig.rolled_out(SPACE, "app-0")
    assert caller.rig.ready(SPACE, "app-1")
    name = caller.rig.pods(SPACE, {"app": "app-1"})[0]["metadata"]["name"]
    caller.rig.faults.fail_pod(SPACE, name, 137, "OOMKilled")

    def ended() -> object:
        (status,) = caller.get(f"{PODS}/{name}")["status"]["containerStatuses"]
        return status["restartCount"] and status["ready"] and status["lastState"]["terminated"]["reason"]

    assert until(ended, what="a restart") == "OOMKilled"


def test_what_is_too_large_is_refused(caller: Caller) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"x": "x" * (1024 * 1024 + 1)}}
    path = f"/api/v1/namespaces/{SPACE}/configmaps"
    assert "may not be more than 1048576 bytes" in caller.refused("POST", path, obj)["message"]
    obj = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "big"}, "message": "x" * (2 * 1024 * 1024)}
    assert (
        caller.refused("POST", path.replace("configmaps", "events"), obj)["message"]
        == "etcdserver: request is too large"
    )
    obj["message"] = "x" * (4 * 1024 * 1024)
    assert caller.refused("POST", path.replace("configmaps", "events"), obj)["code"] == 413


def test_plain_http_and_client_certificates(tmp_path: object) -> None:
    with Rig(tls=False) as rig:
        assert httpx.get(f"{rig.url}/version", timeout=60).json()["gitVersion"] == "v1.33.13"
        nodes = httpx.get(f"{rig.url}/api/v1/nodes", headers=rig.headers, timeout=60).json()["items"]
        assert nodes[0]["metadata"]["name"] == "node1"
