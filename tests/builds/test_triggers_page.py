"""The page of what builds by itself: its form, the line to try a name on, and what came in, with why nothing was built."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from builds.lately import items_of, with_builds
from builds.models import BuildRules
from builds.rule_actions import save_rules
from builds.rules import rules_of
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, told_by
from permissions.models import User
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
PAGE = "/projects/shop/triggers/"
TRY = f"{PAGE}try/"
FORM = {
    "branches": "main\nrelease/*\n",
    "tags": "v*",
    "paths": "",
    "skip_marker": "on",
    "debounce_s": "0",
    "cancel": "never",
}
REVIEW = {"url": "https://review.example/", "username": "portal", "label": "Works"}


def signed_in(user: User, language: str = "en") -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = language
    return client


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def shop(ann: User) -> Project:
    return world.bare_project(ann, "shop")


@pytest.fixture
def reviewed(shop: Project) -> Project:
    """It lives on a Gerrit, which nobody asks."""
    server = Connection.objects.create(name="review", kind="gerrit", config=REVIEW, secrets={"password": "p"})
    Project.objects.filter(pk=shop.pk).update(source_kind="gerrit", source_connection=server, repository="team/shop")
    shop.refresh_from_db()
    return shop


def html(answer: Any) -> str:
    return str(answer.content.decode())


class TestTheForm:
    def test_what_is_saved_holds_and_is_shown(self, ann: User, shop: Project) -> None:
        client = signed_in(ann)
        answer = client.post(PAGE, FORM, follow=True)
        assert "it holds from the next push on" in html(answer)
        rules = rules_of(shop)
        assert (rules.branches, rules.tags, rules.cancel) == (["main", "release/*"], ["v*"], "never")
        assert "main\nrelease/*" in html(answer)

    def test_a_mistake_stands_at_its_field_and_nothing_typed_is_lost(self, ann: User, shop: Project) -> None:
        answer = signed_in(ann).post(PAGE, {**FORM, "branches": "main\n!", "debounce_s": "30"})
        assert answer.status_code == 422
        assert "“!” is no pattern." in html(answer)
        assert list(answer.context["form"].errors) == ["branches"]
        assert 'value="30"' in html(answer)
        assert not BuildRules.objects.exists()

    def test_a_viewer_sees_them_locked_with_the_way_to_ask(self, shop: Project) -> None:
        client = signed_in(world.member(shop, "viewer"))
        page = html(client.get(PAGE))
        assert '<fieldset class="bare" disabled>' in page
        assert 'data-opens="locked-rules"' in page
        assert "/requests/new/?project=shop" in page
        assert client.post(PAGE, {**FORM, "branches": "!"}).status_code == 403  # the right first, then what was typed

    def test_without_reviews_nothing_is_asked_about_them(self, ann: User, shop: Project) -> None:
        page = html(signed_in(ann).get(PAGE))
        assert 'name="changes"' not in page
        assert "no changes are reviewed" in page
        assert signed_in(ann).post(PAGE, {**FORM, "changes": "on"}).status_code == 302
        assert not rules_of(shop).changes

    def test_with_reviews_the_vote_goes_by_the_label_of_the_server(self, ann: User, reviewed: Project) -> None:
        assert "Vote “Works”: +1 or −1" in html(signed_in(ann).get(PAGE))
        signed_in(ann).post(PAGE, {**FORM, "changes": "on", "vote": "on"})
        rules = rules_of(reviewed)
        assert (rules.changes, rules.vote, rules.comment) == (True, True, False)

    def test_the_ways_there(self, ann: User, shop: Project) -> None:
        assert f'href="{PAGE}"' in html(signed_in(ann).get("/projects/shop/settings/"))
        assert f'href="{PAGE}#lately"' in html(signed_in(ann).get("/projects/shop/builds/"))


class TestTrying:
    @pytest.mark.parametrize(
        ("kind", "name", "verdict", "words"),
        [
            ("branches", "main", "yes", "because of “main”"),
            ("branches", "refs/heads/main", "yes", "because of “main”"),
            ("branches", "release/1.2", "yes", "because of “release/*”"),
            ("branches", "release/1/2", "no", "no pattern matches"),
            ("branches", "release/old", "no", "“!release/old” takes it out"),
            ("tags", "v1", "yes", "no pattern takes it out"),
            ("tags", "v1-rc1", "no", "“!*-rc*” takes it out"),
            ("paths", "src/a/b.py", "yes", "because of “src/”"),
            ("paths", "/docs/x.md", "no", "no pattern matches"),
        ],
    )
    def test_it_says_whether_and_by_which_pattern(
        self, ann: User, shop: Project, kind: str, name: str, verdict: str, words: str
    ) -> None:
        save_rules(
            actor=SYSTEM, project=shop,
            branches=["main", "release/*", "!release/old"], tags=["!*-rc*"], paths=["src/"],
        )  # fmt: skip
        said = html(signed_in(ann).post(TRY, {"kind": kind, "name": name}))
        assert f'data-tried="{verdict}"' in said
        assert words in said

    def test_what_stands_in_the_form_counts_before_it_is_saved(self, ann: User, shop: Project) -> None:
        client = signed_in(ann)
        typed = {"kind": "branches", "name": "main", "branches": "release/*\r\n\r\n"}
        assert 'data-tried="no"' in html(client.post(TRY, typed))
        assert 'data-tried="yes"' in html(client.post(TRY, {**typed, "branches": "main"}))
        unread = html(client.post(TRY, {**typed, "branches": "!"}))
        assert 'data-tried="unread"' in unread
        assert "is no pattern" in unread
        assert not BuildRules.objects.exists()

    def test_without_paths_any_file_counts(self, ann: User, shop: Project) -> None:
        assert "whatever changed counts" in html(signed_in(ann).post(TRY, {"kind": "paths", "name": "a"}))

    def test_nothing_typed_says_nothing(self, ann: User, shop: Project) -> None:
        for body in ({"kind": "branches", "name": " "}, {"kind": "other", "name": "x"}, {}):
            answer = signed_in(ann).post(TRY, body)
            assert (answer.status_code, html(answer).strip()) == (200, "")

    def test_strangers_try_nothing(self, shop: Project) -> None:
        assert signed_in(world.person()).post(TRY, {"kind": "branches", "name": "main"}).status_code == 404


class TestWhatCameIn:
    def test_every_end_is_told(self, ann: User, reviewed: Project) -> None:
        skipped = S("The rules of this project do not build the branch “%(name)s”.", name="wip")
        world.news(reviewed, build=world.build(reviewed, "failed"), via="stream", forced=True, actor="Li Wei")
        world.news(reviewed, ref="refs/heads/wip", result={"skipped": skipped.as_json()}, via="hook")
        world.news(reviewed, ref="refs/tags/v1", state="new", via="compare")
        world.news(reviewed, ref="refs/heads/old", new="0" * 40, result={"build": None})
        change = world.change_build(reviewed)
        world.news(reviewed, "change", build=change, subject="Greet <b>people</b>", url="https://review.example/c/1")
        page = html(signed_in(ann).get(PAGE))
        for words in (
            *(
                "do not build the branch “wip”",
                "It was deleted.",
                "Waiting its turn",
                "Greet &lt;b&gt;people",
                "rewritten",
            ),
            *("the server said so", "webhook", "found by comparing", "42 ms", "Li Wei", "123,2"),
        ):
            assert words in page, words
        assert f'href="/builds/{change.pk}/"' in page
        assert 'href="https://review.example/c/1" target="_blank" rel="noopener noreferrer"' in page

    def test_only_the_projects_own_news_newest_first_and_thirty(self, ann: User, shop: Project) -> None:
        other = world.bare_project(ann, "other")
        world.news(other, ref="refs/heads/foreign")
        for n in range(35):
            world.news(shop, ref=f"refs/heads/b{n}")
        page = html(signed_in(ann).get(f"{PAGE}?part=lately"))
        assert "foreign" not in page
        assert page.count("data-news=") == 30
        assert page.index("b34") < page.index("b10")
        assert "b4<" not in page

    def test_a_sentence_is_told_in_the_readers_language(self, ann: User, shop: Project) -> None:
        with translation.override("zh-hans"):
            world.news(shop, result={"skipped": S("There is no such channel.").as_json()})
        assert "There is no such channel." in html(signed_in(ann, "en").get(PAGE))
        assert "There is no such channel." not in html(signed_in(ann, "zh-hans").get(PAGE))

    def test_news_of_every_age_and_shape_break_nothing(self, ann: User, shop: Project) -> None:
        """Rows from before there were ways to hear, with results nobody writes any more."""
        item = world.news(shop, result={"build": 999_999})
        item.payload = {"ref": "refs/heads/main", "old": "0" * 40, "new": "1" * 40}
        item.save()
        world.news(shop, "change", author=["Ann", "ann@x"], actor="", result={"latency_ms": "soon"}, state="failed")
        world.news(shop, via="pigeon", happened_at=1.5, result=[])
        came = with_builds(items_of(shop).order_by("pk"))
        assert [one.via for one in came] == ["push", "push", "pigeon"]
        assert [one.who for one in came] == ["", "Ann", "ann"]
        assert [one.latency_ms for one in came] == [None, None, None]
        assert [one.state for one in came] == ["skipped", "failed", "skipped"]
        assert came[2].happened_at is not None
        assert signed_in(ann).get(PAGE).status_code == 200

    def test_an_empty_list_teaches_the_first_step(self, ann: User, shop: Project) -> None:
        for where in (PAGE, f"{PAGE}?part=lately"):
            assert "git clone http" in html(signed_in(ann).get(where))


def test_a_stored_error_gives_its_sentence_whatever_its_shape() -> None:
    words = S("It is away.")
    assert told_by(words.as_json()) == words.as_json()
    assert told_by(runs.error_of("away", words)) == words.as_json()
    assert told_by(runs.with_trouble(None, runs.error_of("away", words))) == words.as_json()
    for nothing in (None, "", [], {}, {"code": "x"}, {"trouble": {}}):
        assert told_by(nothing) is None
