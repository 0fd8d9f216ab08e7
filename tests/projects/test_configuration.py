"""A project's configuration: what it may bind, who may read and change it, and what is kept of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters import configs
from clusters.config_store import see
from clusters.drivers.config.base import Document, sha256_of
from clusters.models import ConfigRevision
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import Conflict, Denied, Invalid, NotFound, Rejected
from fangduoduo_release.common.models import Connection
from permissions import audit_words
from permissions.models import User
from projects import actions, configuration
from projects.config_actions import delete_config, save_config
from projects.models import Project
from tests import world
from tests.simulators.consul import Consul
from tests.simulators.consul.server import Rights

pytestmark = pytest.mark.django_db
SPEC = {"command": ["./start"]}
TOKEN = "b1gs33d0-planted-token"
told: list[tuple[str, str]] = []


def changed(source: str, key: str) -> None:
    told.append((source, key))


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def shop(ann: User, settings: Any) -> Project:
    settings.CONFIG_NEWS = f"{__name__}.changed"
    told.clear()
    return world.bare_project(ann, "shop")


@pytest.fixture
def consul() -> Iterator[Consul]:
    with Consul(tokens={TOKEN: Rights(write=("",))}) as server:
        Connection.objects.create(name="kv", kind="consul", config={"url": server.url}, secrets={"token": TOKEN})
        yield server


def bind(by: User, project: Project, **config: Any) -> Any:
    return actions.save_spec(actor=by, project=project, spec={**SPEC, "config": config})


# --- binding ---------------------------------------------------------------------------------------------------------
def test_a_binding_is_kept_in_the_spec(ann: User, shop: Project) -> None:
    files = [{"path": "app.yaml", "key": "${PROJECT}/app.yaml"}]
    saved = bind(ann, shop, source="database", key="shop/${MACHINE}.yaml", files=files)
    assert saved.spec["config"] == {"source": "database", "key": "shop/${MACHINE}.yaml", "files": files}
    assert configuration.binding_of(shop) == configs.check_binding(saved.spec["config"])


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"source": "nowhere", "key": "shop/a.yaml"}, "There is no source of configuration called “nowhere”."),
        ({"source": "database", "key": "../a"}, "is no key"),
        ({"source": "database", "key": "shop/a.yaml", "mode": 1}, "There is no field “mode”"),
        ("database", "must be an object"),
    ],
)
def test_a_binding_that_leads_nowhere_is_refused(ann: User, shop: Project, config: Any, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as refused:
        actions.save_spec(actor=ann, project=shop, spec={**SPEC, "config": config})
    assert "config" in refused.value.fields
    assert not shop.spec_revisions.exists()


@pytest.mark.parametrize("key", ["pay/secret.yaml", "shop", "shopping/a.yaml", "${MACHINE}/a.yaml", "Shop/a.yaml"])
def test_what_another_project_keeps_cannot_be_bound(ann: User, shop: Project, key: str) -> None:
    with pytest.raises(Denied, match="Ops can bind others"):
        bind(ann, shop, source="database", key=key)
    with pytest.raises(Denied, match="Ops can bind others"):
        bind(ann, shop, source="database", files=[{"path": "a", "key": key}])


def test_ops_bind_what_they_like_and_the_project_goes_on_changing_its_spec(ann: User, shop: Project) -> None:
    bind(world.ops(), shop, source="database", key="common/base.yaml")
    kept = {"source": "database", "key": "common/base.yaml"}
    saved = actions.save_spec(actor=ann, project=shop, spec={"command": ["./other"], "config": kept})
    assert saved.number == 2
    with pytest.raises(Denied):
        bind(ann, shop, source="database", key="common/other.yaml")


def test_a_binding_to_a_connection_of_another_kind_is_refused(ann: User, shop: Project) -> None:
    Connection.objects.create(name="git", kind="git", config={})
    with pytest.raises(Invalid, match="no source of configuration"):
        bind(ann, shop, source="git", key="shop/a.yaml")


# --- saving ----------------------------------------------------------------------------------------------------------
def test_a_text_is_saved_with_its_author_its_audit_line_and_its_news(ann: User, shop: Project) -> None:
    saved = save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n", note=" begin ", expected="")
    row = ConfigRevision.objects.get()
    assert (row.key, row.number, row.author, row.note, row.text) == ("shop/app.yaml", 1, "ann", "begin", "a: 1\n")
    entry = AuditEntry.objects.get(verb="config.save")
    assert entry.project == "shop"
    assert entry.after == {"config": "shop/app.yaml", "source": "database", "revision": "1", "sha256": saved.sha256}
    assert audit_words.sentence(entry) == "ann saved the configuration shop/app.yaml of shop in database, revision 1"
    assert told == [("database", "shop/app.yaml")]


def test_the_same_text_again_is_no_revision_and_no_audit_line(ann: User, shop: Project) -> None:
    for _ in range(2):
        assert save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n").revision == "1"
    assert AuditEntry.objects.filter(verb="config.save").count() == 1


def test_of_two_who_edit_at_once_the_second_is_told(ann: User, shop: Project) -> None:
    save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n")
    save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 2\n", expected="1")
    with pytest.raises(Conflict, match="it is at revision 2 now"):
        save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 3\n", expected="1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "not valid YAML, line 2"),
        ("a: 1\na: 2\n", "“a” is given twice"),
        ("a: !!python/name:os.system", "is not taken"),
        ("a: &a [*a]", "stands within itself"),
    ],
)
def test_what_is_called_yaml_is_yaml(ann: User, shop: Project, text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        save_config(actor=ann, project=shop, key="shop/app.yaml", text=text)
    assert save_config(actor=ann, project=shop, key="shop/app.conf", text=text).revision == "1"


def test_places_for_values_may_stand_anywhere(ann: User, shop: Project) -> None:
    text = "a: {replicas: ${REPLICAS}, image: ${IMAGE}}\nb: $${HOME}\n"
    assert save_config(actor=ann, project=shop, key="shop/app.yaml", text=text).revision == "1"


def test_who_may_change_it(ann: User, shop: Project) -> None:
    dev, stranger, ops = world.member(shop, "developer"), world.person(), world.ops()
    with pytest.raises(Denied, match="needs the role"):
        save_config(actor=dev, project=shop, key="shop/app.yaml", text="")
    with pytest.raises(NotFound):
        save_config(actor=stranger, project=shop, key="shop/app.yaml", text="")
    with pytest.raises(Denied, match="begin with “shop/”"):
        save_config(actor=ann, project=shop, key="pay/app.yaml", text="")
    assert save_config(actor=ops, project=shop, key="common/base.yaml", text="").revision == "1"
    for who in (dev, ann):
        with pytest.raises(Denied):
            delete_config(actor=who, project=shop, key="common/base.yaml")


def test_taking_a_text_away_leaves_its_revisions(ann: User, shop: Project) -> None:
    save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n")
    with pytest.raises(Conflict):
        delete_config(actor=ann, project=shop, key="shop/app.yaml", expected="7")
    delete_config(actor=ann, project=shop, key="shop/app.yaml", expected="1")
    source = configs.source_named("database")
    assert source.keys("shop/") == []
    assert source.read("shop/app.yaml", "1").text == "a: 1\n"
    assert [one.deleted for one in source.history("shop/app.yaml")] == [True, False]
    with pytest.raises(NotFound):
        delete_config(actor=ann, project=shop, key="shop/app.yaml")
    assert AuditEntry.objects.filter(verb="config.delete").count() == 1
    assert save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n", expected="").revision == "3"


def test_what_lies_in_consul_is_put_there_under_the_portals_name(ann: User, shop: Project, consul: Consul) -> None:
    saved = save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n", source="kv", expected="")
    assert consul.text("shop/app.yaml") == "a: 1\n"
    assert [one.author for one in configs.source_named("kv").history("shop/app.yaml")] == ["ann"]
    consul.put("shop/app.yaml", "theirs\n")
    with pytest.raises(Conflict):
        save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 2\n", source="kv", expected=saved.revision)
    entry = AuditEntry.objects.get(verb="config.save")
    assert (entry.after["source"], TOKEN in str(entry.after)) == ("kv", False)
    consul.tokens = {TOKEN: Rights(read=("",))}
    with pytest.raises(Rejected, match="lacks key:write"):
        save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 2\n", source="kv")
    assert AuditEntry.objects.filter(verb="config.save").count() == 1


# --- what is known ---------------------------------------------------------------------------------------------------
def test_what_a_project_is_bound_to_is_told_by_machine(ann: User, shop: Project, consul: Consul) -> None:
    world.granted(shop, "test-a")
    world.granted(shop, "prod", "production")
    files = [{"path": "app.yaml", "key": "shop/app.yaml"}, {"path": "b.yaml", "key": "shop/app.yaml"}]
    bind(ann, shop, source="kv", key="shop/${MACHINE}.yaml", files=files)
    connection = Connection.objects.get(name="kv")
    see(connection, "shop/app.yaml", Document("shop/app.yaml", "a\n", "7", sha256_of("a\n")))
    asked = len(consul.asked)
    known = {one.key: one for one in configuration.bound(shop)}
    assert set(known) == {"shop/test-a.yaml", "shop/prod.yaml", "shop/app.yaml"}
    assert (known["shop/app.yaml"].bound, known["shop/app.yaml"].revision) == (("app.yaml", "b.yaml"), "7")
    assert set(known["shop/app.yaml"].machines) == {"test-a", "prod"}
    assert known["shop/prod.yaml"].bound == ("",)
    assert known["shop/prod.yaml"].seen_at is None
    assert len(consul.asked) == asked


def test_own_keys_that_nobody_has_written_are_named_with_a_way_to_write_them(ann: User, shop: Project) -> None:
    files = [{"path": "app.yaml", "key": "shop/app.yaml"}, {"path": "b.yaml", "key": "shop/app.yaml"}]
    bind(ann, shop, source="database", key="shop/${MACHINE}.yaml", files=files)
    assert configuration.unwritten(shop) == ["shop/app.yaml"]
    href = "/projects/shop/configuration/database/shop/app.yaml/"
    assert href in client_of(ann).get(page()).content.decode()
    save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n")
    assert configuration.unwritten(shop) == []


def test_texts_are_read_by_those_who_build_and_only_ones_own_or_bound(ann: User, shop: Project) -> None:
    ops = world.ops()
    dev, viewer = world.member(shop, "developer"), world.member(shop, "viewer")
    configuration.require_readable(dev, shop, "database", "shop/app.yaml")
    with pytest.raises(Denied):
        configuration.require_readable(viewer, shop, "database", "shop/app.yaml")
    for key in ("pay/app.yaml", "common/base.yaml"):
        with pytest.raises(NotFound):
            configuration.require_readable(ann, shop, "database", key)
        configuration.require_readable(ops, shop, "database", key)
    world.granted(shop, "test-a")
    bind(ops, shop, source="database", key="common/base.yaml")
    configuration.require_readable(dev, shop, "database", "common/base.yaml")
    with pytest.raises(NotFound):
        configuration.require_readable(dev, shop, "kv", "common/base.yaml")


# --- the API ---------------------------------------------------------------------------------------------------------
def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


API = "/api/projects/shop/configs/"


def put(client: Client, key: str, headers: dict[str, str] | None = None, query: str = "", **body: Any) -> Any:
    return client.put(f"{API}text/{key}/{query}", body, content_type="application/json", headers=headers or {})


def test_the_api_lists_reads_writes_and_compares(ann: User, shop: Project) -> None:
    client = client_of(ann)
    first = put(client, "shop/app.yaml", text="a: 1\n", expected="").json()
    assert (first["revision"], first["source"], first["text"]) == ("1", "database", "a: 1\n")
    assert put(client, "shop/app.yaml", text="a: 2\n", note="more", expected="1").json()["revision"] == "2"
    (listed,) = client.get(API).json()
    assert (listed["key"], listed["revision"], listed["author"], listed["bound"]) == ("shop/app.yaml", "2", "ann", [])
    assert client.get(f"{API}text/shop/app.yaml/").json()["text"] == "a: 2\n"
    assert client.get(f"{API}text/shop/app.yaml/?revision=1").json()["text"] == "a: 1\n"
    history = client.get(f"{API}history/shop/app.yaml/").json()
    assert [(one["revision"], one["note"], one["author"]) for one in history] == [
        ("2", "more", "ann"),
        ("1", "", "ann"),
    ]
    diff = client.get(f"{API}diff/shop/app.yaml/?old=1").json()
    assert (diff["old"], diff["new"], "-a: 1\n+a: 2\n" in diff["diff"]) == ("1", "2", True)
    assert "+a: 1" in client.get(f"{API}diff/shop/app.yaml/?new=1").json()["diff"]
    assert client.delete(f"{API}text/shop/app.yaml/?expected=2").status_code == 204
    assert client.get(f"{API}text/shop/app.yaml/").status_code == 404
    assert client.get(API).json() == []


def test_the_api_refuses_with_sentences(ann: User, shop: Project) -> None:
    client = client_of(ann)
    put(client, "shop/app.yaml", text="a: 1\n")
    stale = put(client, "shop/app.yaml", text="a: 2\n", expected="7")
    assert (stale.status_code, stale.json()["code"]) == (409, "config_changed")
    bad = put(client, "shop/app.yaml", text="a: [")
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_yaml")
    assert put(client, "pay/app.yaml", text="").status_code == 403
    nowhere = put(client, "shop/.hidden", text="")
    assert (nowhere.status_code, "is no key" in nowhere.json()["detail"]) == (404, True), nowhere.json()
    assert put(client, "shop/app.yaml").status_code == 400
    assert put(client, "shop/app.yaml", query="?source=nowhere", text="").status_code == 404
    assert client.get(f"{API}text/shop/app.yaml/?revision=99").status_code == 404
    assert client.get(f"{API}text/pay/app.yaml/").status_code == 404


def test_the_same_key_of_idempotency_writes_once(ann: User, shop: Project) -> None:
    client = client_of(ann)
    answers = [put(client, "shop/app.yaml", {"Idempotency-Key": "one"}, text="a: 1\n", expected="") for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert ConfigRevision.objects.count() == 1


def test_the_api_reads_and_writes_consul(ann: User, shop: Project, consul: Consul) -> None:
    client = client_of(ann)
    assert put(client, "shop/app.yaml", query="?source=kv", text="a: 1\n", expected="").status_code == 200
    read = client.get(f"{API}text/shop/app.yaml/?source=kv").json()
    assert (read["source"], read["text"]) == ("kv", "a: 1\n")
    consul.faults.status = 500
    away = client.get(f"{API}text/shop/app.yaml/?source=kv")
    assert (away.status_code, TOKEN in away.content.decode()) == (504, False)


# --- the pages -------------------------------------------------------------------------------------------------------
def page(*key: str) -> str:
    return reverse("project-config", args=["shop", *key]) if key else reverse("project-configuration", args=["shop"])


def test_the_page_binds_and_shows_what_is_bound(ann: User, shop: Project) -> None:
    client = client_of(ann)
    world.granted(shop, "test-a")
    form = {
        "form": "bind",
        "source": "database",
        "key": "shop/${MACHINE}.yaml",
        "files": "app.yaml = shop/app.yaml\n\n",
    }
    assert client.post(page(), form).status_code == 302
    assert shop.spec_revisions.first().spec["config"]["files"] == [{"path": "app.yaml", "key": "shop/app.yaml"}]  # type: ignore[union-attr]
    shown = client.get(page()).content.decode()
    assert "shop/test-a.yaml" in shown
    assert "not there" in shown
    assert client.post(page(), {"form": "bind", "source": ""}).status_code == 302
    assert "config" not in shop.spec_revisions.first().spec  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"source": "database", "files": "app.yaml"}, "is not path = key."),
        ({"source": "database"}, "Name the key of a base manifest, or files."),
        ({"source": "database", "key": "pay/a.yaml"}, "is not a key of shop"),
        ({"source": "elsewhere", "key": "shop/a.yaml"}, "Select a valid choice"),
    ],
)
def test_a_binding_that_is_wrong_is_shown_with_its_reason(
    ann: User, shop: Project, form: dict[str, str], sentence: str
) -> None:
    answer = client_of(ann).post(page(), {"form": "bind", **form})
    assert answer.status_code == 422
    assert sentence in answer.content.decode()


def test_the_page_of_a_text_saves_shows_restores_and_takes_away(ann: User, shop: Project) -> None:
    client = client_of(ann)
    begun = client.post(page(), {"form": "new", "key": "shop/app.yaml"})
    assert begun.url == page("database", "shop/app.yaml")  # type: ignore[attr-defined]
    assert "saving writes it" in client.get(begun.url).content.decode()  # type: ignore[attr-defined]
    where = page("database", "shop/app.yaml")
    for number, text in enumerate(["a: 1\r\n", "a: 2\r\n"]):
        form = {"form": "save", "text": text, "expected": str(number or "")}
        assert client.post(where, form).status_code == 302
    assert ConfigRevision.objects.get(number=2).text == "a: 2\n"
    shown = client.get(f"{where}?revision=2").content.decode()
    assert "a: 1" in shown
    stale = client.post(where, {"form": "save", "text": "a: 3\n", "expected": "1"})
    assert stale.status_code == 422
    assert "it is at revision 2 now" in stale.content.decode()
    assert "a: 3" in stale.content.decode()  # what was typed is not lost
    assert client.post(where, {"form": "restore", "revision": "1"}).status_code == 302
    newest = ConfigRevision.objects.get(number=3)
    assert (newest.text, newest.note) == ("a: 1\n", "← 1")
    assert client.post(where, {"form": "delete", "expected": "3"}).status_code == 302
    assert "taken away" in client.get(where).content.decode()
    assert client.post(where, {"form": "other"}).status_code == 422


def test_a_bad_text_is_shown_with_its_line(ann: User, shop: Project) -> None:
    where = page("database", "shop/app.yaml")
    answer = client_of(ann).post(where, {"form": "save", "text": "a: [", "expected": ""})
    assert answer.status_code == 422
    assert "This is not valid YAML, line 2" in answer.content.decode()


def test_the_page_of_a_consul_key_shows_what_was_seen_and_asks_nobody(ann: User, shop: Project, consul: Consul) -> None:
    client, where = client_of(ann), page("kv", "shop/app.yaml")
    assert "not read yet" in client.get(where).content.decode()
    connection = Connection.objects.get(name="kv")
    see(connection, "shop/app.yaml", Document("shop/app.yaml", "level: info\n", "7", sha256_of("level: info\n")))
    see(connection, "shop/app.yaml", Document("shop/app.yaml", "level: debug\n", "9", sha256_of("level: debug\n")))
    asked = len(consul.asked)
    shown = client.get(f"{where}?revision=9").content.decode()
    for part in ("level: debug", "level: info", "by somebody in Consul", f"{consul.url}/ui/"):
        assert part in shown
    assert len(consul.asked) == asked
    assert TOKEN not in shown
    consul.put("shop/app.yaml", "level: debug\n")
    revision = configs.source_named("kv").read("shop/app.yaml").revision
    assert client.post(where, {"form": "save", "text": "level: warn\n", "expected": revision}).status_code == 302
    assert consul.text("shop/app.yaml") == "level: warn\n"
    assert client.post(where, {"form": "delete", "expected": ""}).status_code == 422


def test_whoever_may_not_change_it_sees_the_text_and_why(shop: Project, ann: User) -> None:
    save_config(actor=ann, project=shop, key="shop/app.yaml", text="a: 1\n")
    dev = client_of(world.member(shop, "developer"))
    shown = dev.get(page("database", "shop/app.yaml")).content.decode()
    assert "a: 1" in shown
    assert "needs the role maintainer" in shown
    viewer = client_of(world.member(shop, "viewer"))
    assert viewer.get(page("database", "shop/app.yaml")).status_code == 403
    assert viewer.get(page()).status_code == 200


def test_the_editor_is_told_what_is_wrong(ann: User) -> None:
    client, where = client_of(ann), reverse("config-judge")
    fine = client.post(where, {"text": "a: ${VERSION}\n"}, content_type="application/json").json()
    assert fine == {"valid": True, "errors": [], "warnings": []}
    bad = client.post(where, {"text": "a: 1\nb: [\n"}, content_type="application/json").json()
    assert (bad["valid"], bad["errors"][0]["line"]) == (False, 3)
    assert client.post(where, {"text": "a"}).status_code == 422
    assert client.post(where, "{", content_type="application/json").status_code == 422
