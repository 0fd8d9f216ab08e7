"""A connection is judged by its kind's rules and tried when it is saved: bounded, honest, and never in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation
from rest_framework.test import APIClient

from clusters import connecting
from clusters.actions import look_at_saved, save_connection, try_connection
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid, Unavailable
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from tests import world

pytestmark = pytest.mark.django_db
HERE = "tests.clusters.test_trying_connections"
GATE = threading.Event()


def fine(connection: Connection) -> dict[str, Any]:
    return connecting.outcome(True, S("The server answers; the repository is empty."), version="1", missing=["a"])


def slow(connection: Connection) -> dict[str, Any]:
    GATE.wait(600)
    return fine(connection)


def away(connection: Connection) -> dict[str, Any]:
    raise Unavailable(S("“%(host)s” does not answer.", host="x"))


def broken(connection: Connection) -> dict[str, Any]:
    raise ZeroDivisionError("with a planted secret")


def rule(connection: Connection) -> None:
    if not (connection.secrets or {}).get("token"):
        raise Invalid(S("A token is needed."), fields={"token": [S("A token is needed.")]})


@pytest.fixture(autouse=True)
def _gate() -> Iterator[None]:
    GATE.clear()
    yield
    GATE.set()


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "TEST_S", 120.0)


@pytest.fixture
def tested(settings: Any) -> Any:
    def by(name: str) -> None:
        settings.CONNECTION_TESTS = {"git": f"{HERE}.{name}"}

    return by


def connection() -> Connection:
    return save_connection(actor=SYSTEM, name="origin", kind="git", config={"url": "https://git.example/x"})


def test_what_was_found_is_remembered_as_a_sentence(tested: Any) -> None:
    tested("fine")
    row = connection()
    found = try_connection(actor=SYSTEM, connection=row)
    assert found == {
        "ok": True,
        "version": "1",
        "missing": ["a"],
        "lost": [],
        "sentence": "The server answers; the repository is empty.",
    }
    row.refresh_from_db()
    assert row.last_test["sentence"]["msgid"] == "The server answers; the repository is empty."
    assert row.last_test["at"]
    with translation.override("zh-hans"):
        told = connecting.shown(row.last_test)
    assert told is not None
    assert "服务器" in told["sentence"]


def test_what_older_portals_remembered_is_still_shown() -> None:
    assert connecting.shown(None) is None
    told = connecting.shown({"ok": False, "sentence": "In somebody's words", "missing": []})
    assert told is not None
    assert told["sentence"] == "In somebody's words"


def test_nobody_waits_longer_than_the_bound(tested: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "TEST_S", 0.3)
    tested("slow")
    row, began = connection(), time.monotonic()
    look_at_saved(row)
    assert time.monotonic() - began < 60
    assert row.last_test["ok"] is False
    assert "not answered" in row.last_test["sentence"]["msgid"]


def test_a_test_that_raises_is_a_test_that_failed(tested: Any, caplog: pytest.LogCaptureFixture) -> None:
    tested("away")
    row = connection()
    look_at_saved(row)
    assert row.last_test["sentence"]["params"] == {"host": "x"}
    tested("broken")
    look_at_saved(row)
    assert row.last_test["ok"] is False
    assert "planted" not in str(row.last_test)


def test_saving_forgets_the_last_test_and_a_kind_without_one_has_none(tested: Any) -> None:
    tested("fine")
    row = connection()
    look_at_saved(row)
    save_connection(actor=SYSTEM, name="origin", config={"url": "https://other.example/x"}, connection=row)
    row.refresh_from_db()
    assert row.last_test is None, "it spoke of what was there before"
    entry = AuditEntry.objects.order_by("-seq")[0]
    assert "last_test" not in {**(entry.before or {}), **(entry.after or {})}
    other = save_connection(actor=SYSTEM, name="hook", kind="webhook")
    look_at_saved(other)
    assert other.last_test is None
    with pytest.raises(Invalid):
        try_connection(actor=SYSTEM, connection=other)


def test_a_kinds_rule_refuses_before_anything_is_stored(settings: Any) -> None:
    settings.CONNECTION_RULES = {"git": f"{HERE}.rule"}
    with pytest.raises(Invalid) as error:
        connection()
    assert list(error.value.fields) == ["token"]
    assert not Connection.objects.exists()
    row = save_connection(actor=SYSTEM, name="origin", kind="git", secrets={"token": "t"})
    with pytest.raises(Invalid):
        save_connection(actor=SYSTEM, name="origin", secrets={"token": None}, connection=row)
    row.refresh_from_db()
    assert row.secrets == {"token": "t"}


def test_the_api_saves_tries_and_shows(tested: Any) -> None:
    tested("away")
    api = APIClient()
    api.force_authenticate(world.ops())
    body = {"name": "origin", "kind": "git", "config": {"url": "https://git.example/x"}}
    answer = api.post("/api/connections/", body, format="json")
    assert answer.status_code == 201, "a test that fails refuses nothing"
    assert (answer.json()["last_test"]["ok"], answer.json()["last_test"]["sentence"]) == (False, "“x” does not answer.")
    tested("fine")
    answer = api.patch("/api/connections/origin/", {"config": {"url": "https://git.example/y"}}, format="json")
    assert answer.json()["last_test"]["ok"] is True
    assert answer.json()["last_test"]["missing"] == ["a"]
    assert api.get("/api/connections/origin/").json()["last_test"]["ok"] is True
    assert AuditEntry.objects.filter(verb="connection.test").count() == 0, "the saving is written down already"
