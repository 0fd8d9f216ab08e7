"""The same rows as a download: whole, streamed, safe to open, and itself in the trail."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from fangduoduo_release.audit import search, trail
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from permissions.audit_export import COLUMNS, cell
from tests import world

from .rows import THING, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops() -> Client:
    made = Client()
    made.force_login(world.ops())
    return made


def download(who: Client, kind: str, **filters: str) -> str:
    answer = who.get("/audit/export/", {"format": kind, **filters})
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    assert "no-store" in answer["Cache-Control"]
    return b"".join(answer).decode()


def table(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_both_kinds_hold_all_columns_of_all_rows(ops: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SLICE", 7)
    rows = write(40)
    lines = [json.loads(line) for line in download(ops, "json").splitlines()]
    assert [line["seq"] for line in lines] == list(range(40, 0, -1))
    assert tuple(lines[0]) == COLUMNS
    assert (lines[0]["after"], lines[0]["digest"]) == ({"n": 40}, rows[-1].digest)
    cells = table(download(ops, "csv"))
    assert len(cells) == 41, "and the row of the first download"
    assert json.loads(cells[1]["after"]) == {"n": 40}


def test_an_export_is_a_row_that_says_what_was_taken(ops: Client) -> None:
    write(1)
    download(ops, "csv", actor="system", q="thing")
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.verb) == ("olga", "audit.export")
    assert entry.after == {"format": "csv", "filter actor": "system", "filter q": "thing"}


def test_an_export_does_not_hold_itself(ops: Client) -> None:
    write(2)
    assert len(download(ops, "json").splitlines()) == 2


def test_the_filter_of_the_page_is_the_filter_of_the_download(ops: Client) -> None:
    write(2)
    trail.record(SYSTEM, "thing.rare", THING, after={"x": "needle"})
    write(2)
    assert [row["seq"] for row in table(download(ops, "csv", q="needle"))] == ["3"]
    assert [row["seq"] for row in table(download(ops, "csv", verb="thing.rare", project="shop"))] == ["3"]
    assert download(ops, "json", actor="nobody") == ""


def test_a_maintainers_export_ends_at_their_project(ops: Client) -> None:
    shop = world.project(slug="shop")
    world.project(slug="other")
    who = Client()
    who.force_login(world.member(shop, "maintainer"))
    assert {json.loads(line)["project"] for line in download(who, "json", project="shop").splitlines()} == {"shop"}
    assert AuditEntry.objects.latest("id").project == "shop", "and its maintainers see that it was taken"


@pytest.mark.parametrize(
    "evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  -2+3+cmd|' /C calc'!A0"]
)
def test_no_cell_is_a_formula(ops: Client, evil: str) -> None:
    trail.record(world.person(), evil, trail.Named("k", evil, evil, "shop"), before={evil: evil})
    (row,) = table(download(ops, "csv", project="shop"))
    for name in ("verb", "object_id", "object_label"):
        assert row[name].startswith("'"), name
        assert row[name][1:].strip() == evil.strip()
    assert row["before"].startswith("{")


def test_cells_of_every_kind_are_text() -> None:
    values: list[Any] = [None, 5, "x", {"a": [1]}, [], "a=b"]
    assert [cell(value) for value in values] == ["", "5", "x", '{"a": [1]}', "[]", "a=b"]


def test_commas_quotes_and_lines_stay_in_their_cell(ops: Client) -> None:
    label = 'a, "b"\nc; 中文'
    trail.record(SYSTEM, "x.y", trail.Named("k", "1", label, "shop"))
    assert [row["object_label"] for row in table(download(ops, "csv", project="shop"))] == [label]


def test_another_kind_is_refused(ops: Client) -> None:
    assert ops.get("/audit/export/", {"format": "xlsx"}).status_code == 422
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_is_streamed_under_asgi_too() -> None:
    before = AuditEntry.objects.count()
    write(450)
    user = world.ops()

    async def fetch() -> tuple[Any, list[bytes]]:
        client = AsyncClient()
        await client.aforce_login(user)
        answer: Any = await client.get("/audit/export/", {"format": "json"})
        return answer, [part async for part in answer]

    answer, parts = async_to_sync(fetch)()
    assert answer.is_async
    assert len(parts) >= 3, "piece by piece"
    assert len(b"".join(parts).splitlines()) == before + 450
