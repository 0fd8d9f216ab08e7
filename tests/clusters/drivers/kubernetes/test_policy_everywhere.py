"""What may not come into a cluster is refused wherever it stands and however it is spelled, and nothing trips over its form."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.runtime.kubernetes import names, policy
from clusters.drivers.runtime.kubernetes.names import DEPLOYABLE, Resource

STATEFUL, JOB, CRON = names.STATEFULSETS, names.JOBS, names.CRONJOBS
MAKERS = (names.DEPLOYMENTS, names.REPLICASETS, STATEFUL, JOB, CRON, names.PODS)
GROUPS = ("containers", "initContainers", "ephemeralContainers")
by_resource = pytest.mark.parametrize("resource", MAKERS, ids=lambda one: one.kind)


def manifest(resource: Resource, pod: Any, notes: dict[str, str] | None = None) -> dict[str, Any]:
    """An object of that kind whose pods are made so."""
    metadata = {"annotations": notes} if notes else {}
    found: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "web"}}
    if resource is names.PODS:
        return {**found, "metadata": {**metadata, "name": "web"}, "spec": pod}
    spec: Any = {"template": {"metadata": metadata, "spec": pod}}
    return {**found, "spec": {"jobTemplate": {"spec": spec}} if resource is CRON else spec}


def told(item: Any, resource: Resource) -> list[str]:
    return [str(one) for one in policy.refusals(item, "shop", resource)]


# Each with a word of its sentence. What a server would read as true is true here, whatever its type.
YES: tuple[Any, ...] = (True, "true", "yes", 1, ["x"], {"a": 1})
OF_PODS: list[tuple[dict[str, Any], str]] = [
    ({word: yes}, word) for word in ("hostNetwork", "hostPID", "hostIPC") for yes in YES
]
OF_PODS += [
    ({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": path}}]}, "hostPath")
    for path in ("/", "/var/run/docker.sock", "", None)
]
OF_PODS += [({"volumes": [{"name": "v", word: None}]}, word) for word in sorted(policy.RUN_ON_NODES)]
OF_CONTAINERS: list[tuple[dict[str, Any], str]] = [
    ({"securityContext": {"privileged": yes}}, "privileged") for yes in YES
]
OF_CONTAINERS += [({"securityContext": {"allowPrivilegeEscalation": yes}}, "privileged") for yes in YES]
OF_CONTAINERS += [
    ({"securityContext": {"capabilities": {"add": added}}}, "capability")
    for added in (
        ["ALL"], ["SYS_ADMIN"], ["sys_admin"], ["CAP_SYS_ADMIN"], ["cap_sys_admin"], ["CAP_CAP_CHOWN"], [" CHOWN"], ["chown"],
        ["CHOWN", "NET_ADMIN"], [None], [["CHOWN"]], [{"CHOWN": 1}], "CHOWN,NET_ADMIN", {"NET_ADMIN": True},
    )
]  # fmt: skip
OF_CONTAINERS += [
    ({"securityContext": {"procMount": word}}, "/proc") for word in ("Unmasked", "unmasked", "", ["Default"], True)
]
OF_CONTAINERS += [
    ({"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": port}]}, "hostPort")
    for port in (81, "81", -1, [1])
]
OF_BOTH: list[tuple[dict[str, Any], str]] = [
    ({"securityContext": {word: {"type": "Unconfined"}}}, word) for word in ("seccompProfile", "appArmorProfile")
] + [({"securityContext": {"windowsOptions": {"hostProcess": yes}}}, "hostProcess") for yes in YES]


def spelled(one: Any) -> str:
    return one if isinstance(one, str) else json.dumps(one)[:70]


@by_resource
@pytest.mark.parametrize(("pod", "word"), OF_PODS + OF_BOTH, ids=spelled)
def test_no_pod_reaches_for_its_node(resource: Resource, pod: dict[str, Any], word: str) -> None:
    (sentence,) = told(manifest(resource, pod), resource)
    assert sentence.startswith(f"The {resource.kind} “web” ")
    assert word in sentence


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("container", "word"), OF_CONTAINERS + OF_BOTH, ids=spelled)
def test_no_container_of_any_sort_has_more_rights_than_others(group: str, container: dict[str, Any], word: str) -> None:
    for resource in MAKERS:
        pod = {"containers": [{"name": "app"}]} | {group: [{"name": "good"}, {"name": "bad", **container}]}
        (sentence,) = told(manifest(resource, pod), resource)
        assert word in sentence


@by_resource
@pytest.mark.parametrize("value", ["unconfined", "runtime/default", "localhost/mine"])
def test_an_annotation_takes_no_guard_off(resource: Resource, value: str) -> None:
    found = told(manifest(resource, {}, {f"{policy.APPARMOR}app": value, "other": "unconfined"}), resource)
    assert bool(found) is (value == "unconfined")


@pytest.mark.parametrize("capability", sorted(policy.OPEN_CAPABILITIES))
@pytest.mark.parametrize("prefix", ["", "CAP_"], ids=["plain", "prefixed"])
def test_capabilities_that_a_container_has_anyway_may_be_named(capability: str, prefix: str) -> None:
    for added in ([prefix + capability], prefix + capability):
        pod = {"containers": [{"name": "app", "securityContext": {"capabilities": {"add": added}}}]}
        assert told(manifest(names.DEPLOYMENTS, pod), names.DEPLOYMENTS) == []


@by_resource
def test_everything_that_is_wrong_is_told_at_once(resource: Resource) -> None:
    bad = {"name": "bad", "securityContext": {"privileged": True, "procMount": "Unmasked"}, "ports": [{"hostPort": 1}]}
    pod = {"hostPID": True, "volumes": [{"hostPath": {}, "gitRepo": {}}], "containers": [bad], "initContainers": [bad]}
    assert len(told(manifest(resource, pod), resource)) == 9


@by_resource
def test_judging_changes_nothing(resource: Resource) -> None:
    item = manifest(resource, {"hostPID": True, "containers": [{"name": "a", "securityContext": {"privileged": True}}]})
    before = copy.deepcopy(item)
    assert told(item, resource) == told(item, resource)
    assert item == before


# -- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("a", True), ("a1", True), ("1a", True), ("a-b", True), ("a.b", True), ("x" * 63, True), (".".join(["x" * 63] * 3), True),
        ("x" * 64, False), (".".join(["x" * 50] * 5), False), ("", False), ("-a", False), ("a-", False), ("a..b", False),
        (".a", False), ("a.", False), ("A", False), ("a_b", False), ("a b", False), ("a\n", False), ("a\0", False), ("é", False),
        ("../secrets", False), ("a?x=1", False), ("a%2fb", False), ("a#b", False),
    ],
    ids=lambda one: ascii(one)[:30],
)  # fmt: skip
@pytest.mark.parametrize("resource", DEPLOYABLE, ids=lambda one: one.kind)
def test_only_a_name_that_needs_no_escaping_becomes_part_of_a_path(resource: Resource, name: str, fine: bool) -> None:
    item = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
    assert told(item, resource) == ([] if fine else [f"“{name[:100]}” is no name in Kubernetes."])


@pytest.mark.parametrize(
    "namespace", ["other", "Shop", "shop ", "shop\n", "kube-system", 5, True, ["shop"], {"a": 1}], ids=repr
)
@pytest.mark.parametrize("resource", DEPLOYABLE, ids=lambda one: one.kind)
def test_nothing_goes_into_another_namespace(resource: Resource, namespace: Any) -> None:
    item = {
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "web", "namespace": namespace},
    }  # fmt: skip
    assert told(item, resource) == [
        f"The {resource.kind} “web” is for the namespace “{namespace}”; this machine is “shop”."
    ]


@pytest.mark.parametrize("item", [None, "x", 5, [], ["kind"], True], ids=repr)
def test_what_is_no_object_is_told(item: Any) -> None:
    assert [str(one) for one in policy.refusals(item, "shop")] == [
        "A manifest is an object with apiVersion, kind and metadata."
    ]


# -- any form -----------------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (None, "x", 0, 1, True, 1.5, [], {}, ["x"], [None], [[]], {"name": 5}, [{"name": None}], [{}])
WHOLE = {
    "hostNetwork": True, "volumes": [{"name": "v", "hostPath": {"path": "/"}}], "securityContext": {"seccompProfile": {"type": "x"}},
    "containers": [
        {
            "name": "a", "ports": [{"hostPort": 1}],
            "securityContext": {"capabilities": {"add": ["ALL"]}, "windowsOptions": {"hostProcess": True}, "procMount": "x"},
        }
    ],
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything below it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        yield (*path, key)
        yield from places(one, (*path, key))


@by_resource
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_wrong_form_anywhere_is_judged_and_nothing_worse(resource: Resource, odd: Any) -> None:
    whole = manifest(resource, WHOLE, {f"{policy.APPARMOR}a": "unconfined"})
    for path in places(whole):
        item = copy.deepcopy(whole)
        holder = item
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = copy.deepcopy(odd)
        assert all(len(sentence) < 700 for sentence in told(item, resource)), path


words = st.sampled_from(
    ["kind", "metadata", "name", "spec", "template", "jobTemplate", "containers", "securityContext", "x"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4), max_leaves=15,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(anything, st.sampled_from([None, *MAKERS]))
def test_whatever_comes_is_judged(item: Any, resource: Resource | None) -> None:
    assert all(str(sentence) for sentence in policy.refusals(item, "shop", resource))
