"""Manifests of one's own: what is set on them and what is left, and that nothing anybody can write is more than refused."""

from __future__ import annotations

import copy
import json
import random
import time
from typing import Any

import pytest
import yaml

from clusters.drivers.runtime.base import PullSecret
from clusters.drivers.runtime.kubernetes import manifests, names
from clusters.drivers.runtime.spec import FETCH_S, Autoscale, Check, ConfigFile, HealthChecks, Ingress
from fangduoduo_release.common.errors import Invalid
from tests.clusters.drivers.kubernetes.goals import BASE, NAMESPACE, ONE, SERVICE, by_kind, container, goal, rendered
from tests.clusters.drivers.kubernetes.schema import unknown

HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 9
"""
WEB_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 3000}]
"""


def filled(base: str, **more: Any) -> list[dict[str, Any]]:
    return rendered(goal(base=base, **more))


def refused(base: str, **more: Any) -> str:
    """The sentence with which it is refused."""
    with pytest.raises(Invalid) as refusal:
        filled(base, **more)
    return str(refusal.value.sentence)


def changed(**spec: Any) -> str:
    """The plain base with other fields in the Deployment's spec."""
    manifest = yaml.safe_load(BASE)
    manifest["spec"] |= spec
    return yaml.safe_dump(manifest)


def with_container(**fields: Any) -> str:
    manifest = yaml.safe_load(BASE)
    manifest["spec"]["template"]["spec"]["containers"][0] |= fields
    return yaml.safe_dump(manifest)


def with_pod(**fields: Any) -> str:
    manifest = yaml.safe_load(BASE)
    manifest["spec"]["template"]["spec"] |= fields
    return yaml.safe_dump(manifest)


# -- what is set ----------------------------------------------------------------------------------------------------


