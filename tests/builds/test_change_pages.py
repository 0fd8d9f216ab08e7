"""Builds of changes under review on pages and in the API: which change, what the reviewers were told, and no version."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from builds.models import Build, Review
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.sentence import S
from permissions.models import User
from projects.models import Project
from tests import world
from tests.api.door import Door

pytestmark = pytest.mark.django_db
REFUSED = S("The account “%(user)s” may not vote there.", user="portal")


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def shop(ann: User) -> Project:
    return world.bare_project(ann, "shop")


@pytest.fixture
def page(ann: User) -> Client:
    client = Client()
    client.force_login(ann)
    client.cookies["django_language"] = "en"
    return client


def html(answer: Any) -> str:
    return str(answer.content.decode())


def told(build: Build, what: str = "ended", **facts: Any) -> Review:
    return Review.objects.create(build=build, what=what, message="m", **facts)


def test_the_list_and_the_page_name_the_change_and_lead_to_it(page: Client, shop: Project) -> None:
    build = world.change_build(shop, 123, 2)
    for where in ("/builds/", "/projects/shop/builds/", "/projects/shop/", f"/builds/{build.pk}/"):
        said = html(page.get(where))
        assert "change 123, patch set 2" in said, where
        assert "→ main" in said, where
        assert 'href="https://review.example/c/shop/+/123" target="_blank" rel="noopener noreferrer"' in said, where
    assert "refs/changes" not in html(page.get(f"/builds/{build.pk}/"))


def test_an_address_that_is_none_is_no_link(page: Client, shop: Project) -> None:
    build = world.change_build(shop)
    build.change.url = ""
    build.change.save()
    said = html(page.get(f"/builds/{build.pk}/"))
    assert "change 123, patch set 2" in said
    assert 'href=""' not in said


def test_the_page_says_that_it_makes_no_version(page: Client, shop: Project) -> None:
    words = "the build of a change makes no version"
    assert words in html(page.get(f"/builds/{world.change_build(shop).pk}/"))
    assert words not in html(page.get(f"/builds/{world.build(shop).pk}/"))


def test_what_the_reviewers_were_told_and_what_not(page: Client, shop: Project) -> None:
    build = world.change_build(shop)
    assert "neither vote nor comment" in html(page.get(f"/builds/{build.pk}/"))
    told(build, "started", state="late")
    review = told(build, value=-1, state="failed", error=runs.error_of("no_permission", REFUSED))
    said = html(page.get(f"/builds/{build.pk}/"))
    for words in ("Not needed any more", "that the build began", "Not sent", "−1", "“portal” may not vote there"):
        assert words in said, words
    review.state, review.value = "sent", 1
    review.save()
    said = html(page.get(f"/builds/{build.pk}/?part=live"))
    assert "Sent without the vote:" in said
    assert "+1" not in said  # nobody voted
    review.error = None
    review.save()
    assert "+1" in html(page.get(f"/builds/{build.pk}/?part=live"))
    assert 'id="reviews"' not in html(page.get(f"/builds/{world.build(shop).pk}/"))


def test_a_cancelled_build_says_why(page: Client, shop: Project) -> None:
    build = world.change_build(shop, state="cancelled")
    assert "data-why" not in html(page.get(f"/builds/{build.pk}/"))
    events.record(build, "superseded", S("A newer push of the branch came: it is built by #%(number)s.", number=7))
    events.record(build, "state", S("Cancelled by %(who)s.", who="system"), state="cancelled")
    said = html(page.get(f"/builds/{build.pk}/"))
    assert "A newer push of the branch came: it is built by #7." in said
    assert "Cancelled by system." not in said
    other = world.build(shop, "cancelled")
    events.record(other, "state", S("Cancelled by %(who)s.", who="ann"), state="cancelled")
    assert "Cancelled by ann." in html(page.get(f"/builds/{other.pk}/"))


@pytest.mark.parametrize(("value", "shown"), [(1, "+1"), (-1, "−1"), (0, "0"), (2, "+2"), (None, "")])
def test_votes_are_written_as_reviewers_write_them(value: int | None, shown: str) -> None:
    assert Review(value=value).signed == shown


def test_builds_are_filtered_by_what_they_are_of(page: Client, shop: Project) -> None:
    plain, change = world.build(shop), world.change_build(shop)
    for base in ("/builds/", "/projects/shop/builds/"):
        for query, wanted in (("changes=true", {change}), ("changes=false", {plain}), ("changes=", {plain, change})):
            answer = page.get(f"{base}?{query}&state=")
            assert set(answer.context["page"].rows) == wanted, (base, query)
    assert 'value="true" selected' in html(page.get("/builds/?changes=true"))
    nothing = html(page.get("/projects/shop/builds/?changes=true&state=running"))
    assert "No build like that" in nothing
    assert page.get("/builds/?changes=perhaps").status_code == 200


class TestTheApi:
    def test_a_build_says_which_change_it_is_of(self, ann: User, shop: Project) -> None:
        build, plain = world.change_build(shop, 7, 3), world.build(shop)
        told(build, value=1, state="failed", error=runs.error_of("no_permission", REFUSED))
        door = Door(ann)
        one = door.get(f"builds/{build.pk}/").json()["change"]
        assert {name: one[name] for name in ("number", "patch_set", "branch", "url")} == {
            "number": 7, "patch_set": 3, "branch": "main", "url": "https://review.example/c/shop/+/7",
        }  # fmt: skip
        review = one["reviews"][0]
        assert (review["what"], review["value"], review["state"]) == ("ended", 1, "failed")
        assert "may not vote" in review["error"]
        assert door.get(f"builds/{plain.pk}/").json()["change"] is None

    def test_lists_are_filtered_and_ask_no_more_for_many(
        self, ann: User, shop: Project, django_assert_max_num_queries: Any
    ) -> None:
        world.build(shop)
        for number in range(1, 9):
            told(world.change_build(shop, number), value=1)
        door = Door(ann)
        door.get("builds/")
        with django_assert_max_num_queries(8):
            found = door.get("projects/shop/builds/?changes=true").json()["results"]
        assert len(found) == 8
        assert all(len(one["change"]["reviews"]) == 1 for one in found)
        assert [one["change"]["number"] for one in door.get("builds/?change=5").json()["results"]] == [5]

    def test_rules_go_in_and_come_out(self, ann: User, shop: Project) -> None:
        door = Door(ann)
        first = door.get("projects/shop/triggers/").json()
        assert (first["branches"], first["changes"], first["changes_since"]) == (["**"], False, None)
        assert door.put("projects/shop/triggers/", first).status_code == 200  # as it came
        answer = door.put("projects/shop/triggers/", {"branches": ["main"], "cancel": "branches", "debounce_s": 9})
        assert answer.status_code == 200
        assert door.get("projects/shop/triggers/").json() == answer.json()
        assert answer.json()["branches"] == ["main"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"branches": ["!"]}, "branches"),
            ({"branches": "main"}, "branches"),
            ({"paths": ["x" * 201]}, "paths"),
            ({"debounce_s": 1000}, "debounce_s"),
            ({"cancel": "sometimes"}, "cancel"),
            ({"changes": True}, "changes"),
        ],
    )
    def test_a_mistake_is_named(self, ann: User, shop: Project, body: Any, field: str) -> None:
        answer = Door(ann).put("projects/shop/triggers/", body)
        assert answer.status_code in {400, 422}  # its shape, or its meaning
        assert any(name.startswith(field) for name in answer.json()["fields"]), answer.json()

    def test_what_came_in_page_by_page(self, ann: User, shop: Project, django_assert_max_num_queries: Any) -> None:
        skipped = S("The commit's message says “%(marker)s”.", marker="[skip ci]").as_json()
        built = world.news(shop, build=world.build(shop), via="stream")
        world.news(shop, result={"skipped": skipped}, forced=True)
        change = world.news(shop, "change", state="new")
        door = Door(ann)
        door.get("projects/shop/pushes/")
        with django_assert_max_num_queries(7):
            found = door.get("projects/shop/pushes/").json()["results"]
        assert [one["id"] for one in found] == [change.pk, change.pk - 1, built.pk]
        assert found[0]["change"] == {"number": 123, "patch_set": 2, "subject": "Change something", "url": ""}
        assert (found[0]["state"], found[0]["branch"]) == ("new", "main")
        assert found[1]["why_not"] == "The commit's message says “[skip ci]”."
        assert found[1]["forced"] is True
        assert (found[2]["via"], found[2]["latency_ms"], found[2]["why_not"]) == ("stream", 42, None)
        assert found[2]["build"]["state"] == "succeeded"
        first = door.get("projects/shop/pushes/?limit=2&page_size=2").json()
        assert set(first) >= {"results", "next"}
        assert [one["kind"] for one in door.get("projects/shop/pushes/?kind=change").json()["results"]] == ["change"]
