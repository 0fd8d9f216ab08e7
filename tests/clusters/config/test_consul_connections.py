"""Consul as ops connect it: what is found when it is tried, and the form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusters import actions, connecting
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.connection_forms import form_for
from tests.simulators.consul import Consul
from tests.simulators.consul.server import VERSION, Rights

from .conftest import connection_to

pytestmark = pytest.mark.django_db
TOKEN = "b1gs33d0-planted-token"
IN_USE: dict[str, frozenset[str]] = {"kv": frozenset({"shop/a.yaml"})}


def in_use() -> dict[str, frozenset[str]]:
    return IN_USE


def test_a_consul_that_works(consul: Consul) -> None:
    consul.put("shop/a.yaml", "a: 1\n")
    found = connecting.look(connection_to(consul))
    assert (found["ok"], found["version"], found["missing"]) == (True, VERSION, [])
    assert str(found["sentence"]) == f"Consul {VERSION} answers, and its keys can be read."


def test_a_consul_without_any_key_works_too(consul: Consul) -> None:
    assert connecting.look(connection_to(consul))["ok"]


def test_a_token_that_may_not_ask_for_the_version_is_good_enough() -> None:
    with Consul(tokens={TOKEN: Rights(read=("shop/",))}) as consul:
        consul.put("shop/a.yaml", "a: 1\n")
        found = connecting.look(connection_to(consul, token=TOKEN))
        assert (found["ok"], found["version"]) == (True, "")


def test_what_the_token_lacks_is_named() -> None:
    with Consul(tokens={TOKEN: Rights(read=("other/",))}) as consul:
        consul.put("shop/a.yaml", "a: 1\n")
        found = connecting.look(connection_to(consul, token=TOKEN, prefix="shop"))
        assert (found["ok"], found["missing"]) == (False, ["key:read"])
        assert "may not read its keys" in str(found["sentence"])


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"leaderless": True}, "has no leader at the moment"),
        ({"status": 500}, "cannot answer now (status 500)"),
        ({"garbage": b"<html>"}, "does not answer like a Consul"),
        ({"status": 403, "body": "ACL not found"}, "does not know this ACL token"),
    ],
)
def test_what_ails_it(consul: Consul, fault: dict[str, Any], sentence: str) -> None:
    for name, value in fault.items():
        setattr(consul.faults, name, value)
    found = connecting.look(connection_to(consul, token=TOKEN))
    assert not found["ok"]
    assert sentence in str(found["sentence"])
    assert TOKEN not in json.dumps(Connection.objects.get().last_test)


def test_what_is_saved_is_judged_and_its_token_told_to_nobody(consul: Consul) -> None:
    config = {"url": consul.url, "prefix": "config/prod"}
    saved = actions.save_connection(actor=SYSTEM, name="kv", kind="consul", config=config, secrets={"token": TOKEN})
    assert saved.secrets == {"token": TOKEN}
    assert TOKEN not in json.dumps([row.after for row in AuditEntry.objects.all()])
    with pytest.raises(Invalid, match="ends before /v1"):
        actions.save_connection(actor=SYSTEM, name="kv2", kind="consul", config={"url": f"{consul.url}/v1"})


def test_one_that_projects_are_bound_to_is_not_deleted(consul: Consul, settings: Any) -> None:
    settings.CONFIG_KEYS = f"{__name__}.in_use"
    with pytest.raises(Conflict, match="still read their configuration"):
        actions.delete_connection(actor=SYSTEM, connection=connection_to(consul))
    other = connection_to(consul, name="other")
    actions.delete_connection(actor=SYSTEM, connection=other)
    assert list(Connection.objects.values_list("name", flat=True)) == ["kv"]


def test_the_form_has_a_field_for_each_value_and_shows_no_token() -> None:
    form = form_for("consul")(
        {"name": "kv", "kind": "consul", "url": "https://consul.example:8501", "token": TOKEN, "prefix": "config"}
    )
    assert form.is_valid(), form.errors
    assert form.wanted_config() == {"url": "https://consul.example:8501", "prefix": "config"}
    assert form.wanted_secrets() == {"token": TOKEN}
    wrong = form_for("consul")({"name": "kv", "kind": "consul", "url": "consul.example", "token": TOKEN})
    assert list(wrong.errors) == ["url"]
    assert TOKEN not in wrong.as_p()


@pytest.mark.parametrize("name", ["database", "portal"])
def test_none_is_called_what_bindings_and_pins_call_the_portals_own_texts(consul: Consul, name: str) -> None:
    with pytest.raises(Invalid, match="give it another name") as refusal:
        actions.save_connection(actor=SYSTEM, name=name, kind="consul", config={"url": consul.url})
    assert list(refusal.value.fields) == ["name"]
    assert not Connection.objects.filter(name=name).exists()
