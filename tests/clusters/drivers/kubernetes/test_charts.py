"""Manifests that were written for other tools, too: the words by which everybody knows an application stay as they say them."""

from __future__ import annotations

from typing import Any

from clusters.drivers.runtime.kubernetes import manifests, names
from tests.clusters.drivers.kubernetes.goals import BASE, SERVICE, by_kind, goal, rendered
from tests.clusters.drivers.kubernetes.places import KubernetesPlace
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

NAME, BY = "app.kubernetes.io/name", "app.kubernetes.io/managed-by"
CHART = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app.kubernetes.io/name: web, app.kubernetes.io/managed-by: Helm}}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: web}}
  template:
    metadata: {labels: {app.kubernetes.io/name: web, app.kubernetes.io/managed-by: Helm, fangduoduo-release/service: mine}}
    spec: {containers: [{name: web, image: whatever, ports: [{containerPort: 3000}]}]}
"""
FRONT = """
---
apiVersion: v1
kind: Service
metadata: {name: front, labels: {app.kubernetes.io/name: front}}
spec:
  selector: {%s}
  ports: [{port: 80, targetPort: 3000}]
"""


def answering(rig: Rig, name: str = "front") -> int:
    """How many pods stand behind a Service."""
    found = rig.get("endpoints", "shop-test", name) or {}
    return sum(len(subset.get("addresses") or ()) for subset in found.get("subsets") or ())


def test_labels_stay_as_the_manifest_says_them_and_our_own_marks_are_ours_to_say() -> None:
    """Services choose by them, and so does what is in the namespace beside it: disruption budgets, network policies."""
    found = rendered(goal(base=CHART + FRONT % f"{NAME}: web"))
    deployment, front = by_kind(found, "Deployment"), by_kind(found, "Service")
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    for labels in (deployment["metadata"]["labels"], pods):
        assert (labels[NAME], labels[BY], labels[names.SERVICE]) == ("web", "Helm", SERVICE.key)
    assert (front["metadata"]["labels"][NAME], front["metadata"]["labels"][BY]) == ("front", names.MANAGER)
    assert front["spec"]["selector"].items() <= pods.items()


def test_where_a_manifest_does_not_say_them_they_are_set() -> None:
    found = rendered(goal(base=BASE))
    everything = [one["metadata"] for one in found] + [by_kind(found, "Deployment")["spec"]["template"]["metadata"]]
    assert [(one["labels"][NAME], one["labels"][BY]) for one in everything] == [("shop", names.MANAGER)] * 2


def test_a_selector_that_was_written_for_what_was_once_forced_upon_the_pods_still_chooses_them() -> None:
    """No selector can be changed, and going back brings old manifests."""
    then = CHART.replace(f"matchLabels: {{{NAME}: web}}", f"matchLabels: {{{NAME}: shop}}")
    found = by_kind(rendered(goal(base=then)), "Deployment")
    assert found["spec"]["template"]["metadata"]["labels"][NAME] == "shop"
    assert found["metadata"]["labels"][NAME] == "web"


def test_a_service_that_chooses_by_them_has_pods_behind_it(rig: Rig, place: KubernetesPlace) -> None:
    wanted = place.want(place.version("one"), base=CHART + FRONT % f"{NAME}: web")
    assert place.runtime.plan(wanted).warnings == ()
    assert place.settle(wanted).ready == 2
    until(lambda: answering(rig) == 2, what="pods behind the Service")


def test_what_was_deployed_with_our_words_forced_on_it_takes_its_own_with_one_more_roll_out(
    rig: Rig, place: KubernetesPlace
) -> None:
    chart = CHART.replace(f"matchLabels: {{{NAME}: web}}", "matchLabels: {app: web}").replace(
        "labels: {", "labels: {app: web, "
    )
    service = FRONT % f"app: web, {NAME}: web"
    before = place.want(place.version("one"), base=chart.replace(f"{NAME}: web", f"{NAME}: shop"))
    place.settle(before)
    now = place.want(before.artifact, base=chart + service, version=before.version)
    plan = place.runtime.plan(now)
    assert (plan.conflicts, plan.replaces_instances) == ((), True)
    assert place.settle(now).ready == 2
    until(lambda: answering(rig) == 2, what="pods behind the Service")
    again = place.want(before.artifact, base=chart + service, version=before.version)
    assert not place.runtime.plan(again).changed


def test_a_service_that_chooses_none_of_the_pods_is_told_before_anything_begins(place: KubernetesPlace) -> None:
    wanted = place.want(place.version("one"), base=CHART + FRONT % f"{NAME}: other")
    assert [str(one) for one in place.runtime.plan(wanted).warnings] == [
        "The selector of Service/front asks for labels that no pod of this manifest has: nothing that is deployed here "
        "answers there."
    ]


def test_which_services_choose_nothing() -> None:
    (service, deployment) = rendered(goal())
    assert manifests.choosing_nothing([service, deployment]) == []
    worker = by_kind(rendered(goal(base=BASE)), "Deployment")
    assert manifests.choosing_nothing([{**service, "spec": {"selector": {"app": "else"}}}, worker]) == ["Service/shop"]
    assert manifests.choosing_nothing([{**service, "spec": {"selector": {"app": "web"}}}, deployment, worker]) == []
    both = {"app": "web", "tier": "back"}
    assert manifests.choosing_nothing([{**service, "spec": {"selector": both}}, worker]) == ["Service/shop"]
    by_hand: tuple[Any, ...] = ({}, {"selector": None}, {"selector": {}}, {"selector": "odd"}, None)
    for spec in by_hand:
        assert manifests.choosing_nothing([{**service, "spec": spec}, worker]) == [], "people say where it leads"


def test_a_service_that_nobody_knows_is_found_whoever_its_manifest_says_manages_it(place: KubernetesPlace) -> None:
    place.settle(place.want(place.version("one"), base=CHART))
    assert place.runtime.reconcile([]).strays == (place.service,)
