"""What nobody may bring into a cluster: each refusal with its sentence, and what is fine passes."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.drivers.runtime.kubernetes import names, policy
from clusters.drivers.runtime.kubernetes.names import Resource

JOBS = Resource("CronJob", "cronjobs", "batch")


def of_pod(kind: str, pod: dict[str, Any]) -> dict[str, Any]:
    """A manifest of that kind whose pods are made so."""
    spec: dict[str, Any] = {"template": {"spec": pod}}
    if kind == "Pod":
        spec = pod
    elif kind == "CronJob":
        spec = {"jobTemplate": {"spec": spec}}
    version = {"Pod": "v1", "CronJob": "batch/v1", "Job": "batch/v1"}.get(kind, "apps/v1")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def told(manifest: Any, resource: Resource | None = None) -> list[str]:
    return [str(one) for one in policy.refusals(manifest, "shop-test", resource)]


def of_container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "app", **fields}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"hostNetwork": True}, "wants “hostNetwork”, the node's own; that is not allowed."),
    ({"hostPID": True}, "wants “hostPID”"),
    ({"hostIPC": "yes"}, "wants “hostIPC”"),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]}, "mounts a path of the node (hostPath)"),
    ({"volumes": [{"name": "v", "hostPath": None}]}, "mounts a path of the node (hostPath)"),
    (of_container(securityContext={"privileged": True}), "wants a privileged container"),
    (of_container(securityContext={"allowPrivilegeEscalation": True}), "wants a privileged container"),
    (of_container(securityContext={"capabilities": {"add": ["CHOWN", "SYS_ADMIN"]}}), "the capability “SYS_ADMIN”"),
    (of_container(securityContext={"capabilities": {"add": ["CAP_NET_RAW"]}}), "the capability “CAP_NET_RAW”"),
    (of_container(securityContext={"capabilities": {"add": ["ALL"]}}), "the capability “ALL”"),
    (of_container(securityContext={"capabilities": {"add": "SYS_ADMIN"}}), "the capability “SYS_ADMIN”"),
    (of_container(securityContext={"capabilities": {"add": 5}}), "the capability “5”"),
    (of_container(securityContext={"procMount": "Unmasked"}), "wants an unmasked /proc"),
    (of_container(securityContext={"seccompProfile": {"type": "Unconfined"}}), "takes off the guard “seccompProfile”"),
    ({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, "takes off the guard “appArmorProfile”"),
    ({"volumes": [{"name": "v", "gitRepo": {"repository": "https://git.example/x"}}]}, "mounts a “gitRepo”"),
    ({"volumes": [{"name": "v", "flexVolume": {"driver": "x/y"}}]}, "mounts a “flexVolume”"),
    ({"securityContext": {"windowsOptions": {"hostProcess": True}}}, "wants a process of the node (hostProcess)"),
    (of_container(ports=[{"containerPort": 80, "hostPort": 80}]), "wants a port of the node (hostPort)"),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "says"), REFUSED)
@pytest.mark.parametrize("kind", ["Deployment", "Pod", "CronJob"])
def test_each_reach_beyond_a_container_is_refused_wherever_pods_come_from(
    kind: str, pod: dict[str, Any], says: str
) -> None:
    resource = {"Deployment": None, "Pod": names.PODS, "CronJob": JOBS}[kind]
    (sentence,) = told(of_pod(kind, pod), resource)
    assert says in sentence
    assert sentence.startswith(f"The {kind} “x” ")


@pytest.mark.parametrize("group", ["initContainers", "ephemeralContainers"])
def test_containers_that_run_beside_are_judged_too(group: str) -> None:
    pod = {"containers": [{"name": "a"}], group: [{"name": "b", "securityContext": {"privileged": True}}]}
    assert len(told(of_pod("Deployment", pod))) == 1


@pytest.mark.parametrize(
    "volume",
    [
        {"emptyDir": {}}, {"configMap": {"name": "c"}}, {"secret": {"secretName": "s"}}, {"projected": {"sources": []}},
        {"csi": {"driver": "secrets-store.csi.k8s.io"}}, {"downwardAPI": {}}, {"persistentVolumeClaim": {"claimName": "p"}},
        {"ephemeral": {}}, {"image": {"reference": "x"}},
    ],
)  # fmt: skip
def test_volumes_that_are_not_the_node_s_are_fine(volume: dict[str, Any]) -> None:
    assert told(of_pod("Deployment", {"volumes": [{"name": "v", **volume}]})) == []


def test_a_careful_pod_is_fine() -> None:
    careful = {
        "hostNetwork": False, "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "app", "ports": [{"containerPort": 80}],
                "securityContext": {
                    "privileged": False, "allowPrivilegeEscalation": False, "procMount": "Default",
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
            }
        ],
    }  # fmt: skip
    assert told(of_pod("Deployment", careful)) == []


@pytest.mark.parametrize(
    ("spec", "fine"),
    [
        ({}, True), ({"type": "ClusterIP"}, True), ({"type": "NodePort"}, True), ({"type": "LoadBalancer"}, True),
        ({"type": None}, True), ({"type": "ExternalName", "externalName": "evil.example"}, False),
        ({"externalIPs": ["10.0.0.1"]}, False), ({"type": ["ClusterIP"]}, False), ({"externalIPs": []}, True),
    ],
)  # fmt: skip
def test_a_service_sends_its_callers_nowhere_else(spec: dict[str, Any], fine: bool) -> None:
    found = told({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
    assert found == ([] if fine else ["The Service “web” would send its callers to addresses outside the cluster."])


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"name": "x", "namespace": "other"}, "is for the namespace “other”; this machine is “shop-test”."),
        ({"name": "x", "namespace": ["shop-test"]}, "this machine is “shop-test”."),
        ({"name": "../x"}, "is no name in Kubernetes"),
        ({"name": "x/y"}, "is no name in Kubernetes"),
        ({"name": "X"}, "is no name in Kubernetes"),
        ({"name": "x" * 300}, "is no name in Kubernetes"),
        ({"name": 5}, "The ConfigMap has no name."),
        ({}, "The ConfigMap has no name."),
        ("x", "The ConfigMap has no name."),
    ],
)
def test_an_object_is_named_and_stays_in_its_namespace(metadata: Any, says: str) -> None:
    (sentence,) = told({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    assert says in sentence


def test_a_name_with_dots_and_its_own_namespace_are_fine() -> None:
    for metadata in (
        {"name": "a.b-c.example"},
        {"name": "x", "namespace": "shop-test"},
        {"name": "x", "namespace": ""},
    ):
        assert told({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}) == []


@pytest.mark.parametrize(
    "kind",
    [
        ("v1", "Namespace"), ("v1", "Node"), ("v1", "PersistentVolume"), ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"), ("v1", "ServiceAccount"), ("apps/v1", "DaemonSet"), ("v1", "Pod"),
        ("apps/v1beta1", "Deployment"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"), (None, None), (5, ["x"]),
    ],
)  # fmt: skip
def test_other_kinds_are_not_deployed(kind: tuple[Any, Any]) -> None:
    (sentence,) = told({"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "x"}})
    assert "are not deployed by the portal." in sentence


def test_what_was_judged_elsewhere_is_asked_for_its_pods_only() -> None:
    assert told(of_pod("CronJob", of_container()), JOBS) == []
    assert told(of_pod("CronJob", {"hostPID": True}), JOBS) != []


@pytest.mark.parametrize("kind", ["Deployment", "Pod", "CronJob"])
@pytest.mark.parametrize(("value", "refused"), [("unconfined", True), ("runtime/default", False)])
def test_the_old_annotation_that_takes_a_guard_off_is_refused_too(kind: str, value: str, refused: bool) -> None:
    resource = {"Deployment": None, "Pod": names.PODS, "CronJob": JOBS}[kind]
    manifest = of_pod(kind, {})
    pods = manifest
    while kind != "Pod" and "template" not in pods["spec"]:
        pods = pods["spec"]["jobTemplate"]
    pods = pods if kind == "Pod" else pods["spec"]["template"]
    pods.setdefault("metadata", {})["annotations"] = {"container.apparmor.security.beta.kubernetes.io/app": value}
    said = [] if not refused else [f"The {kind} “shop” takes off the guard “appArmorProfile”; that is not allowed."]
    assert [one.replace(manifest["metadata"]["name"], "shop") for one in told(manifest, resource)] == said
