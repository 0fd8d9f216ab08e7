"""`GET /api/audit/`: the shape it had, the place in the chain, and who may ask for which project."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from fangduoduo_release.audit import trail
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from tests import world

from .rows import THING, change, write

pytestmark = pytest.mark.django_db


def client(user: Any) -> Client:
    made = Client()
    made.force_login(user)
    return made


def results(who: Client, **query: str) -> list[dict[str, Any]]:
    answer = who.get("/api/audit/", query)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_a_row_has_the_shape_it_had_and_its_place_in_the_chain() -> None:
    (entry,) = write(1)
    (row,) = results(client(world.ops()))
    assert row["object"] == {"kind": "tests.thing", "id": "1", "label": "a thing"}
    assert (row["id"], row["seq"], row["digest"], row["project"]) == (entry.pk, 1, entry.digest, "shop")
    assert (row["actor"], row["verb"], row["before"], row["after"]) == ("system", "thing.do", None, {"n": 1})
    assert {"at", "address", "user_agent", "request_id"} <= set(row)


def test_maintainers_read_their_project_and_nothing_else() -> None:
    shop = world.project(slug="shop")
    world.project(slug="other")
    maintainer = client(world.member(shop, "maintainer"))
    assert {row["project"] for row in results(maintainer, project="shop")} == {"shop"}
    assert results(maintainer, project="shop", search="other") == []
    assert maintainer.get("/api/audit/").status_code == 403
    assert maintainer.get("/api/audit/", {"project": "other"}).status_code == 404
    assert client(world.member(shop, "developer")).get("/api/audit/", {"project": "shop"}).status_code == 403


def test_ops_narrow_by_project_person_verb_and_object() -> None:
    ops = client(world.ops())
    write(2)
    trail.record(SYSTEM, "thing.other", trail.Named("tests.thing", "2", "b thing", "web"))
    assert [row["seq"] for row in results(ops, project="web")] == [3]
    assert [row["seq"] for row in results(ops, verb="thing.do")] == [2, 1]
    assert [row["seq"] for row in results(ops, object_kind="tests.thing", object_id="2")] == [3]
    assert results(ops, project="none") == []


def test_pages_go_on_where_the_last_one_ended_while_rows_arrive() -> None:
    ops = client(world.ops())
    write(5)
    first = ops.get("/api/audit/", {"page_size": "2"}).json()
    write(3)
    second = ops.get(first["next"]).json()
    assert [row["seq"] for row in first["results"] + second["results"]] == [5, 4, 3, 2]


def test_nobody_writes_through_it() -> None:
    ops = client(world.ops())
    write(1)
    for method in ("post", "put", "patch", "delete"):
        assert getattr(ops, method)("/api/audit/", {}, content_type="application/json").status_code == 405
    assert AuditEntry.objects.count() == 1


def test_a_row_that_was_broken_by_hand_is_still_answered() -> None:
    write(1)
    change(1, "after", "{broken")
    assert results(client(world.ops()))[0]["after"] == {"?": "{broken"}


def test_facts_of_a_row_are_its_own_values_and_names_of_what_it_points_at() -> None:
    machine = world.machine("prod", "production")
    facts = trail.facts(machine)
    assert (facts["name"], facts["environment"], facts["cluster"]) == ("prod", "production", "local")
    assert "id" not in facts
    assert "created_at" not in facts
    machine.environment = "test"
    assert trail.stored_facts(machine) == facts, "as the database has it, not as it stands in memory"
    assert trail.stored_facts(type(machine)(name="new")) is None
    assert trail.named(THING) is THING
