"""Writes to the simulated cluster: who owns which field, what is refused, what a patch does."""

from __future__ import annotations

from typing import Any

import pytest

from .kubernetes_ground import DEPLOYMENT, SPACE, Caller, container_of, deployment

CONFIGS = f"/api/v1/namespaces/{SPACE}/configmaps"


def _config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": data}


def test_what_an_apply_no_longer_speaks_of_is_removed(caller: Caller) -> None:
    obj = deployment()
    container_of(obj)["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    caller.applied(obj)
    container_of(obj)["env"] = [{"name": "B", "value": "2"}]
    assert container_of(caller.applied(obj))["env"] == [{"name": "B", "value": "2"}]
    del container_of(obj)["env"]
    assert "env" not in container_of(caller.applied(obj))


def test_what_another_manager_has_too_stays(caller: Caller) -> None:
    caller.applied(_config(a="1", b="2"), f"{CONFIGS}/web")
    caller.applied(_config(a="1"), f"{CONFIGS}/web", manager="other")
    assert caller.applied(_config(b="2"), f"{CONFIGS}/web")["data"] == {"a": "1", "b": "2"}
    assert caller.applied(_config(), f"{CONFIGS}/web", manager="other")["data"] == {"b": "2"}


def test_two_managers_may_agree(caller: Caller) -> None:
    caller.applied(deployment())
    same = caller.applied(deployment(), manager="other")
    owners = [entry["manager"] for entry in same["metadata"]["managedFields"] if entry["operation"] == "Apply"]
    assert sorted(owners) == ["other", "portal"], "in the order of their time, a second; what shares one by name"


def test_a_conflict_names_every_field_and_its_owner(caller: Caller) -> None:
    caller.applied(deployment())
    caller.rig.faults.edit("deployments", SPACE, "web", {"spec": {"replicas": 7}})
    wanted = deployment("rig.local/app:v2", replicas=3)
    answer = caller.apply(wanted)
    assert answer.status_code == 409
    assert answer.json()["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas'
    )
    answer = caller.apply(wanted, manager="third")
    assert answer.json()["message"].splitlines() == [
        'Apply failed with 2 conflicts: conflicts with "kubectl-edit" using apps/v1:',
        "- .spec.replicas",
        'conflicts with "portal":',
        '- .spec.template.spec.containers[name="app"].image',
    ]


def test_a_value_that_only_looks_right_breaks_the_server_half_way(caller: Caller) -> None:
    """As a Kubernetes 1.20 said it, and newer ones with the object's name."""
    obj = deployment()
    container_of(obj)["resources"] = {"limits": {"cpu": "much"}}
    answer = caller.apply(obj)
    assert answer.status_code == 500
    assert answer.json()["message"].startswith("failed to convert new object")
    assert "apps/v1, Kind=Deployment: quantities must match the regular expression" in answer.json()["message"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "data": {"a": "%%%"}}
    answer = caller.apply(secret, f"/api/v1/namespaces/{SPACE}/secrets/web")
    assert answer.status_code == 500
    assert "to /v1, Kind=Secret: error decoding from json: illegal base64" in answer.json()["message"].replace("convert unstructured object ", "")  # fmt: skip
    container_of(obj)["resources"] = {"limits": {"cpu": "1500m", "memory": "1.5Gi"}}
    caller.applied(obj)


def test_force_takes_the_field_over(caller: Caller) -> None:
    caller.applied(deployment())
    taken = caller.applied(deployment(replicas=5), manager="other", force="true")
    assert taken["spec"]["replicas"] == 5
    fields = {entry["manager"]: entry["fieldsV1"] for entry in taken["metadata"]["managedFields"]}
    assert "f:replicas" not in fields["portal"]["f:spec"]
    assert "f:replicas" in fields["other"]["f:spec"]


def test_lists_are_merged_by_their_keys(caller: Caller) -> None:
    obj = deployment()
    container_of(obj)["ports"].append({"containerPort": 80, "protocol": "UDP"})
    caller.applied(obj)
    side = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "rig.local/side:v1"}]}}},
    }  # fmt: skip
    both = caller.applied(side, manager="mesh")
    assert [each["name"] for each in both["spec"]["template"]["spec"]["containers"]] == ["side", "app"]
    again = caller.applied(obj)
    assert {each["name"] for each in again["spec"]["template"]["spec"]["containers"]} == {"side", "app"}
    app = next(each for each in again["spec"]["template"]["spec"]["containers"] if each["name"] == "app")
    assert [(port["containerPort"], port["protocol"]) for port in app["ports"]] == [(80, "TCP"), (80, "UDP")]


