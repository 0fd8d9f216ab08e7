"""What is rendered from a spec: every field one that Kubernetes knows, secrets nowhere to be read, names that say what is in them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from clusters.drivers.runtime.base import CANARY, Artifact, PullSecret, ServiceRef
from clusters.drivers.runtime.kubernetes import manifests, names, overlay
from clusters.drivers.runtime.kubernetes.parts import literal, word_of
from clusters.drivers.runtime.spec import (
    FETCH_S,
    Autoscale,
    Check,
    ConfigFile,
    HealthChecks,
    Ingress,
    Resources,
    ServiceSpec,
)
from fangduoduo_release.common.errors import Invalid
from tests.clusters.drivers.kubernetes.goals import (
    IMAGE,
    KEY,
    NAMESPACE,
    ONE,
    SERVICE,
    by_kind,
    container,
    goal,
    rendered,
)
from tests.clusters.drivers.kubernetes.schema import unknown

EVERYTHING: dict[str, Any] = {
    "command": ("serve", "--port=${PORT}", "$${HOME}", "cost: $5"),
    "env": {"COLOUR": "blue", "PRICE": "$(rm -rf)"},
    "secrets": {"TOKEN": "hunter2-hunter2"},
    "resources": Resources(cpu=0.25, memory=256 * 2**20),
    "files": (ConfigFile("config/app.ini", "[a]\nb = 1\n"), ConfigFile("x.txt", "x")),
    "health": HealthChecks(
        readiness=Check("http", "/ready", initial_delay_s=0.5, period_s=0.3),
        liveness=Check("exec", command=("check", "${COLOUR}", "${TOKEN}")),
        startup=Check("tcp", port=9000, failure_threshold=30),
    ),
    "autoscale": Autoscale(2, 9, 70),
    "ingress": Ingress("shop.example", "/shop", "nginx", "shop-tls"),
    "drain_s": 7.5,
    "stop_grace_s": 5.0,
    "start_deadline_s": 90.0,
    "pull": PullSecret("registry.example", "robot", "hunter2-pull"),
    "restart_nonce": "3",
}


@pytest.fixture
def whole() -> list[dict[str, Any]]:
    return rendered(goal(**EVERYTHING))


def test_every_field_is_one_that_kubernetes_knows(whole: list[dict[str, Any]]) -> None:
    assert [one["kind"] for one in whole] == [
        "Secret", "Secret", "ConfigMap", "Service", "Deployment", "Ingress", "HorizontalPodAutoscaler",
    ]  # fmt: skip
    for one in (*whole, *manifests.stamped(whole, goal(**EVERYTHING, paused=True), "0" * 64)):
        assert unknown(one) == []


def test_the_judge_of_fields_finds_a_typing_error(whole: list[dict[str, Any]]) -> None:
    deployment = by_kind(whole, "Deployment")
    deployment["spec"]["replicaz"] = 2
    deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["valeu"] = "x"
    assert unknown(deployment) == [
        "Deployment.spec.template.spec.containers[0].env[0].valeu: unknown",
        "Deployment.spec.replicaz: unknown",
    ]


@pytest.mark.parametrize(
    ("image", "digest", "told"),
    [
        (IMAGE, ONE, f"registry.example/team/shop@{ONE}"),
        ("registry.example/team/shop", ONE, f"registry.example/team/shop@{ONE}"),
        ("registry.example:5000/team/shop", ONE, f"registry.example:5000/team/shop@{ONE}"),
        ("registry.example:5000/team/shop:v7", ONE, f"registry.example:5000/team/shop@{ONE}"),
        (f"registry.example:5000/shop:v7@sha256:{'f' * 64}", ONE, f"registry.example:5000/shop@{ONE}"),
        ("localhost/shop:v7", ONE, f"localhost/shop@{ONE}"),
        ("shop:v7", ONE, f"shop@{ONE}"),
        ("shop", ONE, f"shop@{ONE}"),
        (IMAGE, "", IMAGE),
        (f"shop@{ONE}", "", f"shop@{ONE}"),
    ],
)
def test_pods_are_told_the_digest_wherever_it_is_known(image: str, digest: str, told: str) -> None:
    assert container(rendered(goal(image=image, digest=digest)))["image"] == told


def test_a_version_without_an_image_is_refused_with_what_to_do() -> None:
    with pytest.raises(Invalid, match="has no image, and Kubernetes runs nothing else; let its pipeline push one"):
        rendered(goal(image=""))


@pytest.mark.parametrize("project", ["1shop", "Shop", "-shop", "shop-", "a_b", "s" * 51, ""])
def test_a_project_that_no_object_can_be_named_after_is_refused(project: str) -> None:
    with pytest.raises(Invalid, match="is no name for objects in Kubernetes") as refusal:
        rendered(goal(project=project))
    assert refusal.value.code == "bad_name"


def test_a_canary_has_objects_and_pods_of_its_own() -> None:
    stable, canary = rendered(goal()), rendered(goal(service=ServiceRef(SERVICE.key, CANARY)))
    assert {one["metadata"]["name"] for one in canary} == {"shop-canary"}
    selectors = [by_kind(each, "Deployment")["spec"]["selector"]["matchLabels"] for each in (stable, canary)]
    assert selectors[0] != selectors[1]
    for each, selector in zip((stable, canary), selectors, strict=True):
        assert selector.items() <= by_kind(each, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
        assert by_kind(each, "Service")["spec"]["selector"] == selector


def test_everything_is_labelled_and_nothing_says_which_deployment_brought_it(whole: list[dict[str, Any]]) -> None:
    for one in whole:
        labels = one["metadata"]["labels"]
        assert labels[names.SERVICE] == SERVICE.key
        assert (labels[names.PROJECT], labels[names.VERSION], labels[names.GROUP]) == ("shop", "7", "stable")
        assert labels["app.kubernetes.io/managed-by"] == "fangduoduo-release"
        assert one["metadata"]["namespace"] == NAMESPACE
    text = manifests.canonical(whole)
    assert "4f0d" not in text
    assert names.GENERATION not in text
    assert names.DEPLOYMENT not in text


def test_generation_and_deployment_are_stamped_on_for_the_server_and_pods_carry_neither(
    whole: list[dict[str, Any]],
) -> None:
    stamped = manifests.stamped(whole, goal(**EVERYTHING), "ab" * 32)
    assert {one["metadata"]["labels"][names.DEPLOYMENT] for one in stamped} == {"4f0d"}
    deployment = by_kind(stamped, "Deployment")
    assert deployment["metadata"]["annotations"] == {names.GENERATION: "2", names.MANIFEST: "ab" * 32}
    assert names.DEPLOYMENT not in deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["template"] == by_kind(whole, "Deployment")["spec"]["template"]
    assert "paused" not in deployment["spec"]
    held = manifests.stamped(whole, goal(**EVERYTHING, paused=True), "")
    assert by_kind(held, "Deployment")["spec"]["paused"] is True


def test_the_same_goal_gives_the_same_text_whatever_brings_it_and_when() -> None:
    one = manifests.canonical(rendered(goal(**EVERYTHING)))
    other = manifests.canonical(rendered(goal(**EVERYTHING, generation=99, deployment="another", take_over=True)))
    assert one == other
    assert manifests.canonical(rendered(goal(**EVERYTHING, version="8"))) != one


def test_secrets_stand_in_no_text_and_in_no_name(whole: list[dict[str, Any]]) -> None:
    text = manifests.canonical(whole)
    encoded = base64.b64encode(b"hunter2-hunter2").decode()
    for word in ("hunter2", encoded, base64.b64encode(b"robot:hunter2-pull").decode()):
        assert word not in text
        assert word not in json.dumps([one["metadata"] for one in whole])
    secret = next(one for one in whole if one["kind"] == "Secret" and "-env-" in one["metadata"]["name"])
    assert secret["data"] == {"TOKEN": encoded}, "the server is given the value, and the server alone"
    assert manifests.masked(secret)["data"] == {"TOKEN": manifests.MASK}


def test_a_name_hashes_with_the_key_of_the_installation_so_that_nobody_can_guess_a_secret_from_it() -> None:
    wanted = goal(secrets={"PIN": "0000"})
    mine, other = (overlay.manifests(wanted, NAMESPACE, key)[0]["metadata"]["name"] for key in (KEY, b"another"))
    assert mine != other


def test_names_change_exactly_when_what_is_in_them_changes() -> None:
    def named(**spec: Any) -> dict[str, str]:
        found = rendered(goal(**spec))
        return {one["kind"]: one["metadata"]["name"] for one in found if one["kind"] in ("Secret", "ConfigMap")}

    files = (ConfigFile("a", "1"), ConfigFile("b", "2"))
    first = named(secrets={"A": "1", "B": "2"}, files=files)
    assert named(secrets={"B": "2", "A": "1"}, files=files[::-1]) == first
    assert named(secrets={"A": "1", "B": "2"}, files=files, replicas=9, env={"X": "y"}, version="8") == first
    assert named(secrets={"A": "1", "B": "3"}, files=files)["Secret"] != first["Secret"]
    assert named(secrets={"A": "1", "B": "2"}, files=files)["ConfigMap"] == first["ConfigMap"]
    assert named(secrets={"A": "1", "B": "2"}, files=(files[0],))["ConfigMap"] != first["ConfigMap"]
    assert (
        named(secrets={"A": "1", "B": "2"}, files=(files[0], ConfigFile("c", "2")))["ConfigMap"] != first["ConfigMap"]
    )


def test_the_same_files_lie_under_the_same_keys_whatever_their_order() -> None:
    files = (ConfigFile("b", "2"), ConfigFile("a", "1"), ConfigFile("b", "3"))
    there, back = rendered(goal(files=files[:2])), rendered(goal(files=files[1::-1]))
    assert by_kind(there, "ConfigMap") == by_kind(back, "ConfigMap")
    assert by_kind(there, "Deployment") == by_kind(back, "Deployment")
    mounts = container(rendered(goal(files=files)))["volumeMounts"]
    assert [one["mountPath"] for one in mounts] == ["/app/a", "/app/b"], "a path is mounted once"


def test_files_are_mounted_where_the_spec_says() -> None:
    for where, path in (
        ("/app", "/app/config/app.ini"),
        ("/", "/config/app.ini"),
        ("/srv/x/", "/srv/x/config/app.ini"),
    ):
        found = rendered(goal(files=(ConfigFile("config/app.ini", "text"),), files_at=where))
        (mount,) = container(found)["volumeMounts"]
        assert mount["mountPath"] == path
        assert by_kind(found, "ConfigMap")["data"][mount["subPath"]] == "text"
        (volume,) = by_kind(found, "Deployment")["spec"]["template"]["spec"]["volumes"]
        assert (volume["name"], volume["configMap"]["name"]) == (
            mount["name"],
            by_kind(found, "ConfigMap")["metadata"]["name"],
        )


def expand(text: str, known: dict[str, str]) -> str:
    """As `k8s.io/kubernetes/third_party/forked/golang/expansion` does it."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out, at = out + text[at], at + 1
        elif text[at + 1] == "$":
            out, at = out + "$", at + 2
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at + 2)
            name = text[at + 2 : end]
            out, at = out + known.get(name, f"$({name})"), end + 1
        else:
            out, at = out + text[at : at + 2], at + 2
    return out


