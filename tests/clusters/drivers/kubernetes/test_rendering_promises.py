"""What holds of the manifests of any service at all: pure, legal, ours, harmless, and the same for the same goal."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clusters.drivers.runtime.base import STABLE, PullSecret, ServiceRef, Wanted
from clusters.drivers.runtime.kubernetes import drift, manifests, names, overlay, parts, policy
from clusters.drivers.runtime.spec import Autoscale, Check, ConfigFile, HealthChecks, Ingress, Resources, ServiceSpec
from fangduoduo_release.common.safe_yaml import load_all
from tests.clusters.drivers.kubernetes.goals import (
    BASE,
    KEY,
    NAMESPACE,
    ONE,
    SERVICE,
    TWO,
    by_kind,
    container,
    goal,
    rendered,
)

LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?\Z")
SECRET = "hunter2-"  # every secret begins so
SERVING = BASE + "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
TEXTS = (
    "",
    "x",
    "a b",
    "$A",
    "$(A)",
    "${A}",
    "$${A}",
    "a: b",
    "# no",
    "null",
    "1e3",
    "店",
    "é\u2028",
    "'\"",
    "line\nline",
    "\\",
)
PROJECTS = ("shop", "a", "a-b", "x1", "s" * 30)


def some_check(dice: random.Random) -> Check | None:
    kind = dice.choice(["", "http", "tcp", "exec"])
    if not kind:
        return None
    times = [round(dice.uniform(0, 30), 2) for _ in range(3)]
    command = tuple(dice.choices(TEXTS, k=2)) if kind == "exec" else ()
    return Check(kind, "/ready", dice.choice([0, 80]), command, *times, dice.randint(1, 9))


def some_goal(number: int) -> Wanted:
    """A goal like none before it, and the same one for the same number."""
    dice = random.Random(number)
    spec = ServiceSpec(
        tuple(dice.choices((*TEXTS, "--port=${PORT}"), k=dice.randint(0, 3))),
        replicas=dice.randint(0, 100),
        port_name=dice.choice(["", "http", "grpc-main"]),
        env={f"E_{at}": dice.choice(TEXTS) for at in range(dice.randint(0, 3))},
        secrets={f"S_{at}": SECRET + dice.choice(TEXTS) for at in range(dice.randint(0, 3))},
        resources=Resources(dice.choice([0.25, 1.0, 1.5, 0.009]), dice.randint(1, 2**40)),
        health=HealthChecks(some_check(dice), some_check(dice), some_check(dice)),
        files=tuple(ConfigFile(f"f{at}/{at}.ini", dice.choice(TEXTS)) for at in range(dice.randint(0, 3))),
        drain_s=dice.choice([0, 0.2, 10, 99.5]),
        stop_grace_s=dice.choice([0, 0.2, 5, 99.5]),
        autoscale=dice.choice([None, Autoscale(1, 3)]),
        ingress=dice.choice([None, Ingress("shop.example", tls_secret="cert")]),
    )
    made = goal(
        base=dice.choice(["", SERVING]),
        digest=dice.choice(["", ONE, TWO]),
        service=ServiceRef(SERVICE.key, dice.choice([STABLE, "canary"]), where=NAMESPACE),
        restart_nonce=dice.choice(["", "n1"]),
        deployment="d-1",
        project=dice.choice(PROJECTS),
        pull=dice.choice([None, PullSecret("registry.example", "robot", SECRET + "pull")]),
    )
    return replace(made, spec=spec)


for_any = pytest.mark.parametrize("wanted", [some_goal(number) for number in range(20)], ids=range(20))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def pod_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    template: dict[str, Any] = by_kind(found, "Deployment")["spec"]["template"]
    return template


@for_any
def test_the_same_goal_gives_the_same_manifests_and_stays_as_it_was(wanted: Wanted) -> None:
    before = copy.deepcopy(wanted)
    first, again = rendered(wanted), rendered(copy.deepcopy(wanted))
    assert json.dumps(first) == json.dumps(again), "to the order of every key"
    assert wanted == before


@for_any
def test_nobody_who_changes_what_was_rendered_changes_what_is_rendered_next(wanted: Wanted) -> None:
    first = rendered(wanted)
    kept = json.dumps(first)
    for one in first:
        one["metadata"]["labels"].clear()
        one.get("spec", {}).clear()
    assert json.dumps(rendered(wanted)) == kept


@for_any
def test_what_the_portal_makes_it_would_take_from_anybody(wanted: Wanted) -> None:
    for one in rendered(wanted):
        assert policy.refusals(one, NAMESPACE) == ()


@for_any
def test_every_name_and_label_is_one_that_kubernetes_takes(wanted: Wanted) -> None:
    found = rendered(wanted)
    for one in found:
        assert names.DNS_LABEL.match(one["metadata"]["name"])
        assert one["metadata"]["namespace"] == NAMESPACE
        for label in (*one["metadata"]["labels"].values(), *pod_of(found)["metadata"]["labels"].values()):
            assert LABEL.match(label), label
    titles = [manifests.title(one) for one in found]
    assert len(set(titles)) == len(titles)


@for_any
def test_everything_is_marked_as_this_service_s_and_the_selector_chooses_its_own_pods(wanted: Wanted) -> None:
    found = rendered(wanted)
    for one in found:
        assert parts.labels_of(wanted).items() <= one["metadata"]["labels"].items()
    chosen = by_kind(found, "Deployment")["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= pod_of(found)["metadata"]["labels"].items()
    assert manifests.main_of(found) is by_kind(found, "Deployment")


@for_any
def test_objects_come_in_an_order_in_which_each_finds_what_it_names(wanted: Wanted) -> None:
    found = rendered(wanted)
    order = [resource.kind for resource in names.DEPLOYABLE]
    assert [order.index(one["kind"]) for one in found] == sorted(order.index(one["kind"]) for one in found)
    made = {manifests.title(one) for one in found}
    ours = {
        one for one in manifests.config_of(pod_of(found)["spec"]) if one.partition("/")[0] in ("Secret", "ConfigMap")
    }
    assert ours <= made


@for_any
def test_no_secret_is_in_what_people_read(wanted: Wanted) -> None:
    found = rendered(wanted)
    assert SECRET not in manifests.canonical(found)
    assert all(SECRET not in text for one in found if one["kind"] != "Secret" for text in strings(one))
    assert all(SECRET not in manifests.comparable(one) for one in found)
    assert SECRET not in repr(wanted.spec)


@for_any
def test_the_canonical_text_says_every_object_again(wanted: Wanted) -> None:
    found = rendered(wanted)
    assert load_all(manifests.canonical(found)) == [manifests.masked(one) for one in found]


@for_any
def test_what_was_applied_has_not_drifted_from_itself(wanted: Wanted) -> None:
    found = manifests.stamped(rendered(wanted), wanted, "ab")
    for one in found:
        assert drift.differences(one, json.loads(json.dumps(one))) == ()


@for_any
def test_stamps_say_when_and_change_nothing_that_is_compared(wanted: Wanted) -> None:
    plain = rendered(wanted)
    before = json.dumps(plain)
    stamped = manifests.stamped(plain, wanted, "ab")
    assert json.dumps(plain) == before
    assert [manifests.comparable(one) for one in stamped] == [manifests.comparable(one) for one in plain]
    assert all(one["metadata"]["labels"][names.DEPLOYMENT] == "d-1" for one in stamped)
    assert names.DEPLOYMENT not in pod_of(stamped)["metadata"]["labels"], "pods would be replaced for it"


@for_any
def test_another_deployment_of_the_same_replaces_no_pods(wanted: Wanted) -> None:
    later = replace(wanted, generation=wanted.generation + 1, deployment="d-2", paused=True)
    assert pod_of(rendered(later)) == pod_of(rendered(wanted))


@for_any
def test_probes_and_waits_are_whole_seconds_that_kubernetes_takes(wanted: Wanted) -> None:
    found = rendered(wanted)
    main = container(found)
    for probe in (main.get(f"{name}Probe") for name in ("startup", "readiness", "liveness")):
        if probe is not None:
            assert all(
                isinstance(probe[name], int) and probe[name] >= 1 for name in ("periodSeconds", "timeoutSeconds")
            )
            assert probe.get("initialDelaySeconds", 1) >= 1
    grace = pod_of(found)["spec"]["terminationGracePeriodSeconds"]
    waits = main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert grace >= 1
    assert 0 <= waits <= grace, "a pod that waits longer than it may live is killed while it waits"


@for_any
def test_a_number_is_said_by_one_alone(wanted: Wanted) -> None:
    """Where something scales the service by itself, a number from us would undo its work at each deployment."""
    found = rendered(wanted)
    scaled = [one for one in found if one["kind"] == "HorizontalPodAutoscaler"]
    assert len(scaled) == (wanted.spec.autoscale is not None)
    assert ("replicas" in by_kind(found, "Deployment")["spec"]) is (wanted.spec.autoscale is None)


@for_any
def test_another_value_lies_under_another_name_and_the_same_one_under_the_same(wanted: Wanted) -> None:
    def titles(text: str) -> set[str]:
        spec = replace(wanted.spec, secrets={"TOKEN": SECRET + text}, files=(ConfigFile("a", text),))
        found = rendered(replace(wanted, spec=spec))
        return {manifests.title(each) for each in found if parts.HASHED.search(each["metadata"]["name"])}

    assert len(titles("one")) == 2
    assert titles("one") == titles("one")
    assert titles("one").isdisjoint(titles("other"))
    assert titles("one").isdisjoint(titles("one "))


@for_any
def test_another_installation_calls_secrets_otherwise(wanted: Wanted) -> None:
    """The end of a name is no fingerprint of a password that somebody else could look up."""
    here, there = (overlay.manifests(wanted, NAMESPACE, key) for key in (KEY, b"of another one"))
    kept = {manifests.title(one) for one in here} & {manifests.title(one) for one in there}
    assert not [title for title in kept if parts.HASHED.search(title)]
