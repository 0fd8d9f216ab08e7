"""The world in which everybody's rights are asked: one of everything in one project, and everybody at the door."""

from __future__ import annotations

import copy
import json
from datetime import time, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from builds.actions import save_credential
from builds.models import InputRequest
from builds.templates import sync_library
from clusters.actions import save_freeze, update_machine
from clusters.models import Cluster, ClusterFeed, FreezeWindow, Machine
from deployments.actions import start_deployment
from deployments.models import Deployment
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from permissions.models import ApiToken, User
from projects import grants
from projects.actions import grant_machine, save_spec
from projects.models import Project, ProjectUserObjectPermission, RoleGrant
from projects.requests import ask as ask_for
from tests import world

from .matrix import NIGHTS, ROLES, TEXT, Ask

# What a refused request may still write: who was seen when.
MAY_BE_WRITTEN = ("django_session", "permissions_apitoken", "permissions_signedin", "axes_access")


class Stage:
    """One of everything, and a signed-in browser (or a token) for everybody."""

    def __init__(self, slug: str = "shop") -> None:
        self.owner = owner = world.person("ann")
        self.project = project = world.project(owner, slug)
        save_spec(actor=SYSTEM, project=project, spec={"command": ["python3", "server.py"]})
        save_credential(actor=SYSTEM, project=project, ident="DEPLOY", kind="text", values={"secret": "kept"})
        machine = world.granted(project, "test-a")
        world.granted(project, "prod", "production")
        version = world.version(project)
        deployment = start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=version)
        Deployment.objects.filter(pk=deployment.pk).update(state="running")
        Connection.objects.create(name="origin", kind="git")
        guarded = world.granted(project, "guarded", "staging")
        update_machine(actor=SYSTEM, machine=guarded, approval={"needed": 2, "role": "maintainer"})
        waiting = start_deployment(actor=SYSTEM, project=project, machine=guarded, action="deploy", version=version)
        # Days away, whenever this is: it neither begins nor ends while somebody looks.
        far = {"weekdays": [(timezone.now().weekday() + 3) % 7], "start_time": time(22), "end_time": time(6)}
        nights = FreezeWindow(**{**NIGHTS, **far})
        freeze = save_freeze(actor=SYSTEM, window=nights)
        world.machine("stage", "staging")
        self.east(project)
        asked = ask_for(actor=world.person("yan"), slug=project.slug, kind="role", role="viewer", reason="to look")
        build = world.build(project, state="running")
        InputRequest.objects.create(build=build, ident="Go", message="Go on?")
        world.artifact(build, "app.tgz")
        world.pipeline(project, TEXT)
        sync_library()
        self.people: dict[str, User] = {
            "stranger": world.person("zoe"),
            "expired": self.expired(project),
            **{role: world.member(project, role) for role in ("viewer", "developer", "maintainer")},
            "team": self.in_team(project, "maintainer"),
            "owner": owner,
            "token": owner,
            "ops": world.ops(),
        }
        self.token = reading_token(owner)
        self.clients = {role: self.client(self.people.get(role)) for role in ROLES if role != "token"}
        self.clients["token"] = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {self.token}"})
        self.values: dict[str, Any] = {
            "slug": project.slug,
            "ident": "Go",
            "number": 1,
            "path": "nothing.txt",
            "builds": build.pk,
            "versions": version.pk,
            "deployments": deployment.pk,
            "services": deployment.service_id,
            "requests": asked.pk,
            "role-grants": 999_999,
            "machine-grants": project.machine_grants.get(machine=machine).pk,
            "tokens": 999_999,
            "connections": "origin",
            "machines": "test-a",
            "clusters": "local",
            "freezes": freeze.pk,
            "waiting": waiting.pk,
            "projects": "test-a",
            "east": "east",
            "exec": "api/v1/namespaces/shop-test/pods/shop-1/exec",
        }

    @staticmethod
    def east(project: Project) -> None:
        """A Kubernetes that was read once and has no connection, with a namespace for the project."""
        cluster = Cluster.objects.create(name="east", kind="kubernetes")
        placed = {"cluster": cluster, "placement": {"namespace": "shop-test"}}
        machine = Machine.objects.create(name="east-test", environment="test", **placed)
        grant_machine(actor=SYSTEM, project=project, machine=machine)
        then = timezone.now() - timedelta(hours=1)  # out of date, and so for as long as anybody looks
        ClusterFeed.objects.create(cluster=cluster, resource="pods", state="live", synced_at=then, seen_at=then)

    @staticmethod
    def expired(project: Project) -> User:
        """Somebody whose owner's role ran out a second ago; the rows are there still."""
        user = world.person("eve")
        until = timezone.now() + timedelta(hours=1)
        with transaction.atomic():
            grants.set_role(project, user, "owner", granted_by="ann", until=until)
        past = timezone.now() - timedelta(seconds=1)
        assert RoleGrant.objects.filter(user=user).update(until=past)
        assert ProjectUserObjectPermission.objects.filter(user=user).update(until=past)
        return user

    @staticmethod
    def in_team(project: Project, role: str) -> User:
        """Somebody who holds a role only through a team."""
        team, user = Group.objects.create(name="crew"), world.person("tom")
        user.groups.add(team)
        with transaction.atomic():
            grants.set_role(project, team, role, granted_by="ann")
        return user

    def client(self, user: Any, *, csrf: bool = False) -> Client:
        client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
        if user is not None:
            client.force_login(user)
            client.get("/me/")  # the session is written down once
        return client

    def address(self, ask: Ask) -> str:
        """The route with its parameters filled in: `pk` and `name` by the room they stand in."""
        own, parts = dict(ask.values), []
        for part in ask.route.split("/"):
            name = part.strip("<>").rpartition(":")[2] if part.startswith("<") else ""
            room = next((p for p in ("tokens", *ask.route.removeprefix("api/").split("/")) if p in ask.route), "")
            given = own.get(name, "")
            value = (self.values[given[1:]] if given.startswith("@") else given) or (
                self.values[room] if name in {"pk", "name"} else self.values.get(name)
            )
            parts.append(str(value) if name else part)
        return "/" + "/".join(parts)

    def ask(self, client: Client, ask: Ask, address: str = "") -> Any:
        """Answer and undo: every question meets the same world. The answer carries what it `wrote`."""
        cookies = copy.deepcopy(client.cookies)  # signing out takes them away
        written: list[str] = []

        def watch(execute: Any, sql: str, *rest: Any) -> Any:
            if sql.startswith(("INSERT", "UPDATE", "DELETE")) and not any(name in sql for name in MAY_BE_WRITTEN):
                written.append(sql)
            return execute(sql, *rest)

        with transaction.atomic(), connection.execute_wrapper(watch):
            answer: Any = send(client, ask, address or self.address(ask))
            transaction.set_rollback(True)
        client.cookies = cookies
        answer.wrote = written
        return answer


def send(client: Client, ask: Ask, address: str, body: Any = None) -> Any:
    """One request as its line says, or with another body."""
    body = ask.body or {} if body is None else body
    if ask.method == "GET":
        return client.get(address, body)
    if ask.json or ask.method == "PUT":
        return client.generic(ask.method, address, json.dumps(body).encode(), content_type="application/json")
    return client.post(address, body)


def reading_token(user: User) -> str:
    """A token that may only read."""
    row, text = ApiToken.make(user, "reads")
    row.scopes, row.last_used_at = ["read"], timezone.now()
    row.save()
    return text
