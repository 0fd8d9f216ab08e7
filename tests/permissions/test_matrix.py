"""Every address of the portal × everybody who may come: what they are answered. An address without a line here fails."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import time
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from builds.models import InputRequest
from clusters.actions import save_freeze, update_machine
from clusters.models import FreezeWindow
from deployments.actions import start_deployment
from deployments.models import Deployment
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from projects.actions import save_spec
from tests import world

from .matrix import API, NIGHTS, PAGES, ROLES, TEXT, Ask

pytestmark = pytest.mark.django_db
SAFE = {"GET", "HEAD", "OPTIONS"}
METHODS = ("get", "post", "put", "patch", "delete")
LINES = [*API, *PAGES]


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every address with its view, without the admin's, which `tests/admin` walks."""
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and pattern.app_name != "admin":
            yield from routes(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern):
            callback = pattern.callback
            yield where, getattr(callback, "view_class", None) or getattr(callback, "cls", None)


def test_every_address_and_verb_has_a_line_and_every_line_an_address() -> None:
    known = {
        (method.upper(), where)
        for where, view in routes(get_resolver().url_patterns)
        for method in METHODS
        if hasattr(view, method)
    }
    told = {(line.method, line.route) for line in LINES}
    assert sorted(known - told) == [], "say in tests/permissions/matrix.py who may do this"
    assert sorted(told - known) == []


class Stage:
    """One of everything, and a signed-in browser for everybody."""

    def __init__(self) -> None:
        owner = world.person("ann")
        self.project = project = world.project(owner, "shop")
        save_spec(actor=SYSTEM, project=project, spec={"command": ["python3", "server.py"]})
        machine = world.granted(project, "test-a")
        world.granted(project, "prod", "production")
        version = world.version(project)
        deployment = start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=version)
        Deployment.objects.filter(pk=deployment.pk).update(state="running")
        Connection.objects.create(name="origin", kind="git")
        guarded = world.granted(project, "guarded", "staging")
        update_machine(actor=SYSTEM, machine=guarded, approval={"needed": 2, "role": "maintainer"})
        waiting = start_deployment(actor=SYSTEM, project=project, machine=guarded, action="deploy", version=version)
        nights = FreezeWindow(**{**NIGHTS, "start_time": time(22), "end_time": time(6)})
        freeze = save_freeze(actor=SYSTEM, window=nights)
        build = world.build(project, state="running")
        InputRequest.objects.create(build=build, ident="Go", message="Go on?")
        world.pipeline(project, TEXT)
        people = {
            "stranger": world.person("zoe"),
            **{role: world.member(project, role) for role in ("viewer", "developer", "maintainer")},
            "owner": owner,
            "ops": world.ops(),
        }
        self.clients = {role: self.client(people.get(role)) for role in ROLES}
        self.values = {
            "slug": project.slug,
            "ident": "Go",
            "number": 1,
            "path": "nothing.txt",
            "builds": build.pk,
            "versions": version.pk,
            "deployments": deployment.pk,
            "services": deployment.service_id,
            "tokens": 999_999,
            "connections": "origin",
            "machines": "test-a",
            "freezes": freeze.pk,
            "waiting": waiting.pk,
            "projects": "test-a",
        }

    def client(self, user: Any, *, csrf: bool = False) -> Client:
        client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
        if user is not None:
            client.force_login(user)
        return client

    def address(self, ask: Ask) -> str:
        """The route with its parameters filled in: `pk` and `name` by the room they stand in."""
        own, parts = dict(ask.values), []
        for part in ask.route.split("/"):
            name = part.strip("<>").partition(":")[2] if part.startswith("<") else ""
            room = next((p for p in ("tokens", *ask.route.removeprefix("api/").split("/")) if p in ask.route), "")
            value = self.values.get(own.get(name, "").removeprefix("@"), own.get(name)) or (
                self.values[room] if name in {"pk", "name"} else self.values.get(name)
            )
            parts.append(str(value) if name else part)
        return "/" + "/".join(parts)

    def ask(self, client: Client, ask: Ask) -> Any:
        """Answer and undo: every question meets the same world."""
        cookies = copy.deepcopy(client.cookies)  # signing out takes them away
        with transaction.atomic():
            if ask.method == "GET":
                answer = client.get(self.address(ask), ask.body or {})
            elif ask.json or ask.method == "PUT":
                raw = json.dumps(ask.body or {}).encode()
                answer = client.generic(ask.method, self.address(ask), raw, content_type="application/json")
            else:
                answer = client.post(self.address(ask), ask.body or {})
            transaction.set_rollback(True)
        client.cookies = cookies
        return answer


def wrong(stage: Stage, ask: Ask, role: str) -> str:
    """What is not as expected, in words; empty when all is well."""
    answer, expected = stage.ask(stage.clients[role], ask), ask.expected(role)
    said = f"{role}: {ask.method} {stage.address(ask)} {ask.body or ''} -> {answer.status_code}, expected {expected}"
    if answer.status_code != expected:
        return said
    if role == "anonymous" and expected == 302 and ask.level != "public" and "/sign-in/" not in answer["Location"]:
        return f"{said}, but not to the sign-in"
    if ask.api and expected >= 400 and answer["Content-Type"] != "application/problem+json":
        return f"{said}, but as {answer['Content-Type']}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [API, PAGES], ids=["api", "pages"])
def test_everybody_gets_what_the_matrix_says(lines: list[Ask]) -> None:
    stage = Stage()
    complaints = [said for role in ROLES for ask in lines if (said := wrong(stage, ask, role))]
    assert not complaints, "\n" + "\n".join(complaints)


def test_a_browser_writes_nothing_without_its_csrf_token() -> None:
    stage = Stage()
    ops = stage.client(world.ops("olaf"), csrf=True)
    for ask in LINES:
        if ask.method not in SAFE:
            answer = stage.ask(ops, ask)
            assert answer.status_code == 403, f"{ask.method} {stage.address(ask)}"
            if ask.api:
                assert "CSRF" in answer.json()["detail"]