@pytest.mark.parametrize(
    "text", ["plain", "$(HOME)", "$$(HOME)", "$$$(HOME)", "pa$$word", "$", "$$", "a$", "$(", "$x$(PORT)$", "${PORT}", "5 $"]
)  # fmt: skip
def test_what_people_write_into_the_environment_arrives_as_it_is_written(text: str) -> None:
    env = container(rendered(goal(env={"PRICE": text})))["env"]
    (value,) = [one["value"] for one in env if one["name"] == "PRICE"]
    assert expand(value, {"HOME": "wrong", "PORT": "wrong"}) == text


@pytest.mark.parametrize(
    ("word", "becomes"),
    [
        ("--port=${PORT}", "--port=8080"), ("${PORT}${HOST}", "80800.0.0.0"), ("$${PORT}", "${PORT}"), ("$(PORT)", "$(PORT)"),
        ("${NOBODY}", "${NOBODY}"), ("$${NOBODY}", "${NOBODY}"), ("a$${PORT}b$$", "a${PORT}b$$"), ("cost: $5", "cost: $5"),
        ("$$$${PORT}", "$$${PORT}"), ("$$${PORT}", "$$${PORT}"[:1] + "${PORT}"),
    ],
)  # fmt: skip
def test_references_in_the_command_become_those_of_kubernetes_and_nothing_else_does(word: str, becomes: str) -> None:
    known = {"PORT": "8080", "HOST": "0.0.0.0"}
    (said,) = container(rendered(goal(command=(word,))))["command"]
    assert expand(said, known) == becomes