def test_a_dry_run_stores_nothing(caller: Caller) -> None:
    caller.applied(deployment())
    before = caller.rig.revision()
    assert caller.applied(deployment(replicas=9), dryRun="All")["spec"]["replicas"] == 9
    assert caller.get(DEPLOYMENT)["spec"]["replicas"] == 2
    assert caller.apply(deployment(replicas=9), manager="other", dryRun="All").status_code == 409
    assert caller.rig.get("deployments", SPACE, "web")["metadata"]["generation"] == 1  # type: ignore[index]
    assert before <= caller.rig.revision()


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"replicas": "two"}, 500, ".spec.replicas: expected numeric (int or float), got string"),
        ({"replicas": -1}, 422, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": {}}, 422, "spec.selector: Required value"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    caller: Caller, change: dict[str, Any], status: int, said: str
) -> None:
    obj = deployment()
    obj["spec"] |= change
    answer = caller.apply(obj)
    assert answer.status_code == status
    assert said in answer.json()["message"]


def test_create_and_update_may_be_strict_too(caller: Caller) -> None:
    obj = deployment()
    obj["spec"]["replicaz"] = 3
    path = DEPLOYMENT.rpartition("/")[0]
    refused = caller.refused("POST", path, obj, params={"fieldValidation": "Strict"})
    assert (refused["code"], refused["message"]) == (400, 'strict decoding error: unknown field "spec.replicaz"')
    answer = caller.http.post(path, json=obj)
    assert (answer.status_code, answer.headers["Warning"]) == (201, '299 - "unknown field \\"spec.replicaz\\""')
    assert "replicaz" not in answer.json()["spec"]


def test_an_update_of_something_older_is_refused(caller: Caller) -> None:
    obj = caller.applied(_config(a="1"), f"{CONFIGS}/web")
    caller.applied(_config(a="2"), f"{CONFIGS}/web")
    obj["data"] = {"a": "3"}
    refused = caller.refused("PUT", f"{CONFIGS}/web", obj)
    assert (refused["code"], refused["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refused["message"]


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        ("application/merge-patch+json", {"data": {"a": None, "b": "2"}}),
        ("application/strategic-merge-patch+json", {"data": {"a": None, "b": "2"}}),
        ("application/json-patch+json", [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}]),
    ],
)  # fmt: skip
def test_patches_of_three_kinds(caller: Caller, media: str, patch: Any) -> None:
    caller.applied(_config(a="1"), f"{CONFIGS}/web")
    answer = caller.http.patch(
        f"{CONFIGS}/web", json=patch, headers={"Content-Type": media, "User-Agent": "kubectl/v1"}
    )
    assert answer.json()["data"] == {"b": "2"}
    assert [entry["manager"] for entry in answer.json()["metadata"]["managedFields"]] == ["kubectl"]


def test_a_strategic_patch_finds_the_container_by_name(caller: Caller) -> None:
    caller.applied(deployment())
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "rig.local/app:v2"}]}}}}
    media = {"Content-Type": "application/strategic-merge-patch+json"}
    found = caller.http.patch(DEPLOYMENT, json=patch, headers=media).json()
    assert container_of(found)["image"] == "rig.local/app:v2"
    assert container_of(found)["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_an_object_needs_its_namespace(caller: Caller) -> None:
    obj = deployment() | {"metadata": {"name": "web"}}
    refused = caller.apply(obj, "/apis/apps/v1/namespaces/nowhere/deployments/web")
    assert (refused.status_code, refused.json()["message"]) == (404, 'namespaces "nowhere" not found')
    refused = caller.apply(deployment(), "/apis/apps/v1/namespaces/default/deployments/web")
    assert refused.status_code == 400
    assert "does not match the namespace sent" in refused.json()["message"]
