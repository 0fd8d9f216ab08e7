"""The audit page: who sees which rows, how they are found, and what each of them says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from fangduoduo_release.audit import search, trail, verifying
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.audit.search import Wanted
from fangduoduo_release.common.actor import SYSTEM
from permissions import audit_words
from projects import actions as projects
from tests import world

from .rows import THING, change, write

pytestmark = pytest.mark.django_db


def client(user: Any) -> Client:
    made = Client()
    made.force_login(user)
    return made


def page(who: Client, **filters: Any) -> str:
    answer = who.get("/audit/", filters)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def ops() -> Client:
    return client(world.ops())


# --- who -------------------------------------------------------------------------------------------------------
def test_ops_read_everything_and_others_only_what_they_maintain() -> None:
    shop, other = world.project(slug="shop"), world.project(slug="other")
    people = {role: client(world.member(shop, role)) for role in ("viewer", "developer", "maintainer", "owner")}
    ops, stranger = client(world.ops()), client(world.person())
    assert "created the project other" in page(ops)
    for role in ("maintainer", "owner"):
        shown = page(people[role], project="shop")
        assert "created the project shop" in shown
        assert "created the project other" not in shown
        assert people[role].get("/audit/").status_code == 403
        assert people[role].get("/audit/", {"project": other.slug}).status_code == 404
    for role in ("viewer", "developer"):
        assert people[role].get("/audit/", {"project": "shop"}).status_code == 403
        assert people[role].get("/audit/export/", {"project": "shop"}).status_code == 403
    for address in ("/audit/", "/audit/export/"):
        assert stranger.get(address, {"project": "shop"}).status_code == 404
        assert stranger.get(address).status_code == 403
        assert Client().get(address).status_code == 302


def test_no_filter_leads_a_maintainer_out_of_their_project() -> None:
    shop = world.project(slug="shop")
    world.project(world.person("eve"), slug="other")
    who = client(world.member(shop, "maintainer"))
    for filters in (
        {"actor": "eve"},
        {"q": "other"},
        {"kind": "projects.project", "id": "2"},
        {"verb": "project."},
        {"label": "other"},
    ):
        assert "created the project other" not in page(who, project="shop", **filters)


def test_a_role_that_ran_out_reads_nothing() -> None:
    shop, ann = world.project(slug="shop"), world.person("ann")
    projects.set_member(actor=SYSTEM, project=shop, user=ann, role="maintainer")
    assert client(ann).get("/audit/", {"project": "shop"}).status_code == 200
    projects.set_member(actor=SYSTEM, project=shop, user=ann, role=None)
    assert client(ann).get("/audit/", {"project": "shop"}).status_code == 404


def test_the_way_to_it_is_shown_to_those_who_may_go_it() -> None:
    shop = world.project(slug="shop")
    assert 'href="/audit/"' in client(world.ops()).get("/projects/").content.decode()
    assert 'href="/audit/"' not in client(world.person()).get("/projects/").content.decode()
    for role, there in (("maintainer", True), ("developer", False)):
        settings_page = client(world.member(shop, role)).get("/projects/shop/settings/").content.decode()
        assert ('href="/audit/?project=shop"' in settings_page) is there


# --- what is found -----------------------------------------------------------------------------------------------
def numbers(who: Client, **filters: Any) -> list[int]:
    answer = who.get("/audit/", filters)
    assert answer.status_code == 200
    return [row["entry"].seq for row in answer.context["shown"]]


@pytest.fixture
def some() -> list[AuditEntry]:
    ann, bob = world.person("ann"), world.person("bob")
    thing = trail.Named
    return [
        trail.record(ann, "build.start", thing("builds.build", "7", "shop #7", "shop"), after={"ref": "main"}),
        trail.record(bob, "build.cancel", thing("builds.build", "7", "shop #7", "shop")),
        trail.record(ann, "project.update", thing("projects.project", "1", "web", "web"), after={"name": "Läden"}),
        trail.record(bob, "buildx.start", thing("builds.build", "8", "web #8", "web")),
    ]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, [4, 3, 2, 1]),
        ({"actor": "ann"}, [3, 1]),
        ({"verb": "build.start"}, [1]),
        ({"verb": "build."}, [2, 1]),
        ({"project": "web"}, [4, 3]),
        ({"project": "web", "actor": "bob"}, [4]),
        ({"kind": "builds.build", "id": "7"}, [2, 1]),
        ({"kind": "builds.build", "id": "7", "actor": "bob", "verb": "build."}, [2]),
        ({"kind": "builds.build"}, [4, 2, 1]),
        ({"label": "SHOP"}, [2, 1]),
        ({"q": "Läden"}, [3]),
        ({"q": "main ann"}, [1]),
        ({"q": "100%_\\"}, []),
        ({"actor": "' OR 1=1 --"}, []),
        ({"before": "4"}, [3, 2, 1]),
        ({"after": "2"}, [4, 3]),
        ({"before": "x", "after": "-1"}, [4, 3, 2, 1]),
    ],
)
def test_filters_find_what_they_say(
    ops: Client, some: list[AuditEntry], filters: dict[str, str], wanted: list[int]
) -> None:
    filters = {
        k: str(some[int(v) - 1].pk) if k in {"before", "after"} and v.isdecimal() else v for k, v in filters.items()
    }
    assert numbers(ops, **filters) == wanted


def test_days_and_moments_narrow(ops: Client) -> None:
    rows, now = write(4), timezone.now()
    for row, days in zip(rows, (10, 5, 1, 0), strict=True):
        change(row.seq, "at", now - timedelta(days=days))
    day = (now - timedelta(days=5)).date().isoformat()
    assert numbers(ops, since=day) == [4, 3, 2]
    assert numbers(ops, until=day) == [2, 1]
    assert numbers(ops, since=day, until=day) == [2]
    assert numbers(ops, since=(now - timedelta(hours=1)).isoformat()) == [4]
    assert numbers(ops, since="2999-01-01") == []
    assert numbers(ops, until="1999-01-01") == []
    for nonsense in ("yesterday", "2026-99-99", "9" * 40, "0000-00-00T00:00"):
        assert numbers(ops, since=nonsense) == [4, 3, 2, 1], "what is no day narrows nothing"


def test_pages_lead_back_and_forth(ops: Client) -> None:
    write(70)
    first = ops.get("/audit/", {"actor": "system"})
    assert [row["entry"].seq for row in first.context["shown"]] == list(range(70, 40, -1))
    second = ops.get(first.context["page"].next)
    third = ops.get(second.context["page"].next)
    assert [row["entry"].seq for row in third.context["shown"]] == list(range(10, 0, -1))
    assert third.context["page"].next is None
    back = ops.get(third.context["page"].previous)
    assert [row["entry"].seq for row in back.context["shown"]] == list(range(40, 10, -1))


def test_a_search_looks_through_so_many_rows_and_says_so(ops: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BOUND", 20)
    world_row = trail.record(SYSTEM, "thing.rare", THING)
    write(50)
    seen: list[int] = []
    address: str | None = "/audit/?q=rare"
    for _ in range(3):
        assert address is not None
        answer = ops.get(address)
        seen += [row["entry"].seq for row in answer.context["shown"]]
        said = answer.content.decode()
        if not seen:
            assert "Looked through 20 rows" in said
        address = answer.context["page"].next
    assert seen == [world_row.seq]
    assert address is None


def test_a_page_takes_few_questions_however_it_is_filtered(ops: Client) -> None:
    shop = world.project(slug="shop")
    write(80)
    maintainer = client(world.member(shop, "maintainer"))
    for who, filters in (
        (ops, {}),
        (ops, {"q": "nothing like this", "verb": "build.", "since": "2020-01-01", "until": "2999-01-01"}),
        (maintainer, {"project": "shop", "q": "thing", "since": "2020-01-01"}),
    ):
        who.get("/me/")  # the session is written down once
        with CaptureQueriesContext(connection) as asked:
            page(who, **filters)
        assert len(asked) <= 12, [query["sql"] for query in asked]
        assert not [q for q in asked if "COUNT(" in q["sql"].upper() and "audit_" in q["sql"]], "nothing is counted"


# --- what is said --------------------------------------------------------------------------------------------------
def said(verb: str, before: Any = None, after: Any = None, label: str = "shop @ prod deploy 3") -> str:
    entry = trail.record(
        world.person(f"ann{AuditEntry.objects.count()}", first_name="x"),
        verb,
        trail.Named("k", "1", label, "shop"),
        before=before,
        after=after,
    )
    return audit_words.sentence(entry).replace(entry.actor, "ann")


def test_every_row_is_one_sentence() -> None:
    assert (
        said("deployment.deploy", {"version": 3}, {"version": 4, "machine": "prod"})
        == "ann deployed version 4 of shop to prod"
    )
    assert (
        said("member.set", {"role": None}, {"holder": "bob", "role": "owner"}, "shop") == "ann made bob owner on shop"
    )
    assert said("member.set", {"role": "owner"}, {"holder": "bob", "role": None}, "shop") == "ann took bob off shop"
    assert said("machine.grant", None, {"machine": "prod"}) == "ann let shop use the machine prod"
    assert said("request.withdraw", label="dev: prod @ sample") == "ann withdrew the request dev: prod @ sample"


def test_what_the_table_does_not_know_is_told_in_plainer_words() -> None:
    assert said("rocket.launch", label="moon") == "ann: rocket.launch, moon"
    assert said("deployment.deploy", {"replicas": 1}, {"replicas": 2}) == "ann: deployment.deploy, shop @ prod deploy 3"
    assert said("rocket.launch", label="100% %(actor)s") == "ann: rocket.launch, 100% %(actor)s"


def test_every_verb_has_an_icon_of_the_sprite() -> None:
    from scripts.assets import icon_names

    assert set(audit_words.ICONS.values()) | {audit_words.ICON} <= set(icon_names())
    groups = {verb.partition(".")[0] for verb in audit_words.SENTENCES}
    assert groups <= set(audit_words.ICONS)
    assert set(audit_words.GROUPS) <= groups


def test_the_fold_tells_before_and_after_of_each_value() -> None:
    entry = trail.record(
        SYSTEM, "x.y", THING,
        before={"env": {"A": "1"}, "on": True, "gone": "x"}, after={"env": {"A": "2"}, "on": False, "list": ["a", "b"], "none": None},
    )  # fmt: skip
    assert audit_words.changes(entry) == [
        ("env.A", "1", "2"), ("on", "yes", "no"), ("gone", "x", ""), ("list", "", "a, b"), ("none", "", "–"),
    ]  # fmt: skip


def test_objects_lead_to_their_pages_where_they_have_one(ops: Client) -> None:
    project = world.project(slug="shop")
    build = world.build(project)
    for kind, ident, wanted in (
        ("projects.project", "1", "/projects/shop/"),
        ("builds.build", str(build.pk), f"/builds/{build.pk}/"),
        ("deployments.deployment", "5", "/deployments/5/"),
        ("builds.credential", "5", "/projects/shop/settings/"),
        ("clusters.machine", "5", ""),
        ("builds.build", "not a number", ""),
        ("nothing.known", "1", ""),
    ):
        entry = trail.record(SYSTEM, "x.y", trail.Named(kind, ident, "x", "shop"))
        assert audit_words.address(entry) == wanted, kind
    assert f'href="/builds/{build.pk}/"' in page(ops)


def test_what_people_typed_is_shown_as_text(ops: Client) -> None:
    evil = "<script>alert(1)</script>"
    trail.record(
        world.person("eve"), evil, trail.Named("k", "1", evil, evil), before={evil: evil}, after={evil: evil + "2"}
    )
    assert "<script>alert" not in page(ops)
    assert "<script>alert" not in page(ops, q=evil, actor=evil, label=evil, verb=evil, project="")


def test_the_page_says_when_the_chain_was_verified_and_how_it_ended(ops: Client) -> None:
    shop = world.project(slug="shop")
    maintainer = client(world.member(shop, "maintainer"))
    assert "Not verified yet" in page(ops)
    verifying.remember(verifying.verify(), whole=True)
    assert "Verified" in page(ops)
    change(1, "actor", "mallory")
    verifying.remember(verifying.verify(), whole=True)
    assert "is not as it was written" in page(ops)
    theirs = page(maintainer, project="shop")
    assert "Not what was written" in theirs
    assert "Ops were told" in theirs
    assert "is not as it was written" not in theirs


def test_an_empty_list_says_why_it_is_empty(ops: Client) -> None:
    assert "Nothing was done yet" in page(ops)
    write(1)
    assert "Nothing like that was done" in page(ops, actor="nobody")


def test_a_row_whose_json_was_broken_by_hand_does_not_break_the_page(ops: Client) -> None:
    write(2)
    change(1, "after", "{broken")
    assert "{broken" in page(ops)


def test_the_filters_stay_in_the_form_and_in_the_download(ops: Client) -> None:
    write(1)
    shown = page(ops, q="a&b", actor="ann", verb="thing.do", since="2026-01-02")
    assert 'value="a&amp;b"' in shown
    assert '<option value="thing.do" selected>' in shown
    assert "actor=ann&amp;verb=thing.do&amp;q=a%26b&amp;since=2026-01-02" in shown


def test_it_reads_in_chinese_too(ops: Client) -> None:
    write(1)
    ops.cookies["django_language"] = "zh-hans"
    assert page(ops)
    with translation.override("zh-hans"):
        assert audit_words.sentence(AuditEntry.objects.get())


def test_words_are_read_from_the_address_as_they_are() -> None:
    wanted = Wanted.of({"q": "  x " * 200, "actor": " ann", "nonsense": "1"})
    assert (wanted.actor, wanted.q[:5], len(wanted.q) <= 200) == ("ann", "x   x", True)
    assert sorted(wanted.as_dict()) == ["actor", "q"]