def test_a_reference_right_after_a_dollar_is_still_one() -> None:
    assert expand(word_of("a$ ${PORT}", {"PORT"}), {"PORT": "1"}) == "a$ 1"
    assert literal("$") == "$$"


def test_a_command_may_name_secrets_and_a_check_only_what_is_written_out() -> None:
    spec = {"secrets": {"TOKEN": "x"}, "env": {"COLOUR": "blue"}}
    check = Check("exec", command=("check", "${COLOUR}", "${TOKEN}"))
    found = container(rendered(goal(command=("run", "${TOKEN}"), health=HealthChecks(liveness=check), **spec)))
    assert found["command"] == ["run", "$(TOKEN)"]
    assert found["livenessProbe"]["exec"]["command"] == ["check", "$(COLOUR)", "${TOKEN}"]


def test_an_image_that_says_itself_what_it_starts_is_given_no_command() -> None:
    assert "command" not in container(rendered(goal()))


def test_checks_are_told_in_whole_seconds_and_on_the_port_of_the_service(whole: list[dict[str, Any]]) -> None:
    found = container(whole)
    assert found["readinessProbe"] == {
        "httpGet": {"path": "/ready", "port": 8080},
        "initialDelaySeconds": 1, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3,
    }  # fmt: skip
    assert found["startupProbe"]["tcpSocket"] == {"port": 9000}
    assert found["startupProbe"]["failureThreshold"] == 30


