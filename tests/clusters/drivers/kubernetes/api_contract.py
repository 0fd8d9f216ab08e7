"""What the portal relies on in any API server, asked through `Api`: the same tests for the simulator and for a real one.

A subclass gives `api` and `namespace`, one that is ours alone. Every test names its objects by itself.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from clusters.drivers.runtime.kubernetes.api import APPLY_PATCH, MERGE_PATCH, Answer, Api, judge
from clusters.drivers.runtime.kubernetes.checking import IN_NAMESPACE, NEEDED, check, too_old
from clusters.drivers.runtime.kubernetes.names import (
    AUTOSCALERS,
    CONFIGMAPS,
    DEPLOYMENTS,
    EVENTS,
    FOLLOWED,
    INGRESSES,
    NODES,
    PODS,
    SECRETS,
    SERVICE,
    SERVICES,
    Resource,
)
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound, Rejected
from tests.waiting import until

PATIENCE = 60.0


def manifest(resource: Resource, name: str, key: str = "", **more: Any) -> dict[str, Any]:
    labels = {SERVICE: key or name}
    facts = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**facts, "metadata": {"name": name, "labels": labels}, **more}


def deployment(name: str, replicas: int = 0, image: str = "registry.example/app:1", **more: Any) -> dict[str, Any]:
    """By default without pods, so that a cluster needs no image."""
    pod = {
        "metadata": {"labels": {"app": name, SERVICE: name}},
        "spec": {"containers": [{"name": "app", "image": image}], "terminationGracePeriodSeconds": 1},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod, **more}
    return manifest(DEPLOYMENTS, name, spec=spec)


def version_of(answer: Answer) -> str:
    return str(answer.json()["metadata"]["resourceVersion"])


class ApiContract:
    @pytest.fixture
    def name(self) -> str:
        return f"fdd-{uuid.uuid4().hex[:8]}"

    def test_it_says_which_version_it_is(self, api: Api) -> None:
        said = api.call("GET", "/version")
        assert said["gitVersion"].startswith("v1.")
        assert not too_old(said["gitVersion"])

    def test_the_account_lacks_nothing_that_is_needed(self, api: Api, namespace: str) -> None:
        found = check(api, [namespace])
        assert found.ok, [str(one) for one in found.missing]
        assert found.version

    def test_a_namespace_that_is_not_there_is_told(self, api: Api, namespace: str) -> None:
        found = check(api, [namespace, f"{namespace}-gone"])
        if any(one.params.get("resource") == "namespaces" for one in found.missing):
            pytest.skip("the account may not look at namespaces")
        assert f"there is no namespace {namespace}-gone" in [str(one) for one in found.missing]

    def test_what_is_followed_can_be_listed_and_says_from_where_to_watch(self, api: Api, namespace: str) -> None:
        for resource in FOLLOWED:
            if resource is not NODES:
                page = api.call("GET", resource.path(namespace), query={"limit": 1})
                assert page["metadata"]["resourceVersion"], resource.key

    @pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS], ids=lambda one: one.key)
    def test_an_object_is_made_kept_changed_and_deleted(
        self, api: Api, namespace: str, name: str, resource: Resource
    ) -> None:
        text = {"a": "1"} if resource is CONFIGMAPS else {"a": "MQ=="}
        first = api.apply(resource, namespace, manifest(resource, name, data=text))
        assert first.status == 201
        again = api.apply(resource, namespace, manifest(resource, name, data=text))
        assert (again.status, version_of(again)) == (200, version_of(first))
        changed = api.apply(resource, namespace, manifest(resource, name, data={**text, "b": "Mg=="}))
        assert (changed.status, version_of(changed) != version_of(first)) == (200, True)
        removed = api.apply(resource, namespace, manifest(resource, name, data={"b": "Mg=="}))
        assert removed.json()["data"] == {"b": "Mg=="}, "what is not applied any more is gone"
        kept = api.get(resource, namespace, name)
        assert kept is not None
        assert kept["metadata"]["labels"] == {SERVICE: name}
        assert not api.delete(resource, namespace, name, uid="00000000-0000-0000-0000-000000000000")
        assert api.delete(resource, namespace, name, uid=kept["metadata"]["uid"])
        assert not api.delete(resource, namespace, name)
        assert api.get(resource, namespace, name) is None

    def test_a_dry_run_shows_what_would_be_and_changes_nothing(self, api: Api, namespace: str, name: str) -> None:
        shown = api.apply(DEPLOYMENTS, namespace, deployment(name), dry_run=True)
        assert shown.status == 201
        assert shown.json()["spec"]["strategy"]["type"] == "RollingUpdate", "with the defaults"
        assert api.get(DEPLOYMENTS, namespace, name) is None

    def test_every_kind_that_is_deployed_is_taken(self, api: Api, namespace: str, name: str) -> None:
        port = {"port": 80, "targetPort": 8080, "name": "http", "protocol": "TCP"}
        backend = {"service": {"name": name, "port": {"number": 80}}}
        rule = {"host": "x.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        wanted = [
            (DEPLOYMENTS, deployment(name)),
            (SERVICES, manifest(SERVICES, name, spec={"selector": {"app": name}, "ports": [port]})),
            (INGRESSES, manifest(INGRESSES, name, spec={"rules": [rule]})),
            (AUTOSCALERS, manifest(AUTOSCALERS, name, spec={"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3})),
        ]  # fmt: skip
        for resource, given in wanted:
            answer = api.apply(resource, namespace, given, dry_run=resource in (INGRESSES, AUTOSCALERS))
            assert answer.status == 201, (resource.key, answer.body[:500])
        for resource in (SERVICES, DEPLOYMENTS):
            assert api.delete(resource, namespace, name)

    def test_another_managers_field_is_a_conflict_until_it_is_taken(self, api: Api, namespace: str, name: str) -> None:
        api.apply(CONFIGMAPS, namespace, manifest(CONFIGMAPS, name, data={"a": "ours"}))
        theirs = json.dumps(manifest(CONFIGMAPS, name, data={"a": "theirs"}))
        path = CONFIGMAPS.path(namespace, name)
        query = {"fieldManager": "somebody-else", "force": "true"}
        api.call("PATCH", path, query=query, body=theirs, content_type=APPLY_PATCH)
        answer = api.apply(CONFIGMAPS, namespace, manifest(CONFIGMAPS, name, data={"a": "ours again"}))
        assert answer.status == 409
        cause = answer.json()["details"]["causes"][0]
        assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
        assert "somebody-else" in cause["message"]
        assert isinstance(judge(answer), Conflict)
        forced = api.apply(CONFIGMAPS, namespace, manifest(CONFIGMAPS, name, data={"a": "ours again"}), force=True)
        assert forced.json()["data"] == {"a": "ours again"}
        api.delete(CONFIGMAPS, namespace, name)

    def test_what_it_cannot_be_is_refused_with_the_field(self, api: Api, namespace: str, name: str) -> None:
        unknown = api.apply(DEPLOYMENTS, namespace, deployment(name, replicaz=3), dry_run=True)
        assert isinstance(judge(unknown), Invalid), unknown.body[:500]
        assert "replicaz" in str(judge(unknown).sentence)
        wrong = api.apply(DEPLOYMENTS, namespace, deployment(name, strategy={"type": "Nonsense"}), dry_run=True)
        assert wrong.status == 422
        assert "strategy" in str(judge(wrong).sentence)
        api.apply(DEPLOYMENTS, namespace, deployment(name))
        other = deployment(name)
        other["spec"]["selector"]["matchLabels"] = other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        immutable = api.apply(DEPLOYMENTS, namespace, other)
        assert immutable.status == 422
        assert "immutable" in str(judge(immutable).sentence)
        api.delete(DEPLOYMENTS, namespace, name)

    def test_a_list_chooses_by_labels_and_fields_and_comes_in_pages(self, api: Api, namespace: str, name: str) -> None:
        names = [f"{name}-{number}" for number in range(5)]
        for one in names:
            api.apply(CONFIGMAPS, namespace, manifest(CONFIGMAPS, one, key=name))
        mine = api.list(CONFIGMAPS, namespace, labels=f"{SERVICE}={name}")
        assert sorted(one["metadata"]["name"] for one in mine) == names
        assert {one["kind"] for one in mine} == {"ConfigMap"}
        one = api.list(CONFIGMAPS, namespace, fields=f"metadata.name={names[3]}")
        assert [each["metadata"]["name"] for each in one] == [names[3]]
        seen: list[str] = []
        query: dict[str, str | int] = {"limit": 2, "labelSelector": f"{SERVICE}={name}"}
        while True:
            page = api.call("GET", CONFIGMAPS.path(namespace), query=query)
            seen += [each["metadata"]["name"] for each in page["items"]]
            if not page["metadata"].get("continue"):
                break
            query["continue"] = page["metadata"]["continue"]
        assert seen == names
        for each in names:
            api.delete(CONFIGMAPS, namespace, each)

    def test_a_merge_patch_changes_what_it_names(self, api: Api, namespace: str, name: str) -> None:
        api.apply(CONFIGMAPS, namespace, manifest(CONFIGMAPS, name, data={"a": "1", "b": "2"}))
        patch = {"data": {"a": "3", "b": None}}
        for body in (patch, json.dumps(patch)):  # an object, or the text of one
            changed = api.call("PATCH", CONFIGMAPS.path(namespace, name), body=body, content_type=MERGE_PATCH)
            assert changed["data"] == {"a": "3"}
        api.delete(CONFIGMAPS, namespace, name)

    def test_what_is_not_there_is_told_apart(self, api: Api, namespace: str, name: str) -> None:
        assert api.get(PODS, namespace, name) is None
        with pytest.raises(NotFound):
            api.call("GET", PODS.path(namespace, name))
        assert api.list(EVENTS, namespace, fields=f"involvedObject.name={name}") == []

    def test_a_wrong_token_is_refused_as_such(self, api: Api, namespace: str) -> None:
        wrong = Api(replace(api.access, token="wrong", token_file="", certificate="", key=""))
        with pytest.raises(Rejected) as refusal:
            wrong.list(PODS, namespace)
        assert refusal.value.code == "unauthorized"
        wrong.close()

    def test_a_deployment_controls_replica_sets_and_goes_with_them(
        self, api: Api, namespace: str, name: str, image: str
    ) -> None:
        api.apply(DEPLOYMENTS, namespace, deployment(name, 1, image))
        pods = until(lambda: api.list(PODS, namespace, labels=f"app={name}"), PATIENCE, what="a pod")
        assert pods[0]["metadata"]["labels"][SERVICE] == name
        assert pods[0]["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
        assert api.delete(DEPLOYMENTS, namespace, name)
        until(lambda: api.get(DEPLOYMENTS, namespace, name) is None, PATIENCE, what="the end of the deployment")
        assert api.list(PODS, namespace, labels=f"app={name}") == []

    def test_all_rights_are_rights_that_the_server_knows(self, api: Api, namespace: str) -> None:
        starts = {right.resource.path(namespace).partition("/namespaces")[0] for right in IN_NAMESPACE}
        needed = {right.resource.path(namespace).partition("/namespaces")[0] for right in NEEDED}
        for start in sorted(starts):
            served = api.ask("GET", start)
            if served.status == 404 and start not in needed:
                continue  # a server that has no Jobs, say, is still one to deploy to
            known = {one["name"]: one["verbs"] for one in served.json()["resources"]}
            for right in IN_NAMESPACE:
                if right.resource.path(namespace).startswith(f"{start}/") and not right.subresource:
                    assert right.verb in known[right.resource.plural], (right.verb, right.named)
