"""What the informers saw is believed where the service is to be, and nowhere else."""

from __future__ import annotations

from typing import Any, cast

from clusters.drivers.runtime.base import ServiceRef
from clusters.drivers.runtime.kubernetes import names
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.seeing import Seer

KEY = "138b2677-a146-4338-95d9-ad85e701b62f"


def marked(kind: str, name: str, namespace: str) -> dict[str, Any]:
    labels = {names.SERVICE: KEY, names.GROUP: "stable"}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "labels": labels},
    }


def seer(*objects: dict[str, Any]) -> Seer:
    """One whose rows are fresh, so that no server is asked: there is none."""
    return Seer(cast(Api, None), lambda key: (objects, 0.5))


def test_pods_that_somebody_marked_as_ours_in_another_namespace_are_not_ours() -> None:
    found = seer(marked("Pod", "shop-1", "shop"), marked("Pod", "intruder", "elsewhere"))
    pods = found.pods(ServiceRef(KEY, where="shop"))
    assert [one["metadata"]["name"] for one in pods] == ["shop-1"]


def test_a_deployment_marked_as_ours_elsewhere_is_not_what_is_observed() -> None:
    found = seer(marked("Deployment", "shop", "elsewhere"))
    assert found.sight(ServiceRef(KEY, where="shop")).deployment is None


def test_what_is_to_be_removed_is_looked_for_where_it_was_seen_too() -> None:
    found = seer(marked("Deployment", "shop", "before"))
    assert found.namespaces(ServiceRef(KEY, where="shop")) == ["before", "shop"]


def test_without_a_place_all_that_carries_the_mark_counts() -> None:
    found = seer(marked("Pod", "a", "one"), marked("Pod", "b", "two"))
    assert len(found.pods(ServiceRef(KEY))) == 2