def test_what_takes_traffic_is_looked_at_even_when_nobody_said_how() -> None:
    assert container(rendered(goal()))["readinessProbe"]["tcpSocket"] == {"port": 8080}
    quiet = rendered(goal(port_name=""))
    assert [one["kind"] for one in quiet] == ["Deployment"]
    assert not {"readinessProbe", "ports", "lifecycle"} & set(container(quiet))
    assert "PORT" not in {one["name"] for one in container(quiet)["env"]}


def test_a_pod_waits_before_it_stops_and_is_given_the_time_for_both(whole: list[dict[str, Any]]) -> None:
    assert container(whole)["lifecycle"] == {"preStop": {"sleep": {"seconds": 8}}}
    assert by_kind(whole, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 13
    hasty = rendered(goal(drain_s=0, stop_grace_s=0))
    assert "lifecycle" not in container(hasty)
    assert by_kind(hasty, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 1


def test_no_pod_goes_before_its_successor_is_ready_and_the_deadline_has_room_for_its_image(
    whole: list[dict[str, Any]],
) -> None:
    spec = by_kind(whole, "Deployment")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}
    assert spec["progressDeadlineSeconds"] == 90 + FETCH_S


def test_who_scales_by_itself_is_told_no_number(whole: list[dict[str, Any]]) -> None:
    assert "replicas" not in by_kind(whole, "Deployment")["spec"]
    scaler = by_kind(whole, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 9)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    assert by_kind(rendered(goal(replicas=0)), "Deployment")["spec"]["replicas"] == 0


def test_scaling_by_cpu_needs_to_know_how_much_there_is() -> None:
    with pytest.raises(Invalid, match="must say how much CPU an instance gets"):
        rendered(goal(autoscale=Autoscale(1, 3)))


def test_an_address_leads_to_the_service(whole: list[dict[str, Any]]) -> None:
    spec = by_kind(whole, "Ingress")["spec"]
    (path,) = spec["rules"][0]["http"]["paths"]
    assert (spec["rules"][0]["host"], path["path"], path["pathType"]) == ("shop.example", "/shop", "Prefix")
    assert path["backend"]["service"] == {"name": "shop", "port": {"number": 8080}}
    assert (spec["ingressClassName"], spec["tls"]) == ("nginx", [{"hosts": ["shop.example"], "secretName": "shop-tls"}])
    plain = by_kind(rendered(goal(ingress=Ingress("shop.example"))), "Ingress")["spec"]
    assert not {"ingressClassName", "tls"} & set(plain)


def test_limits_are_requests_too_and_none_are_said_where_none_are_set(whole: list[dict[str, Any]]) -> None:
    limits = {"cpu": "250m", "memory": str(256 * 2**20)}
    assert container(whole)["resources"] == {"limits": limits, "requests": limits}
    assert "resources" not in container(rendered(goal()))


def test_the_registry_s_secret_is_one_that_kubelets_can_read(whole: list[dict[str, Any]]) -> None:
    secret = next(one for one in whole if one["kind"] == "Secret" and one["type"] == "kubernetes.io/dockerconfigjson")
    config = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    entry = config["auths"]["registry.example"]
    assert base64.b64decode(entry["auth"]) == b"robot:hunter2-pull"
    pod = by_kind(whole, "Deployment")["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}]


def test_a_new_nonce_replaces_the_pods_and_nothing_else_does_that_they_need_not_be_replaced_for() -> None:
    def template(**changed: Any) -> Any:
        return by_kind(rendered(goal(**changed)), "Deployment")["spec"]["template"]

    assert template(restart_nonce="1") != template(restart_nonce="2")
    for same in (
        {"replicas": 9},
        {"generation": 9},
        {"deployment": "x"},
        {"start_deadline_s": 5.0},
        {"take_over": True},
    ):
        assert template(**same) == template()
    assert template()["metadata"]["annotations"] == {names.MAIN: "app"}


def test_a_spec_as_people_write_it_renders() -> None:
    spec = ServiceSpec.from_json({"replicas": 3, "resources": {"cpu": "500m", "memory": "64Mi"}, "env": {"A": "b"}})
    found = rendered(replace(goal(), spec=spec, artifact=Artifact("", image="shop:v1")))
    assert all(unknown(one) == [] for one in found)
