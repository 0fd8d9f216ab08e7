"""Manifests as people read them: masked, canonical, compared without what only a server says."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml

from clusters.drivers.runtime.base import FieldConflict
from clusters.drivers.runtime.kubernetes import manifests, names
from tests.clusters.drivers.kubernetes.goals import goal, recorded, rendered


def test_the_canonical_text_is_yaml_of_every_object_and_its_hash_is_its_own() -> None:
    found = rendered(goal(secrets={"A": "secret-a"}))
    text = manifests.canonical(found)
    assert [one["kind"] for one in yaml.safe_load_all(text)] == ["Secret", "Service", "Deployment"]
    assert "secret-a" not in text
    assert manifests.digest_of(text) != manifests.digest_of(manifests.canonical(found[1:]))
    shuffled = [dict(reversed(one.items())) for one in found]
    assert manifests.canonical(shuffled) == text, "the order of keys means nothing"


def test_masking_leaves_the_manifest_itself_as_it_was() -> None:
    (secret, *_) = rendered(goal(secrets={"A": "x"}))
    before = copy.deepcopy(secret)
    assert manifests.masked(secret)["data"] == {"A": manifests.MASK}
    assert secret == before
    assert manifests.masked({"kind": "Secret", "stringData": {"b": "x", "a": "y"}})["stringData"] == {
        "a": manifests.MASK, "b": manifests.MASK,
    }  # fmt: skip


def test_what_only_the_server_says_is_no_difference() -> None:
    (created,), (again,) = recorded("apply-create"), recorded("apply-unchanged")
    for one in (created, again):
        text = manifests.comparable(one)
        for word in ("resourceVersion", "managedFields", "uid", "status", "creationTimestamp: '2026"):
            assert word not in text
    changed = copy.deepcopy(created)
    changed["metadata"] |= {
        "generation": 9,
        "labels": {**created["metadata"]["labels"], names.DEPLOYMENT: "x"},
        "annotations": {names.GENERATION: "4", names.MANIFEST: "ab", "deployment.kubernetes.io/revision": "8"},
    }
    assert manifests.comparable(changed) == manifests.comparable(created)
    assert manifests.comparable(None) == ""


def test_a_secret_that_somebody_applied_by_hand_is_not_told_by_its_annotation() -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    live: dict[str, Any] = {
        "kind": "Secret", "apiVersion": "v1", "data": {"A": "aHVudGVyMg=="},
        "metadata": {"name": "s", "annotations": {last: json.dumps({"data": {"A": "aHVudGVyMg=="}})}},
    }  # fmt: skip
    assert "aHVudGVyMg" not in manifests.comparable(live)


def test_a_difference_is_headed_by_what_it_is_about() -> None:
    diff = manifests.unified("Deployment/shop", "a: 1\nb: 2\n", "a: 1\nb: 3\n")
    assert diff.startswith("--- applied/Deployment/shop\n+++ wanted/Deployment/shop\n")
    assert "-b: 2\n+b: 3\n" in diff
    assert manifests.unified("x", "a", "a") == ""


def test_conflicts_are_read_field_by_field_with_their_owner() -> None:
    (status,) = recorded("apply-conflict")
    assert manifests.conflicts_of(status, "Deployment/hello") == (
        FieldConflict("Deployment/hello", "spec.replicas", "portal"),
    )
    scaled = {
        "reason": "FieldManagerConflict", "field": ".spec.replicas",
        "message": 'conflict with "kubectl" with subresource "scale" using apps/v1',
    }  # fmt: skip
    other = {"reason": "FieldValueInvalid", "field": "x", "message": "y"}
    assert manifests.conflicts_of({"details": {"causes": [scaled, other]}}, "D/x") == (
        FieldConflict("D/x", "spec.replicas", "kubectl"),
    )
    assert manifests.conflicts_of(recorded("create-already-exists")[-1], "x") == ()
    assert manifests.conflicts_of({}, "x") == ()


def test_config_is_found_wherever_a_pod_may_name_it() -> None:
    pod = {
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [
            {"name": "a", "configMap": {"name": "files"}},
            {"name": "b", "secret": {"secretName": "keys"}},
            {"name": "c", "projected": {"sources": [{"secret": {"name": "p1"}}, {"configMap": {"name": "p2"}}]}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "not-config"}},
        ],
        "initContainers": [
            {"name": "i", "envFrom": [{"configMapRef": {"name": "from"}}, {"secretRef": {"name": "sfrom"}}]}
        ],
        "containers": [
            {
                "name": "app",
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "A"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cenv", "key": "B"}}},
                    {"name": "configMap", "value": "x"},
                ],
            }
        ],
    }
    assert manifests.config_of(pod) == {
        "Secret/pull", "ConfigMap/files", "Secret/keys", "Secret/p1", "ConfigMap/p2", "ConfigMap/from", "Secret/sfrom",
        "Secret/env", "ConfigMap/cenv",
    }  # fmt: skip
    assert manifests.config_of({}) == set()


def test_the_main_deployment_is_the_one_whose_pods_carry_our_mark() -> None:
    found = rendered(goal())
    assert manifests.main_of(found)["kind"] == "Deployment"
    assert not manifests.is_main({"kind": "Deployment", "spec": {"template": {"metadata": {"labels": {"app": "x"}}}}})
    assert not manifests.is_main({"kind": "Deployment", "spec": {}})
    assert not manifests.is_main({"kind": "Service"})
