"""What somebody else changed is told, what a server adds by itself is not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from clusters.drivers.runtime.kubernetes import drift
from clusters.drivers.runtime.spec import Check, ConfigFile, HealthChecks, Resources
from tests.clusters.drivers.kubernetes.goals import by_kind, goal, recorded, rendered

SPEC = {
    "env": {"COLOUR": "blue", "SIZE": "1.0"}, "secrets": {"TOKEN": "hunter2"}, "resources": Resources(1.0, 2**30),
    "files": (ConfigFile("a", "1"), ConfigFile("b", "2")), "health": HealthChecks(readiness=Check("http", "/ready")),
}  # fmt: skip


@pytest.fixture
def said() -> dict[str, Any]:
    return by_kind(rendered(goal(**SPEC)), "Deployment")


def served(manifest: dict[str, Any]) -> dict[str, Any]:
    """As a server gives it back: with its defaults, and quantities in its own words."""
    found: dict[str, Any] = copy.deepcopy(manifest)
    found["spec"] |= {"revisionHistoryLimit": 10}
    pod = found["spec"]["template"]["spec"]
    pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {}, "schedulerName": "x"}
    main = pod["containers"][0]
    main |= {"terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"}
    main["resources"] = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
    main["readinessProbe"]["httpGet"]["scheme"] = "HTTP"
    main["readinessProbe"]["successThreshold"] = 1
    pod["volumes"][0]["configMap"]["defaultMode"] = 420
    return found


def between(said: dict[str, Any], live: dict[str, Any]) -> list[str]:
    met = drift.differences({"spec": said["spec"]}, live)
    return [str(one) for one in drift.sentences("Deployment", "shop", met)]


def main_of(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]["containers"][0]
    return found


def test_the_recorded_server_adds_defaults_and_they_are_nobody_s_drift() -> None:
    (live,) = recorded("apply-create")
    said = {
        "spec": {
            "progressDeadlineSeconds": 10, "replicas": 2, "selector": {"matchLabels": {"app": "hello"}},
            "template": {
                "metadata": {"labels": {"app": "hello"}},
                "spec": {"containers": [{"image": "rig.local/app:v1", "name": "app"}], "terminationGracePeriodSeconds": 1},
            },
        }
    }  # fmt: skip
    assert drift.differences(said, live) == ()


def test_what_the_server_gives_back_is_what_we_said(said: dict[str, Any]) -> None:
    assert between(said, served(said)) == []


def test_lists_in_another_order_are_the_same(said: dict[str, Any]) -> None:
    live = served(said)
    for key in ("env", "volumeMounts", "ports"):
        main_of(live)[key].reverse()
    assert between(said, live) == []


def test_what_others_add_is_not_ours_to_mind(said: dict[str, Any]) -> None:
    live = served(said)
    live["spec"]["template"]["spec"]["containers"].append({"name": "injected", "image": "x"})
    live["spec"]["template"]["metadata"]["annotations"]["injected"] = "yes"
    main_of(live)["env"].append({"name": "MORE", "value": "x"})
    assert between(said, live) == []


def test_scaling_by_hand_is_told(said: dict[str, Any]) -> None:
    live = served(said)
    live["spec"]["replicas"] = 7
    assert between(said, live) == ["Deployment “shop” was changed in the cluster: spec.replicas is 7 instead of 2."]


def test_another_image_set_by_hand_is_told(said: dict[str, Any]) -> None:
    live = served(said)
    main_of(live)["image"] = "evil:latest"
    (told,) = between(said, live)
    assert "spec.template.spec.containers[app].image is evil:latest instead of registry.example/team/shop@" in told


def test_an_edited_variable_is_told_and_a_taken_away_one_too(said: dict[str, Any]) -> None:
    live = served(said)
    env = main_of(live)["env"]
    next(one for one in env if one["name"] == "COLOUR")["value"] = "red"
    env[:] = [one for one in env if one["name"] != "TOKEN"]
    told = between(said, live)
    assert any("env[COLOUR].value is red instead of blue" in one for one in told)
    assert any("env[TOKEN] is – instead of" in one for one in told)
    assert "hunter2" not in "".join(told)


def test_a_secret_that_was_replaced_by_a_value_is_told_without_the_value(said: dict[str, Any]) -> None:
    live = served(said)
    next(one for one in main_of(live)["env"] if one["name"] == "TOKEN").clear()
    main_of(live)["env"].append({"name": "TOKEN", "value": "hunter3"})
    assert "hunter" not in "".join(between(said, live))
    assert between(said, live)


def test_text_that_reads_like_a_quantity_is_compared_as_text(said: dict[str, Any]) -> None:
    live = served(said)
    next(one for one in main_of(live)["env"] if one["name"] == "SIZE")["value"] = "1"
    assert len(between(said, live)) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1000m", "1", True), ("250m", "0.25", True), ("1Gi", str(2**30), True), ("1024Mi", "1Gi", True), ("1G", "1000M", True),
        ("1", 1, True), ("100m", "200m", False), ("1Gi", "1G", False), ("0", None, False), ("x", "1", False),
    ],
)  # fmt: skip
def test_quantities_are_compared_by_what_they_say(one: Any, other: Any, same: bool) -> None:
    def limits(value: Any) -> dict[str, Any]:
        return {"spec": {"resources": {"limits": {"cpu": value}}}}

    assert (drift.differences(limits(one), limits(other)) == ()) is same


def test_two_mounts_of_one_volume_are_two(said: dict[str, Any]) -> None:
    live = served(said)
    main_of(live)["volumeMounts"][0]["mountPath"] = "/elsewhere"
    (told,) = between(said, live)
    assert "volumeMounts[/app/a]" in told


def test_lists_that_have_no_key_are_compared_item_by_item() -> None:
    said = {"spec": {"tolerations": [{"operator": "Exists"}, {"effect": "NoSchedule"}]}}
    live = copy.deepcopy(said)
    live["spec"]["tolerations"][0]["tolerationSeconds"] = 300  # type: ignore[assignment]
    assert drift.differences(said, live) == ()
    live["spec"]["tolerations"].pop()
    assert len(drift.differences(said, live)) == 1


@pytest.mark.parametrize("there", [None, "text", 5, [], {}, ["x"]])
def test_whatever_is_there_is_compared_and_never_trips(said: dict[str, Any], there: Any) -> None:
    assert drift.differences({"spec": said["spec"]}, {"spec": there})
    live = served(said)
    live["spec"]["template"]["spec"]["containers"] = there
    assert drift.differences({"spec": said["spec"]}, live)


def test_many_differences_are_told_in_a_few_sentences(said: dict[str, Any]) -> None:
    env = {f"NAME_{number}": "x" for number in range(30)}
    wanted = by_kind(rendered(goal(env=env)), "Deployment")
    live = copy.deepcopy(wanted)
    for one in main_of(live)["env"]:
        one["value"] = "y" * 500
    told = between(wanted, live)
    assert len(told) == drift.MOST + 1
    assert told[-1] == "… and 24 more fields."
    assert max(len(one) for one in told) < 400
    json.dumps(told)


def test_one_more_word_in_a_selector_is_told_for_it_chooses_other_pods() -> None:
    said = {"spec": {"selector": {"app": "shop"}}}
    live = {"spec": {"selector": {"app": "shop", "tier": "x"}}}
    assert drift.differences(said, live) == (("spec.selector.tier", None, "x"),)
    assert drift.differences(said, copy.deepcopy(said)) == ()
