"""Cards of instances: those of the goal before earlier ones, those that are not well first, and none called well that is not."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from deployments.cards import GONE, SHOWN, cards, rows_of, versions_of
from deployments.models import Deployment, Instance, Service
from tests import world

NEW, OLD, FOREIGN = "sha256:new", "sha256:old", "sha256:foreign"
VERSIONS = {NEW: 2, OLD: 1}


def instance(name: str, **facts: Any) -> Instance:
    return Instance(**{"name": name, "state": "running", "ready": True, "digest": NEW, **facts})


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in found]


def card(pinned: str = NEW, **facts: Any) -> dict[str, Any]:
    (found,) = cards([instance("a", **facts)], VERSIONS, pinned)
    return found


def test_what_needs_a_look_stands_first_in_whatever_order_it_was_read() -> None:
    made = [
        instance("a-well"),
        instance("b-starting", state="starting", ready=False),
        instance("c-complaining", reason={"msgid": "It was killed.", "params": {}}),
        instance("d-earlier", digest=OLD),
        instance("e-leaving", state="draining"),
    ]
    expected = ["b-starting", "c-complaining", "a-well", "d-earlier", "e-leaving"]
    for order in permutations(made):
        assert names(cards(order, VERSIONS, NEW)) == expected


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "healthy"),
        ({"ready": False}, "running"),
        ({"state": "starting"}, "starting"),
        ({"state": "draining"}, "draining"),
        ({"state": "crashed", "ready": False}, "crashed"),
    ],
    ids=["ready", "not-ready", "starting", "leaving", "crashed"],
)
def test_only_what_runs_and_is_ready_is_called_healthy(facts: dict[str, Any], state: str) -> None:
    assert card(**facts)["state"] == state


@pytest.mark.parametrize("state", sorted(GONE))
def test_what_is_on_its_way_out_is_old_whatever_it_runs(state: str) -> None:
    assert card(state=state)["old"]


@pytest.mark.parametrize(
    ("digest", "pinned", "old"),
    [
        (NEW, NEW, False),
        (OLD, NEW, True),
        (FOREIGN, NEW, True),
        ("", NEW, False),
        (OLD, "", True),
        (FOREIGN, "", False),
        ("", "", False),
    ],
    ids=["goal", "earlier", "foreign", "not-read-yet", "earlier-goal-unknown", "perhaps-the-goal", "nothing-known"],
)
def test_what_counts_as_earlier(digest: str, pinned: str, old: bool) -> None:
    assert card(pinned, digest=digest)["old"] is old


def test_a_digest_that_no_version_stands_for_has_no_number() -> None:
    assert (card(digest=NEW)["version"], card(digest=FOREIGN)["version"]) == (2, None)


@pytest.mark.parametrize(
    ("containers", "shown"), [([], ()), (["app"], ()), (["app", "proxy"], ["app", "proxy"])], ids=["none", "one", "two"]
)
def test_containers_are_named_where_there_is_a_choice(containers: list[str], shown: Any) -> None:
    assert card(containers=containers)["containers"] == shown


def test_where_it_answers_is_better_than_where_it_lies() -> None:
    assert card(node="node-1")["node"] == "node-1"
    assert card(node="node-1", address="node-1:8080")["node"] == "node-1:8080"


@pytest.mark.django_db
def test_rows_without_a_models_weight_make_the_same_cards(django_assert_num_queries: Any) -> None:
    service = Service.objects.create(project=world.bare_project(), machine=world.machine())
    for name in ("a", "b"):
        made = instance(name, containers=["app", "proxy"], restarts=2)
        made.service = service
        made.save()
    with django_assert_num_queries(1):
        light = cards(rows_of(service), VERSIONS, NEW)
    assert light == cards(service.instances.all(), VERSIONS, NEW)
    assert {field.name for field in Instance._meta.fields} >= set(SHOWN)


# --- which version a digest stands for -------------------------------------------------------------------------------
@pytest.mark.django_db
class TestVersionsOf:
    def deployment(self, **facts: Any) -> Deployment:
        machine = world.machine()
        machine.cluster.kind = "kubernetes"
        return Deployment(service=Service(machine=machine), **facts)

    def test_both_sides_are_known_and_nothing_stands_for_no_digest(self) -> None:
        project = world.bare_project()
        old, new = (
            world.version(project, image=f"registry.example/shop:{n}", digest=f"sha256:{n * 64}", archive_sha256="")
            for n in "12"
        )
        found = versions_of(self.deployment(version=new, previous_version=old, pins={}))
        assert found == {old.digest: old.number, new.digest: new.number}

    def test_a_tag_is_known_by_what_it_turned_out_to_be(self) -> None:
        project = world.bare_project()
        old, new = (world.version(project, image=f"registry.example/shop:{n}", archive_sha256="") for n in "12")
        before = Deployment(pins={"digest": OLD})
        made = self.deployment(version=new, previous_version=old, previous=before, pins={"digest": NEW})
        assert versions_of(made) == {OLD: old.number, NEW: new.number}

    def test_where_both_run_the_same_it_is_called_the_new_one(self) -> None:
        project = world.bare_project()
        old, new = (world.version(project, image=f"registry.example/shop:{n}", archive_sha256="") for n in "12")
        before = Deployment(pins={"digest": OLD})
        made = self.deployment(version=new, previous_version=old, previous=before, pins={"digest": OLD})
        assert versions_of(made) == {OLD: new.number}

    def test_the_first_deployment_and_a_removal(self) -> None:
        version = world.version(world.bare_project(), image="registry.example/shop:1", archive_sha256="")
        assert versions_of(self.deployment(version=version, pins={})) == {}
        assert versions_of(self.deployment(pins={})) == {}
