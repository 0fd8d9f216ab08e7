"""No form answers an odd value with an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from fangduoduo_release.common.actor import SYSTEM
from projects.actions import save_spec
from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]  # much is asked for here: no sign of a hang
ODD = (
    "",
    "-1",
    "9" * 5000,
    "1e999",
    "²",
    "\u202e<b>'\"",
    "../..",
    "--upload-pack=touch x",
    "x" * 70_000,
    "a\r\nb",
    "%(x)s %",
)
FIELDS = {
    "/sign-in/": ("username", "password", "next"),
    "/language/": ("language", "next"),
    "/me/tokens/": ("name", "days"),
    "/projects/new/": ("slug", "name", "description", "origin", "starter", "repository"),
    "/projects/odd/builds/start/": ("ref",),
    "/projects/odd/pipeline/": ("text", "note"),
    "/projects/odd/change/": ("machine", "action", "version", "replicas", "reason"),
    "/deployments/1/x/": ("reason",),
}
SETTINGS = {
    "settings": ("name", "description", "default_branch", "pipeline_origin"),
    "spec": ("command", "replicas", "port", "health_path", "env", "secrets", "memory", "drain_s", "start_deadline_s"),
    "member": ("user", "role"),
    "remove_member": ("user",),
    "archive": ("archived",),
    "x": (),
}


@pytest.fixture
def client(db: Any) -> Client:
    owner = world.person()
    project = world.project(owner, "odd")
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./start"]})
    world.granted(project)
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    return client


def test_odd_forms_are_never_an_error_of_ours(client: Client) -> None:
    asked = [(path, {}, names) for path, names in FIELDS.items()]
    asked += [("/projects/odd/settings/", {"form": form}, names) for form, names in SETTINGS.items()]
    wrong = [
        (path, fixed, odd[:30])
        for path, fixed, names in asked
        for odd in ODD
        if client.post(path, {**fixed, **dict.fromkeys(names, odd)}).status_code >= 500
    ]
    assert wrong == []


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", json.dumps({"text": "\ud800\x00"}).encode(),
                                  json.dumps({"text": 1}).encode(), b"[" * 100_000, b'{"text": 1e999}'])  # fmt: skip
def test_the_judge_of_pipelines_takes_anything(client: Client, body: bytes) -> None:
    assert client.post("/pipelines/judge/", body, content_type="application/json").status_code < 500
