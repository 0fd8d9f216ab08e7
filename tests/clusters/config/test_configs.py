"""What a deployment pins, that it can be had again, and how it is told apart from what the source says by now."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from clusters import configs
from clusters.config_store import Sightings, keep_texts, see, text_of
from clusters.configs import Pinned, PinnedFile, drift, fill, resolve, texts
from clusters.drivers.config.base import Document, sha256_of
from clusters.models import ConfigRevision, ConfigSeen, ConfigSighting, ConfigText
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import Invalid, NotFound, Rejected, Unavailable
from fangduoduo_release.common.models import Connection
from tests import world
from tests.simulators.consul import Consul

from .conftest import connection_to

pytestmark = pytest.mark.django_db
VALUES = {"PROJECT": "shop", "MACHINE": "test-a", "ENVIRONMENT": "test", "NAMESPACE": "shop-test"}
BASE = "kind: Deployment\nspec:\n  replicas: ${REPLICAS}\n"
BINDING = {
    "source": "database",
    "key": "shop/${MACHINE}.yaml",
    "files": [{"path": "conf/app.yaml", "key": "shop/app.yaml"}],
}
IN_CONSUL = {**BINDING, "source": "kv"}


def put(key: str, text: str, author: str = "dev") -> Document:
    return configs.source_named("database").put(key, text, author=author)


def document(key: str, text: str, revision: str) -> Document:
    return Document(key, text, revision, sha256_of(text))


# --- pinning ---------------------------------------------------------------------------------------------------------
def test_without_a_binding_nothing_is_pinned() -> None:
    assert resolve(None, values=VALUES) is None
    assert resolve({}, values=VALUES) is None
    assert Pinned.from_json(None) is None
    assert Pinned.from_json({}) is None


def test_a_pin_names_key_revision_and_content_and_its_texts_come_back_whatever_is_written_later() -> None:
    base, file = put("shop/test-a.yaml", BASE), put("shop/app.yaml", "level: info\n")
    pinned = resolve(BINDING, values=VALUES)
    assert pinned == Pinned(
        "database",
        "shop/test-a.yaml",
        "1",
        base.sha256,
        (PinnedFile("conf/app.yaml", "shop/app.yaml", "1", file.sha256),),
    )
    put("shop/test-a.yaml", "kind: Other\n")
    ConfigRevision.objects.filter(key="shop/app.yaml").delete()
    stored = Pinned.from_json({**pinned.as_json(), "spec": {"revision": 3}})
    assert stored == pinned
    text, files = texts(pinned)
    assert text == BASE
    assert [(one.path, one.content) for one in files] == [("conf/app.yaml", "level: info\n")]
    assert fill(text, {"REPLICAS": "2"}).endswith("replicas: 2\n")


def test_files_alone_are_pinned_without_a_base() -> None:
    put("shop/app.yaml", "level: info\n")
    pinned = resolve({"source": "database", "files": BINDING["files"]}, values=VALUES)
    assert pinned is not None
    assert (pinned.key, pinned.revision, pinned.sha256) == ("", "", "")
    assert texts(pinned)[0] == ""


def test_what_is_missing_is_named() -> None:
    put("shop/test-a.yaml", BASE)
    with pytest.raises(NotFound, match=r"There is no configuration “shop/app\.yaml”"):
        resolve(BINDING, values=VALUES)
    with pytest.raises(Invalid, match="no source of configuration called “kv”"):
        resolve(IN_CONSUL, values=VALUES)
    with pytest.raises(Invalid, match="is no key"):
        resolve({**BINDING, "key": "shop/${NAMESPACE}.yaml"}, values={**VALUES, "NAMESPACE": ""})


def test_a_text_that_is_gone_is_told() -> None:
    put("shop/test-a.yaml", BASE)
    pinned = resolve({"source": "database", "key": "shop/test-a.yaml"}, values=VALUES)
    assert pinned is not None
    ConfigText.objects.all().delete()
    with pytest.raises(Rejected, match=r"The text of “shop/test-a\.yaml” at revision 1 is gone") as told:
        texts(pinned)
    assert told.value.code == "config_gone"


def test_from_consul_the_modify_index_is_pinned_and_what_was_read_is_remembered(consul: Consul) -> None:
    connection_to(consul)
    index = consul.put("shop/test-a.yaml", BASE)
    consul.put("shop/app.yaml", "level: info\n")
    pinned = resolve(IN_CONSUL, values=VALUES)
    assert pinned is not None
    assert (pinned.source, pinned.revision) == ("kv", str(index))
    assert ConfigSeen.objects.get(key="shop/test-a.yaml").text == BASE
    consul.put("shop/test-a.yaml", "kind: Other\n")
    source = configs.source_named("kv")
    assert source.read("shop/test-a.yaml", pinned.revision).text == BASE
    assert [one.revision for one in source.history("shop/test-a.yaml")] == [str(index)]


def test_a_consul_that_is_away_or_refuses_is_told_as_it_is(consul: Consul) -> None:
    connection_to(consul)
    consul.faults.status, consul.faults.body = 403, "ACL not found"
    with pytest.raises(Rejected, match="does not know this ACL token"):
        resolve(IN_CONSUL, values=VALUES)
    consul.stop()
    with pytest.raises(Unavailable, match="does not answer"):
        resolve(IN_CONSUL, values=VALUES)
    consul.start()
    assert not ConfigSeen.objects.exists()
    assert not ConfigText.objects.exists()


def test_many_keys_of_a_slow_consul_do_not_take_for_ever(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "PATIENCE_S", 0.7)
    connection_to(consul)
    files = [{"path": f"f{n}", "key": f"shop/{n}.yaml"} for n in range(20)]
    for one in files:
        consul.put(one["key"], "a: 1\n")
    consul.faults.slow_s = 0.4
    with pytest.raises(Unavailable, match="comes too slowly"):
        resolve({"source": "kv", "files": files}, values=VALUES)
    assert len(consul.asked) <= 2


def test_a_machine_gives_its_values() -> None:
    machine = world.machine("test-a")
    machine.placement = {"namespace": "shop-test"}
    assert configs.values_of("shop", machine) == VALUES
    machine.placement = None
    assert configs.values_of("shop", machine)["NAMESPACE"] == ""


# --- drift -----------------------------------------------------------------------------------------------------------
def pin(binding: dict[str, Any] = BINDING) -> Pinned:
    found = resolve(binding, values=VALUES)
    assert found is not None
    return found


def test_nothing_drifts_while_nothing_changes() -> None:
    put("shop/test-a.yaml", BASE)
    put("shop/app.yaml", "level: info\n")
    assert drift(pin(), BINDING, VALUES) is None
    assert drift(pin(), None, VALUES) is None


def test_a_change_is_told_with_its_difference_its_author_and_its_time() -> None:
    put("shop/test-a.yaml", BASE)
    put("shop/app.yaml", "level: info\n")
    pinned = pin()
    put("shop/app.yaml", "level: debug\n", author="ops")
    found = drift(pinned, BINDING, VALUES)
    assert found is not None
    assert (found.source, found.seen_at, found.trouble) == ("database", None, None)
    (item,) = found.items
    assert (item.path, item.key, item.was, item.now, item.author) == ("conf/app.yaml", "shop/app.yaml", "1", "2", "ops")
    assert item.at is not None
    assert "-level: info\n+level: debug\n" in item.diff
    put("shop/app.yaml", "level: info\n")
    assert drift(pinned, BINDING, VALUES) is None  # the same content again, whatever its revision


def test_a_key_that_was_taken_away() -> None:
    put("shop/test-a.yaml", BASE)
    put("shop/app.yaml", "level: info\n")
    pinned = pin()
    configs.source_named("database").delete("shop/app.yaml", author="dev")  # type: ignore[attr-defined]
    found = drift(pinned, BINDING, VALUES)
    assert found is not None
    assert [(one.key, one.was, one.now) for one in found.items] == [("shop/app.yaml", "1", "")]
    assert "-level: info" in found.items[0].diff


def test_a_binding_that_names_other_keys_or_files() -> None:
    put("shop/test-a.yaml", BASE)
    put("shop/app.yaml", "level: info\n")
    put("shop/new.yaml", "new: true\n")
    pinned = pin()
    other = {"source": "database", "key": "shop/new.yaml", "files": [{"path": "conf/new.yaml", "key": "shop/new.yaml"}]}
    found = drift(pinned, other, VALUES)
    assert found is not None
    assert [(one.path, one.key, one.was, one.now) for one in found.items] == [
        ("", "shop/new.yaml", "1", "1"),
        ("conf/app.yaml", "shop/app.yaml", "1", ""),
        ("conf/new.yaml", "shop/new.yaml", "", "1"),
    ]


def test_consul_drifts_by_what_was_seen_of_it_and_is_never_asked(consul: Consul) -> None:
    connection = connection_to(consul)
    consul.put("shop/test-a.yaml", BASE)
    consul.put("shop/app.yaml", "level: info\n")
    pinned = pin(IN_CONSUL)
    asked = len(consul.asked)
    consul.put("shop/app.yaml", "level: debug\n")
    assert drift(pinned, IN_CONSUL, VALUES) is None
    see(connection, "shop/app.yaml", document("shop/app.yaml", "level: debug\n", "99"), 99)
    found = drift(pinned, IN_CONSUL, VALUES)
    assert found is not None
    (item,) = found.items
    assert (item.key, item.now, item.author) == ("shop/app.yaml", "99", "")
    assert found.seen_at is not None
    see(connection, "shop/app.yaml", None, 100)
    gone = drift(pinned, IN_CONSUL, VALUES)
    assert gone is not None
    assert [one.now for one in gone.items] == [""]
    assert len(consul.asked) == asked


def test_whoever_put_it_through_the_portal_is_named(consul: Consul) -> None:
    connection = connection_to(consul)
    for key in ("shop/test-a.yaml", "shop/app.yaml"):
        consul.put(key, "a: 1\n")
    pinned = pin(IN_CONSUL)
    saved = configs.source_named("kv").put("shop/app.yaml", "a: 2\n", author="dev")
    see(connection, "shop/app.yaml", saved, int(saved.revision))
    found = drift(pinned, IN_CONSUL, VALUES)
    assert found is not None
    assert found.items[0].author == "dev"


def test_of_keys_nobody_has_looked_at_nothing_is_said(consul: Consul) -> None:
    connection = connection_to(consul)
    sha = sha256_of("a: 1\n")
    pinned = Pinned("kv", "shop/test-a.yaml", "5", sha)
    binding = {"source": "kv", "key": "shop/test-a.yaml"}
    assert drift(pinned, binding, VALUES) is None
    ConfigSeen.objects.create(connection=connection, key="shop/test-a.yaml", trouble={"msgid": "away", "params": {}})
    assert drift(pinned, binding, VALUES) is None


# --- what is remembered ----------------------------------------------------------------------------------------------
def test_a_look_that_began_before_the_last_one_overwrites_nothing(consul: Consul) -> None:
    connection = connection_to(consul)
    began = timezone.now()
    see(connection, "k", document("k", "new\n", "2"))
    assert not see(connection, "k", document("k", "old\n", "1"), before=began)
    assert ConfigSeen.objects.get().text == "new\n"
    assert see(connection, "k", document("k", "newer\n", "3"), before=timezone.now())


def test_a_text_is_kept_once(consul: Consul) -> None:
    keep_texts(["a\n", "a\n", "b\n"])
    keep_texts(["a\n"])
    assert ConfigText.objects.count() == 2
    assert text_of(sha256_of("a\n")) == "a\n"
    assert text_of("0" * 64) is None


def test_only_the_newest_sightings_of_a_key_are_kept(consul: Consul) -> None:
    sightings = Sightings(connection_to(consul))
    for number in range(1, 106):
        sightings.saw(document("k", f"{number}\n", str(number)))
    told = sightings.history("k")
    assert (len(told), told[0].revision, told[-1].revision) == (100, "105", "6")
    assert sightings.recall("k", "3") is None
    assert ConfigSighting.objects.count() == 100


def test_what_is_known_of_a_connection_goes_with_it(consul: Consul) -> None:
    connection = connection_to(consul)
    see(connection, "k", document("k", "a\n", "1"))
    connection.delete()
    assert not Connection.objects.exists()
    assert not ConfigSeen.objects.exists()
    assert text_of(sha256_of("a\n")) == "a\n"  # somebody may run with it


# --- differences -----------------------------------------------------------------------------------------------------
def test_large_texts_that_differ_everywhere_are_compared_in_reasonable_time() -> None:
    old = "".join(f"a{n}: 1\n" for n in range(60_000))
    new = "".join(f"b{n}: 1\n" for n in range(60_000))
    began = time.thread_time()
    told = unified(f"same: 1\n{old}end: 1\n", f"same: 1\n{new}end: 1\n", "1", "2")
    assert time.thread_time() - began < 60  # of many minutes
    assert told.startswith("--- 1\n+++ 2\n@@ -2,60000 +2,60000 @@\n-a0: 1\n")
    assert told.count("\n") == 120_003
    assert unified(old, old, "1", "2") == ""
    assert unified("", "a\n", "-", "1") == "--- -\n+++ 1\n@@ -0,0 +1 @@\n+a\n"
