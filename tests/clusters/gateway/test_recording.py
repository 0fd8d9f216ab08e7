"""What of an object goes into the audit: what people asked for, by name, without a server's noise or a second copy of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.runtime.kubernetes.names import PROJECT
from clusters.gateway import paths, recording
from clusters.gateway.reach import Place, project_of
from clusters.models import Cluster

TARGET = paths.parse("apis/apps/v1/namespaces/shop/deployments/web")
NAMED = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "B"}}}]


def facts(item: dict[str, Any]) -> dict[str, Any]:
    found = recording.facts_of(item)
    assert found is not None
    return found


# -- what is kept of an object ------------------------------------------------------------------------------------------


def test_of_nothing_nothing_is_kept() -> None:
    assert recording.facts_of(None) is None
    assert recording.facts_of({}) == {"metadata": {}}


@pytest.mark.parametrize("noise", sorted(recording.NOISE))
def test_what_only_a_server_says_is_left_out(noise: str) -> None:
    item = {"kind": "Pod", "metadata": {"name": "web", noise: "x"}, "status": {"phase": "Running"}}
    assert facts(item) == {"kind": "Pod", "metadata": {"name": "web"}}


def test_an_object_applied_by_hand_brings_no_second_copy_of_its_values() -> None:
    notes = {recording.LAST_APPLIED: json.dumps({"env": [{"name": "PASSWORD", "value": "hunter2"}]}), "mine": "kept"}
    found = facts({"metadata": {"annotations": notes}})
    assert found == {"metadata": {"annotations": {"mine": "kept"}}}


@pytest.mark.parametrize("notes", [None, "x", 5, ["x"]], ids=repr)
def test_annotations_of_any_form_are_kept_as_they_are(notes: Any) -> None:
    assert facts({"metadata": {"annotations": notes}}) == {"metadata": {"annotations": notes}}


def test_variables_are_told_by_their_names_so_that_masks_reach_them() -> None:
    found = facts({"spec": {"containers": [{"name": "app", "image": "x", "env": NAMED}]}})
    assert found["spec"]["containers"] == {
        "app": {"image": "x", "env": {"A": "1", "B": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "B"}}}}}
    }


@pytest.mark.parametrize(
    "items",
    [
        [],
        ["a", "b"],
        [1, None],
        [{"name": "a"}, {"name": "a"}],
        [{"name": "a"}, {"value": 1}],
        [{"name": 5}],
        [{"name": "a"}, "b"],
        [{"port": 80}],
    ],
    ids=str,
)
def test_a_list_whose_items_have_no_names_of_their_own_stays_a_list(items: list[Any]) -> None:
    assert facts({"spec": {"list": items}})["spec"]["list"] == items


def test_lists_within_lists_are_told_by_name_too() -> None:
    assert facts({"spec": {"list": [[{"name": "a", "value": 1}]]}})["spec"]["list"] == [{"a": 1}]


keys = st.sampled_from(["name", "value", "metadata", "spec", "env", "a"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
objects = st.fixed_dictionaries(
    {"kind": st.just("Pod"), "metadata": st.dictionaries(keys, values, max_size=3)}, optional={"spec": values}
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(objects)
def test_an_object_of_any_form_is_kept_and_stays_as_it_was(item: dict[str, Any]) -> None:
    before = copy.deepcopy(item)
    json.dumps(facts(item))
    assert item == before
    assert facts(item) == facts(copy.deepcopy(item)), "so that two that are equal show no difference"


# -- whose it is --------------------------------------------------------------------------------------------------------


def labelled(project: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {PROJECT: project}}}


@pytest.mark.parametrize(
    "item",
    [None, "x", 5, [], {}, {"metadata": None}, {"metadata": []}, {"metadata": {"labels": None}}, {"metadata": {"labels": ["x"]}},
     labelled(None), labelled("")],
    ids=str,
)  # fmt: skip
def test_an_object_that_does_not_say_is_nobody_s(item: Any) -> None:
    assert project_of(item) == ""


@pytest.mark.parametrize(
    ("project", "projects", "shown"),
    [("shop", {"shop"}, True), ("rival", {"shop"}, False), ("", {"shop"}, True), ("", set(), True), ("shop", set(), False),
     ("SHOP", {"shop"}, False), ("shop ", {"shop"}, False)],
    ids=str,
)  # fmt: skip
def test_only_one_s_own_and_nobody_s_objects_are_shown_in_a_shared_namespace(
    project: str, projects: set[str], shown: bool
) -> None:
    assert Place(frozenset(projects)).shows(project) is shown
    assert Place(frozenset(projects), everything=True).shows(project), "to ops everything is"


@pytest.mark.parametrize(
    ("place", "writes"),
    [(Place(), False), (Place(frozenset({"a"})), False), (Place(removes=frozenset({"a"})), False),
     (Place(deploys=frozenset({"a"})), True), (Place(everything=True), True)],
    ids=["nothing", "reads", "removes", "deploys", "ops"],
)  # fmt: skip
def test_to_read_a_place_is_not_to_write_there(place: Place, writes: bool) -> None:
    assert place.writes is writes


@pytest.mark.parametrize(
    ("item", "projects", "trail"),
    [(labelled("a"), {"a", "b"}, "a"), (labelled("c"), {"a", "b"}, ""), (labelled("c"), {"a"}, "a"), (None, {"a"}, "a"),
     (None, {"a", "b"}, ""), ({}, set(), ""), ({"metadata": None}, {"a"}, "a"), ({"metadata": {"labels": None}}, {"a"}, "a")],
    ids=["own", "foreign-of-two", "foreign-of-one", "none-of-one", "none-of-two", "empty", "no-metadata", "no-labels"],
)  # fmt: skip
def test_a_change_stands_in_the_trail_of_its_own_project_and_of_no_guessed_one(
    item: Any, projects: set[str], trail: str
) -> None:
    assert recording.project_of(item, Place(frozenset(projects))) == trail


@pytest.mark.parametrize("name", ["web", "x" * 253], ids=["short", "longest"])
def test_the_trail_s_key_has_room_for_any_name_and_its_label_says_it_whole(name: str) -> None:
    it = recording.named(Cluster(name="east"), TARGET, name, "shop")
    assert len(it.id) <= 60
    assert it.id.endswith(name[-50:])
    assert it.label == f"shop/deployments/{name} (east)"
    assert it.project == "shop"
