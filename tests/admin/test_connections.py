"""Connections at the ops screen: fields by kind, secrets that go in and never come out, tried when saved and by a button."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from clusters.actions import save_connection
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import leases
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from tests import world
from tests.simulators.registry import PASSWORD, USER, DockerRegistry, certificate

pytestmark = pytest.mark.django_db
ADD = "/admin/common/connection/add/"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path, basic=True) as found:
        yield found


def form(registry: DockerRegistry, **more: str) -> dict[str, str]:
    return {"kind": "registry", "name": "images", "url": registry.url, "username": USER, "password": PASSWORD, **more}


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def change(connection: Connection) -> str:
    return reverse("admin:common_connection_change", args=[connection.pk])


def test_the_kind_is_chosen_first(ops: Client) -> None:
    html = ops.get(ADD).content.decode()
    for kind in ("gerrit", "jenkins", "registry", "git", "kubernetes"):
        assert f'href="?kind={kind}"' in html
    assert 'name="config"' not in html
    unknown = ops.get(f"{ADD}?kind=spaceship").content.decode()
    assert 'href="?kind=jenkins"' in unknown
    assert "spaceship" not in unknown


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("jenkins", ["name", "url", "user", "token", "folder", "credentials_id", "ca"]),
        ("registry", ["name", "url", "username", "password", "ca"]),
        ("kubernetes", ["name", "kubeconfig", "context", "in_cluster"]),
        ("git", ["name", "url", "username", "password", "token", "ssh_key", "webhook_secret"]),
        (
            "gerrit",
            [
                *("name", "url", "username", "password", "ssh_host", "ssh_port", "ssh_user", "ssh_key", "known_hosts"),
                *("parent", "group", "label", "webhook_secret", "ca"),
            ],
        ),
        ("webhook", ["name", "config", "new_secrets"]),
    ],
)
def test_every_kind_has_its_fields(ops: Client, kind: str, fields: list[str]) -> None:
    html = ops.get(f"{ADD}?kind={kind}").content.decode()
    main = html[html.index('id="connection_form"') :]
    found = re.findall(r'<(?:input|textarea)[^>]*? name="([a-z_]+)"', main)
    assert [name for name in found if name not in {"csrfmiddlewaretoken", "kind"} and name[0] != "_"] == fields
    assert f'name="kind" value="{kind}"' in main
    for secret in {"token", "password", "webhook_secret"} & set(fields):
        assert re.search(rf'<input type="password" name="{secret}"', main)


def test_saving_tries_it_at_once_and_says_what_was_found(ops: Client, registry: DockerRegistry) -> None:
    answer = ops.post(ADD, form(registry), follow=True)
    connection = Connection.objects.get()
    assert connection.config == {"url": registry.url, "username": USER}
    assert connection.secrets == {"password": PASSWORD}
    assert "signed in as “robot”" in said(answer)
    assert connection.last_test["ok"] is True
    assert AuditEntry.objects.get().verb == "connection.create"
    html = ops.get(change(connection)).content.decode()
    assert "signed in as “robot”" in html
    assert "works" in html
    assert PASSWORD not in html
    assert "set; leave empty to keep it" in html


def test_a_test_that_fails_refuses_nothing_and_is_shown(ops: Client, registry: DockerRegistry) -> None:
    answer = ops.post(ADD, form(registry, password="wrong"), follow=True)
    connection = Connection.objects.get()
    assert connection.last_test["ok"] is False
    assert "does not take the user name" in said(answer)
    assert "does not work" in ops.get(reverse("admin:common_connection_changelist")).content.decode()
    ops.post(change(connection), form(registry))
    connection.refresh_from_db()
    assert connection.last_test["ok"] is True


def test_an_empty_secret_keeps_what_is_stored_and_a_box_removes_it(ops: Client, registry: DockerRegistry) -> None:
    ops.post(ADD, form(registry))
    connection = Connection.objects.get()
    ops.post(change(connection), form(registry, password="", ca=certificate().certificate.decode()))
    connection.refresh_from_db()
    assert connection.secrets == {"password": PASSWORD}
    assert "BEGIN CERTIFICATE" in connection.config["ca"]
    assert connection.last_test["ok"] is True
    ops.post(change(connection), form(registry, password="", username="", remove_password="on"))
    connection.refresh_from_db()
    assert connection.secrets == {}
    assert "ca" not in connection.config
    assert connection.last_test["ok"] is False
    assert 'name="remove_password"' not in ops.get(change(connection)).content.decode()


def test_what_the_form_does_not_know_it_does_not_lose(ops: Client, registry: DockerRegistry) -> None:
    save_connection(
        actor=SYSTEM, name="images", kind="registry", config={"url": registry.url, "team": "red"}, secrets={"x": "y"}
    )
    connection = Connection.objects.get()
    ops.post(change(connection), form(registry))
    connection.refresh_from_db()
    assert connection.config["team"] == "red"
    assert connection.secrets == {"x": "y", "password": PASSWORD}


@pytest.mark.parametrize(
    ("field", "value"),
    [("url", "registry.example"), ("url", "https://robot:planted@registry.example"), ("ca", "planted"), ("name", "")],
)
def test_a_mistake_stands_at_its_field_and_shows_no_secret(
    ops: Client, registry: DockerRegistry, field: str, value: str
) -> None:
    answer = ops.post(ADD, {**form(registry), field: value})
    assert answer.status_code == 200
    assert not Connection.objects.exists()
    assert list(answer.context["adminform"].errors) == [field]
    assert PASSWORD not in answer.content.decode()


def test_the_button_tries_what_is_stored(ops: Client, registry: DockerRegistry) -> None:
    ops.post(ADD, form(registry))
    connection = Connection.objects.get()
    where = reverse("admin:common_connection_test", args=[connection.pk])
    assert f'action="{where}"' in ops.get(change(connection)).content.decode()
    registry.stop()
    answer = ops.post(where, follow=True)
    assert answer.redirect_chain[-1][0] == change(connection)
    assert "does not answer" in said(answer)
    connection.refresh_from_db()
    assert connection.last_test["ok"] is False
    assert AuditEntry.objects.order_by("-seq")[0].verb == "connection.test"
    assert ops.get(where).status_code == 405


def test_a_kind_without_a_test_has_no_button(ops: Client) -> None:
    ops.post(ADD, {"kind": "webhook", "name": "hook", "config": "{}"})
    connection = Connection.objects.get()
    html = ops.get(change(connection)).content.decode()
    assert "There is nothing to test." in html
    assert reverse("admin:common_connection_test", args=[connection.pk]) not in html
    answer = ops.post(reverse("admin:common_connection_test", args=[connection.pk]), follow=True)
    assert "nothing to test" in said(answer)


def test_the_last_test_is_told_in_the_readers_language(ops: Client) -> None:
    with translation.override("zh-hans"):
        save_connection(actor=SYSTEM, name="origin", kind="git", config={"username": "x"})
        ops.post(reverse("admin:common_connection_test", args=[Connection.objects.get().pk]))
    told = Connection.objects.get().last_test["sentence"]
    assert told["msgid"].startswith("Name a repository"), "stored as a sentence, not as words"


def test_other_kinds_keep_their_json_and_take_secrets_too(ops: Client) -> None:
    ops.post(
        ADD, {"kind": "webhook", "name": "origin", "config": '{"username": "x"}', "new_secrets": "password=one\nold=2"}
    )
    connection = Connection.objects.get()
    assert (connection.config, connection.secrets) == ({"username": "x"}, {"password": "one", "old": "2"})
    ops.post(change(connection), {"name": "origin", "config": "{}", "new_secrets": "old="})
    connection.refresh_from_db()
    assert (connection.config, connection.secrets) == ({}, {"password": "one"})
    for bad in ({"config": "[1]"}, {"config": "{"}, {"new_secrets": "no equals sign"}):
        answer = ops.post(change(connection), {"name": "origin", **bad})
        assert answer.status_code == 200
        assert answer.context["adminform"].errors


def test_only_ops_reach_any_of_it(registry: DockerRegistry) -> None:
    save_connection(actor=SYSTEM, name="images", kind="registry", config={"url": registry.url})
    connection = Connection.objects.get()
    clerk = Client()
    clerk.force_login(world.person(is_staff=True))
    for where in (ADD, f"{ADD}?kind=registry", change(connection)):
        assert clerk.get(where).status_code == 403
    answer = clerk.post(reverse("admin:common_connection_test", args=[connection.pk]))
    assert answer.status_code in {403, 404}
    connection.refresh_from_db()
    assert connection.last_test is None


def test_ops_see_whether_the_builds_of_a_jenkins_are_followed(ops: Client) -> None:
    made = Connection.objects.create(
        name="ci", kind="jenkins", config={"url": "http://127.0.0.1:9", "user": "u"}, secrets={"token": "t"}
    )
    assert "No build was followed yet." in ops.get(change(made)).content.decode()
    leases.beat("follower:ci", "follower", failures=0, error=None)
    assert "No trouble." in ops.get(change(made)).content.decode()
    leases.beat("follower:ci", "follower", failures=3, error=S("Jenkins at “%(host)s” is away.", host="ci").as_json())
    assert "Jenkins at “ci” is away." in ops.get(change(made)).content.decode()