def test_what_only_the_portal_knows_is_set() -> None:
    found = filled(BASE, env={"COLOUR": "blue"}, secrets={"TOKEN": "hunter2"}, files=(ConfigFile("a.ini", "x"),),
                   pull=PullSecret("registry.example", "robot", "pw"), restart_nonce="4")  # fmt: skip
    deployment, main = by_kind(found, "Deployment"), container(found)
    assert deployment["metadata"]["namespace"] == NAMESPACE
    assert deployment["metadata"]["labels"][names.SERVICE] == SERVICE.key
    assert deployment["metadata"]["labels"]["app"] == "web"
    assert main["image"] == f"registry.example/team/shop@{ONE}"
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}
    assert main["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= {"app": "web", names.GROUP: "stable"}.items()
    assert deployment["spec"]["template"]["metadata"]["annotations"] == {names.MAIN: "web", names.RESTARTED: "4"}
    env = {one["name"]: one.get("value", one.get("valueFrom")) for one in main["env"]}
    assert env["COLOUR"] == "blue"
    assert env["TOKEN"]["secretKeyRef"]["key"] == "TOKEN"
    assert [one["kind"] for one in found] == ["Secret", "Secret", "ConfigMap", "Deployment"]
    assert all(unknown(one) == [] for one in found)


def test_the_port_that_is_offered_is_the_one_the_container_listens_on() -> None:
    assert {"name": "PORT", "value": "3000"} in container(filled(BASE))["env"]
    two = with_container(ports=[{"containerPort": 9090}, {"containerPort": 8080}])
    assert {"name": "PORT", "value": "8080"} in container(filled(two))["env"], "the spec's port is one of them"
    none = with_container(ports=[])
    assert {"name": "PORT", "value": "8080"} in container(filled(none))["env"]


def test_checks_of_the_spec_win_and_those_of_the_manifest_stay_where_the_spec_has_none() -> None:
    base = with_container(
        readinessProbe={"httpGet": {"path": "/old", "port": 3000}}, livenessProbe={"tcpSocket": {"port": 3000}}
    )
    main = container(filled(base, health=HealthChecks(readiness=Check("http", "/new"))))
    assert main["readinessProbe"]["httpGet"] == {"path": "/new", "port": 3000}
    assert main["livenessProbe"] == {"tcpSocket": {"port": 3000}}


def test_everything_else_stays_as_it_is_written() -> None:
    manifest = yaml.safe_load(BASE)
    manifest["metadata"]["annotations"] = {"team": "shop"}
    manifest["spec"] |= {"minReadySeconds": 5, "revisionHistoryLimit": 3, "progressDeadlineSeconds": 77}
    pod = manifest["spec"]["template"]["spec"]
    pod |= {"serviceAccountName": "web", "terminationGracePeriodSeconds": 40, "imagePullSecrets": [{"name": "mine"}]}
    pod["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    pod["containers"][0] |= {
        "lifecycle": {"preStop": {"exec": {"command": ["bye"]}}}, "command": ["serve"],
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "PORT", "value": "1"}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}], "resources": {"limits": {"cpu": "1"}},
    }  # fmt: skip
    pod["containers"].append({"name": "sidecar", "image": "proxy:v1"})
    pod["initContainers"] = [{"name": "migrate", "image": "migrate:v1"}]
    found = filled(
        yaml.safe_dump(manifest), files=(ConfigFile("a", "b"),), command=("ignored",), pull=PullSecret("h", "u", "p")
    )
    spec, main = by_kind(found, "Deployment")["spec"], container(found, "web")
    assert by_kind(found, "Deployment")["metadata"]["annotations"] == {"team": "shop"}
    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (5, 3, 77)
    assert spec["selector"] == {"matchLabels": {"app": "web"}}
    after = spec["template"]["spec"]
    assert (after["serviceAccountName"], after["terminationGracePeriodSeconds"]) == ("web", 40)
    assert after["imagePullSecrets"] == [{"name": "mine"}, {"name": "shop-registry"}]
    assert [one["name"] for one in after["volumes"]] == ["tmp", "fdd-files"]
    assert [one["mountPath"] for one in main["volumeMounts"]] == ["/tmp", "/app/a"]
    assert main["lifecycle"] == {"preStop": {"exec": {"command": ["bye"]}}}
    assert main["command"] == ["serve"]
    assert main["env"][0] == {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert {"name": "PORT", "value": "1"} in main["env"], "it said otherwise"
    assert container(found, "sidecar") == {"name": "sidecar", "image": "proxy:v1"}
    assert after["initContainers"] == [{"name": "migrate", "image": "migrate:v1"}]


def test_what_the_spec_sets_wins_over_the_manifest_s_environment() -> None:
    base = with_container(env=[{"name": "COLOUR", "value": "red"}, {"name": "TOKEN", "value": "plain"}])
    env = container(filled(base, env={"COLOUR": "blue"}, secrets={"TOKEN": "x"}))["env"]
    assert [one for one in env if one["name"] == "COLOUR"] == [{"name": "COLOUR", "value": "blue"}]
    assert [set(one) for one in env if one["name"] == "TOKEN"] == [{"name", "valueFrom"}]
    assert len({one["name"] for one in env}) == len(env)


@pytest.mark.parametrize(
    ("containers", "annotation", "main"),
    [
        (["proxy", "shop"], "", "shop"), (["proxy", "app"], "", "app"), (["proxy", "web"], "", "proxy"),
        (["proxy", "web"], "web", "web"), (["app", "web"], "web", "web"), (["app"], "gone", "app"),
    ],
)  # fmt: skip
def test_the_service_s_container_is_the_annotated_one_or_the_one_named_like_it(
    containers: list[str], annotation: str, main: str
) -> None:
    manifest = yaml.safe_load(BASE)
    manifest["spec"]["template"]["spec"]["containers"] = [{"name": one, "image": "x"} for one in containers]
    if annotation:
        manifest["spec"]["template"]["metadata"]["annotations"] = {names.MAIN: annotation}
    found = filled(yaml.safe_dump(manifest))
    pinned = [
        one["name"]
        for one in by_kind(found, "Deployment")["spec"]["template"]["spec"]["containers"]
        if "@" in one["image"]
    ]
    assert pinned == [main]
    assert by_kind(found, "Deployment")["spec"]["template"]["metadata"]["annotations"][names.MAIN] == main


def test_what_scales_it_is_left_the_number_whoever_brings_it() -> None:
    for found in (filled(BASE + "---" + HPA), filled(BASE, autoscale=Autoscale(2, 5))):
        assert "replicas" not in by_kind(found, "Deployment")["spec"]
        assert by_kind(found, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "web"
    both = filled(BASE + "---" + HPA, autoscale=Autoscale(2, 5))
    assert by_kind(both, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 9, "its own is the one"
    other = filled(BASE + "---" + HPA.replace("name: web}\n  min", "name: other}\n  min"))
    assert by_kind(other, "Deployment")["spec"]["replicas"] == 2


def test_an_address_of_the_spec_leads_to_the_manifest_s_own_service() -> None:
    found = filled(BASE + "---" + WEB_SERVICE, ingress=Ingress("shop.example"))
    (path,) = by_kind(found, "Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "web", "port": {"number": 80}}
    assert "needs a Service with a port" in refused(BASE, ingress=Ingress("shop.example"))


def test_a_manifest_without_a_selector_is_given_one() -> None:
    manifest = yaml.safe_load(BASE)
    del manifest["spec"]["selector"]
    spec = by_kind(filled(yaml.safe_dump(manifest)), "Deployment")["spec"]
    assert spec["selector"]["matchLabels"] == {names.SERVICE: SERVICE.key, names.GROUP: "stable"}
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_a_selector_that_does_not_choose_its_own_pods_is_refused_before_the_server_does() -> None:
    base = changed(selector={"matchLabels": {"app": "other"}})
    assert refused(base) == "The selector of the Deployment “web” does not choose its own pods."


@pytest.mark.parametrize(
    ("strategy", "becomes"),
    [
        (None, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}),
        ({"type": "Recreate"}, {"type": "Recreate"}),
        ({"rollingUpdate": {"maxUnavailable": 1}}, {"rollingUpdate": {"maxUnavailable": 1}}),
        ({"rollingUpdate": {"maxSurge": 2}}, {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}),
        ({"rollingUpdate": {"maxSurge": 0}}, {"rollingUpdate": {"maxSurge": 0}}),
    ],
)
def test_pods_stay_until_their_successors_are_ready_unless_the_manifest_says_otherwise(
    strategy: Any, becomes: Any
) -> None:
    assert by_kind(filled(changed(strategy=strategy)), "Deployment")["spec"]["strategy"] == becomes


@pytest.mark.parametrize(("grace", "waits"), [(None, 10), (5, 4), (1, 0), (0, 0), (60, 10)])
def test_the_wait_before_a_pod_stops_fits_into_the_time_that_it_is_given(grace: int | None, waits: int) -> None:
    main = container(filled(with_pod(terminationGracePeriodSeconds=grace)))
    assert main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) == waits


def test_the_deadline_is_longer_than_pods_must_be_ready() -> None:
    assert (
        by_kind(filled(changed(minReadySeconds=60)), "Deployment")["spec"]["progressDeadlineSeconds"] == 120 + FETCH_S
    )


def test_a_manifest_that_was_read_from_a_cluster_is_taken_without_what_the_cluster_had_said() -> None:
    manifest = yaml.safe_load(BASE)
    manifest["metadata"] |= {
        "uid": "x", "resourceVersion": "1", "generation": 4, "creationTimestamp": None, "managedFields": [],
        "annotations": {names.GENERATION: "99", "keep": "this"},
    }  # fmt: skip
    manifest["status"] = {"replicas": 3}
    manifest["spec"]["paused"] = True
    deployment = by_kind(filled(yaml.safe_dump(manifest)), "Deployment")
    assert set(deployment["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert deployment["metadata"]["annotations"] == {"keep": "this"}
    assert "status" not in deployment
    assert "paused" not in deployment["spec"]


def test_labels_that_are_numbers_are_the_text_that_was_meant() -> None:
    manifest = yaml.safe_load(BASE)
    manifest["metadata"]["labels"] |= {"tier": 1, "on": True, "none": None}
    labels = by_kind(filled(yaml.safe_dump(manifest)), "Deployment")["metadata"]["labels"]
    assert (labels["tier"], labels["on"], labels["none"]) == ("1", "true", "")


# -- several objects ------------------------------------------------------------------------------------------------


def test_several_documents_and_lists_are_taken_apart_and_put_in_order() -> None:
    items = [*(yaml.safe_load(text) for text in (HPA, BASE)), yaml.safe_load(WEB_SERVICE)]
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items[:2]})
    found = filled(listed + "---\n" + WEB_SERVICE + "---\n# nothing\n---\n")
    assert [one["kind"] for one in found] == ["Service", "Deployment", "HorizontalPodAutoscaler"]
    assert all(one["metadata"]["labels"][names.SERVICE] == SERVICE.key for one in found)
    assert "app" not in by_kind(found, "Service")["metadata"]["labels"]
    assert by_kind(found, "Service")["spec"]["selector"] == {"app": "web"}


def test_of_several_deployments_the_one_called_like_the_service_is_it() -> None:
    worker = BASE.replace("web", "worker")
    found = filled(BASE.replace("web", "shop") + "---" + worker)
    main = manifests.main_of(found)
    assert main["metadata"]["name"] == "shop"
    other = next(one for one in found if one["metadata"]["name"] == "worker")
    assert other["spec"] == yaml.safe_load(worker)["spec"]
    assert other["metadata"]["labels"][names.SERVICE] == SERVICE.key, "it is removed with the service"
    assert "or one that is called “shop”" in refused(BASE + "---" + worker)


def test_only_the_service_s_own_deployment_may_carry_our_mark_on_its_pods() -> None:
    worker = yaml.safe_load(BASE.replace("web", "worker"))
    worker["spec"]["template"]["metadata"]["labels"][names.SERVICE] = SERVICE.key
    found = filled(BASE.replace("web", "shop") + "---\n" + yaml.safe_dump(worker))
    assert [one["metadata"]["name"] for one in found if manifests.is_main(one)] == ["shop"]


@pytest.mark.parametrize(
    ("base", "says"),
    [
        (WEB_SERVICE, "The manifest needs one Deployment, or one that is called “shop”."),
        (BASE + "---" + BASE, "The manifest holds Deployment/web twice."),
        (
            BASE + "---\n" + "---".join(WEB_SERVICE.replace("web}", f"web{n}}}") for n in range(50)),
            "more than 50 objects",
        ),
        (BASE.replace("name: web, ", "name: web, namespace: other, "), "this machine is “shop-test”"),
        (BASE + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}", "kind “Namespace” (v1) are not deployed"),
        (BASE + "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}", "ClusterRole"),
        (BASE.replace("apps/v1", "extensions/v1beta1"), "(extensions/v1beta1) are not deployed by the portal"),
        (with_pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "mounts a path of the node (hostPath)"),
        (with_pod(containers=[]), "The Deployment “web” has no container."),
        ("just text", "A manifest is an object with apiVersion, kind and metadata."),
        ("- a\n- b", "A manifest is an object"),
        ("a: [", "This is not valid YAML, line"),
        ("kind: Deployment\napiVersion: apps/v1", "The Deployment has no name."),
        (BASE.replace("metadata: {name: web, ", "metadata: {name: '', "), "is no name in Kubernetes"),
    ],
)
def test_each_refusal_has_its_sentence(base: str, says: str) -> None:
    assert says in refused(base)


def test_every_refusal_is_told_at_once() -> None:
    base = with_pod(hostNetwork=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    with pytest.raises(Invalid) as refusal:
        filled(base)
    assert len(refusal.value.fields["manifest"]) == 2


def test_a_bomb_of_aliases_and_a_text_that_is_too_large_are_refused_quickly() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    started = time.thread_time()
    assert "repeats itself by aliases" in refused(bomb)
    assert "larger than 1024 KiB" in refused(BASE + "# " + "x" * 2**20)
    assert "nest" in refused("[" * 60_000)
    assert time.thread_time() - started < 20


def test_a_manifest_of_nearly_a_megabyte_is_filled_in() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"text": "x" * 1_000_000}}
    found = filled(BASE + "---\n" + yaml.safe_dump(manifest))
    assert len(by_kind(found, "ConfigMap")["data"]["text"]) == 1_000_000


def test_an_alias_does_not_tie_two_containers_together() -> None:
    base = BASE.replace("metadata: {labels: {app: web}}", "metadata: {labels: &l {app: web}}")
    base = base.replace("metadata: {name: web, labels: {app: web}}", "metadata: {name: web}")
    base += "  minReadySeconds: 0\n"
    shared = yaml.safe_load(base)
    text = yaml.dump(
        {**shared, "metadata": {"name": "web", "labels": shared["spec"]["template"]["metadata"]["labels"]}}
    )
    found = by_kind(filled(text), "Deployment")
    assert found["spec"]["selector"] == {"matchLabels": {"app": "web"}}


# -- wrong shapes, everywhere ---------------------------------------------------------------------------------------

SHAPES: tuple[Any, ...] = (None, "text", "", 0, 7, -1, True, 1.5, [], {}, ["x"], [None], [[]], {"a": "b"}, {"name": 5}, [{"name": None}])  # fmt: skip
WHOLE = [yaml.safe_load(text) for text in (BASE, WEB_SERVICE, HPA)] + [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
]
WHOLE[0]["spec"] |= {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "replicas": 1}
WHOLE[0]["metadata"]["annotations"] = {"a": "b"}
_POD = WHOLE[0]["spec"]["template"]["spec"]
_POD |= {
    "volumes": [{"name": "v", "emptyDir": {}}], "imagePullSecrets": [{"name": "s"}], "securityContext": {"runAsUser": 1},
    "initContainers": [{"name": "i", "image": "x"}], "terminationGracePeriodSeconds": 30,
}  # fmt: skip
_POD["containers"][0] |= {
    "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}], "command": ["a"], "lifecycle": {"preStop": {}},
    "volumeMounts": [{"name": "v", "mountPath": "/v"}], "readinessProbe": {"tcpSocket": {"port": 1}},
    "securityContext": {"capabilities": {"add": ["CHOWN"]}, "procMount": "Default"},
}  # fmt: skip
RICH = {
    "env": {"A": "1"}, "secrets": {"B": "2"}, "files": (ConfigFile("f", "x"),), "pull": PullSecret("h", "u", "p"),
    "command": ("run",), "ingress": Ingress("shop.example"), "autoscale": Autoscale(1, 2), "restart_nonce": "1",
    "health": HealthChecks(readiness=Check("exec", command=("a", "${A}"))),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything in it."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            found += places(one, (*path, number))
    return found


def put(documents: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        documents = documents[key]
    documents[path[-1]] = value


def take(documents: list[Any], **more: Any) -> None:
    """It is filled in, or refused in our own words."""
    try:
        found = filled("---\n".join(json.dumps(one) + "\n" for one in documents), **more)
    except Invalid:
        return
    manifests.canonical(found)
    manifests.stamped(found, goal(), "x")
    manifests.main_of(found)


def test_the_whole_example_is_fine() -> None:
    assert len(filled("---\n".join(json.dumps(one) + "\n" for one in WHOLE), **RICH)) == 8


@pytest.mark.parametrize("place", places(WHOLE), ids=lambda place: ".".join(map(str, place)))
def test_a_wrong_shape_anywhere_is_refused_and_nothing_worse(place: tuple[Any, ...]) -> None:
    for shape in SHAPES:
        documents = copy.deepcopy(WHOLE)
        put(documents, place, copy.deepcopy(shape))
        take(documents, **RICH)


def test_many_wrong_shapes_at_once_are_refused_and_nothing_worse() -> None:
    dice = random.Random(20261126)
    everywhere = places(WHOLE)
    for _ in range(400):
        documents = copy.deepcopy(WHOLE)
        for place in sorted(dice.sample(everywhere, 4), key=len, reverse=True):
            put(documents, place, copy.deepcopy(dice.choice(SHAPES)))
        take(documents, **dice.choice(({}, RICH)))


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
@pytest.mark.parametrize("group", ["data", "stringData"])
@pytest.mark.parametrize("value", ["748193", "true", "null", "[748193]"])
def test_a_value_that_is_no_text_is_refused_without_repeating_it(kind: str, group: str, value: str) -> None:
    more = f"---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: login}}\n{group}: {{PIN: {value}}}\n"
    with pytest.raises(Invalid) as refusal:
        rendered(goal(base=BASE + more))
    assert str(refusal.value.sentence) == f"“PIN” in the {kind} “login” is not text; write it in quotes."
