"""What ops may write into a connection: secrets go in and never come out, and no address carries one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters.actions import save_connection
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from projects.forms import SpecForm
from tests import world

pytestmark = pytest.mark.django_db
BAD = [
    {"url": "https://robot:planted@git.example/x.git"},
    {"url": "https://:planted@git.example"},
    {"mirrors": [{"url": "ssh://git.example"}, {"url": "postgres://a:planted@db/x?y=1"}]},
    {"a": {"b": {"c": ["x", "see http://u:planted@h for more"]}}},
]
GOOD: list[dict[str, Any]] = [
    {},
    {"url": "https://git.example:8443/team/app@v1.git", "username": "robot"},
    {"url": "ssh://git@git.example:29418/app"},
    {"text": "mail a:b@c, not an address of a server", "n": 3, "none": None},
]


@pytest.mark.parametrize("config", BAD, ids=json.dumps)
def test_an_address_with_a_password_is_refused_and_not_repeated(config: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        save_connection(actor=SYSTEM, name="origin", kind="git", config=config)
    assert refused.value.fields["config"]
    assert "planted" not in str(refused.value.sentence)
    assert not Connection.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("config", GOOD, ids=json.dumps)
def test_any_other_address_is_kept(config: dict[str, Any]) -> None:
    save_connection(actor=SYSTEM, name="origin", kind="git", config=config)
    assert Connection.objects.get().config == config


def test_the_ops_screen_refuses_it_too(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    client = Client()
    client.force_login(world.ops())
    form = {"name": "origin", "kind": "git", **BAD[0]}
    answer = client.post(reverse("admin:common_connection_add"), form, follow=True)
    assert not Connection.objects.exists()
    assert "holds no password" in answer.content.decode()
    assert "planted" not in answer.content.decode()


def test_a_form_of_the_spec_never_shows_the_secrets_it_was_sent() -> None:
    form = SpecForm({"secrets": "KEY=planted", "command": "", "env": "A=shown"})
    assert not form.is_valid()
    shown = str(form)
    assert "A=shown" in shown
    assert "planted" not in shown
