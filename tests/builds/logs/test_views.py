"""The log's addresses: the shapes the page and scripts rely on, and who is let in."""

from __future__ import annotations

import gzip

import pytest
from django.test import Client
from rest_framework.test import APIRequestFactory

from builds.logs.api import BuildLogText
from builds.logs.store import LogWriter
from builds.models import Build, Stage
from permissions.models import ApiToken, User

from .conftest import typical, whole

pytestmark = pytest.mark.django_db(transaction=True)
JSON = {"Accept": "application/json"}


@pytest.fixture
def log(build: Build) -> str:
    """A log of two stages, the second inside the first; returns the base address."""
    Stage.objects.create(build=build, ident="outer", name="Outer", order=0)
    Stage.objects.create(build=build, ident="outer/inner", parent="outer", name="Inner", order=1)
    Stage.objects.create(build=build, ident="other", name="Other", order=2)
    writer = LogWriter(build.pk)
    writer.append(b"one\ntwo\n", stage="outer", step=1, label="sh", at_ms=5000)
    writer.append(b"three\n", stage="other", step=2, label="echo", at_ms=5000)
    writer.append(b"error: four\n", stage="outer/inner", step=3, label="sh", at_ms=5000)
    writer.close()
    return f"/builds/{build.pk}/log/"


@pytest.fixture
def browser(dev: User) -> Client:
    client = Client(headers=JSON)
    client.force_login(dev)
    return client


def test_lines_have_the_shape_the_page_reads(browser: Client, log: str) -> None:
    assert browser.get(f"{log}lines/?from=-500&count=500").json() == {
        "first": 1,
        "total_lines": 4,
        "total_bytes": 26,
        "next_offset": 26,
        "complete": False,
        "lines": [
            [1, 5000, "outer", 1, "one"],
            [2, 5000, "outer", 1, "two"],
            [3, 5000, "other", 2, "three"],
            [4, 5000, "outer/inner", 3, "error: four"],
        ],
    }
    assert browser.get(f"{log}lines/?from=2&count=1").json()["lines"] == [[2, 5000, "outer", 1, "two"]]


def test_a_stage_shows_what_is_inside_it(browser: Client, log: str) -> None:
    page = browser.get(f"{log}lines/?from=1&stage=outer").json()
    assert [line[0] for line in page["lines"]] == [1, 2, 4]
    assert (page["total_lines"], page["total_bytes"]) == (3, 26)
    assert [line[0] for line in browser.get(f"{log}lines/?from=1&stage=outer/inner").json()["lines"]] == [4]
    assert browser.get(f"{log}lines/?stage=nothing").json()["lines"] == []


def test_steps_and_the_first_error(browser: Client, log: str) -> None:
    assert browser.get(f"{log}marks/").json() == {
        "first_error": 4,
        "steps": [
            {"step": 1, "stage": "outer", "label": "sh", "first_line": 1, "line_count": 2},
            {"step": 2, "stage": "other", "label": "echo", "first_line": 3, "line_count": 1},
            {"step": 3, "stage": "outer/inner", "label": "sh", "first_line": 4, "line_count": 1},
        ],
    }
    assert browser.get(f"{log}marks/?stage=outer").json()["first_error"] == 3


def test_words_are_found(browser: Client, log: str) -> None:
    assert browser.get(f"{log}find/?q=T&after=0&direction=next").json() == {"line": 2}
    assert browser.get(f"{log}find/?q=t&after=4&direction=prev").json() == {"line": 3}
    assert browser.get(f"{log}find/?q=nowhere").json() == {"line": None}
    assert browser.get(f"{log}find/?q=FOUR&stage=outer").json() == {"line": 3}


@pytest.mark.parametrize(
    "query", ["lines/?from=x", "lines/?count=1e9", "lines/?from=9999999999999999999", "find/?q=a&direction=up"]
)
def test_what_makes_no_sense_gets_a_sentence(browser: Client, log: str, query: str) -> None:
    answer = browser.get(log + query)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("name", ["lines/", "find/?q=a", "marks/", "download/"])
def test_who_may_not_see_the_project_sees_no_log(guest: User, log: str, name: str) -> None:
    client = Client(headers=JSON)
    assert client.get(log + name).status_code == 401
    client.force_login(guest)
    assert client.get(log + name).status_code == 404


def test_the_download_is_the_log(browser: Client, log: str, build: Build) -> None:
    answer = browser.get(f"{log}download/")
    assert answer.getvalue() == b"one\ntwo\nthree\nerror: four\n"
    assert answer["Content-Disposition"] == 'attachment; filename="shop-1.log"'
    assert "Content-Encoding" not in answer


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip, br", True), ("br;q=1, gzip;q=0.5", True), ("*", True), ("", False), ("gzip;q=0", False), ("br", False)],
)
def test_a_finished_log_goes_out_as_it_is_stored(browser: Client, build: Build, accepts: str, packed: bool) -> None:
    writer = LogWriter(build.pk)
    data = b"".join(typical(9000))
    writer.append(data)
    writer.finish()
    answer = browser.get(f"/builds/{build.pk}/log/download/", headers={"Accept-Encoding": accepts})
    body = answer.getvalue()
    assert (answer.get("Content-Encoding") == "gzip") is packed
    assert int(answer["Content-Length"]) == len(body)
    assert (gzip.decompress(body) if packed else body) == data == whole(build.pk)


def ask(build: Build, user: User, query: str = "") -> object:
    _, token = ApiToken.make(user, "test")
    request = APIRequestFactory().get(
        f"/api/builds/{build.pk}/log/{query}", headers={"Authorization": f"Bearer {token}", "Accept": "text/plain"}
    )
    return BuildLogText.as_view()(request, pk=build.pk)


def test_scripts_read_from_an_offset_until_complete(build: Build, dev: User) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"0123456789\n")
    writer.flush()
    answer = ask(build, dev, "?offset=4")
    assert (answer.getvalue(), answer["X-Log-Next-Offset"], answer["X-Log-Complete"]) == (b"456789\n", "11", "false")
    assert answer["Content-Type"].startswith("text/plain")
    writer.append(b"end\n")
    writer.finish()
    part = ask(build, dev, "?offset=11&limit=2")
    assert (part.getvalue(), part["X-Log-Next-Offset"], part["X-Log-Complete"]) == (b"en", "13", "false")
    rest = ask(build, dev, "?offset=13")
    assert (rest.getvalue(), rest["X-Log-Next-Offset"], rest["X-Log-Complete"]) == (b"d\n", "15", "true")
    past = ask(build, dev, "?offset=99")
    assert (past.getvalue(), past["X-Log-Next-Offset"], past["X-Log-Complete"]) == (b"", "15", "true")


def test_scripts_are_refused_in_json(build: Build, dev: User, guest: User) -> None:
    unseen = ask(build, guest)
    unseen.render()
    assert unseen.status_code == 404
    assert b'"code":"not_found"' in unseen.content
    bad = ask(build, dev, "?offset=-1")
    assert bad.status_code == 422
