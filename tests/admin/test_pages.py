"""Every page of the ops screen works, shows no secret, and stays quick on big tables. Who may come: the matrix."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from builds.actions import save_credential
from builds.models import (
    Artifact,
    BuildLog,
    BuildRules,
    InputRequest,
    LogChunk,
    LogMark,
    Review,
    Stage,
    TestResult,
)
from builds.templates import sync_library
from clusters.actions import save_connection
from clusters.models import Cluster, ClusterFeed, FreezeWindow
from deployments.actions import start_deployment
from deployments.models import Instance
from fangduoduo_release.common import events
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Beat, IdempotencyKey, InboxItem, Lease, Step
from fangduoduo_release.notifications import channels
from fangduoduo_release.notifications.models import Circuit
from permissions import sessions
from permissions.actions import create_service_account
from permissions.models import ApiToken, JwtFamily, ServiceAccount, SignedIn
from projects.actions import save_spec
from projects.models import HookDelivery, SourceListener
from projects.requests import ask
from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]  # much is asked for here: no sign of a hang
SECRET = "planted-7f3a9c-secret"
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def page(model: Any, name: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def rows_of(model: Any) -> Any:
    """A proxy's table holds rows of other screens too."""
    rows = model._default_manager.order_by("pk")
    return rows.filter(is_service=True) if model is ServiceAccount else rows


@pytest.fixture
def rows() -> str:
    """A row of every kind, with a secret wherever one may be kept; answers the token's readable text."""
    owner = world.person("ann")
    Group.objects.create(name="team")
    project = world.project(owner, "shop")
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./run"], "secrets": {"PASSWORD": SECRET}})
    save_credential(actor=SYSTEM, project=project, ident="deploy", kind="text", values={"secret": SECRET})
    save_connection(actor=SYSTEM, name="origin", kind="git", config={"username": "x"}, secrets={"password": SECRET})
    machine = world.granted(project, "test-a")
    world.pipeline(project, "pipeline { agent any\n stages { stage('a') { steps { echo 'hi' } } } }")
    sync_library()
    version = world.version(project)
    deployment = start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=version)
    window = {"name": "Nights", "reason": "Nobody is awake", "everywhere": True, "timezone": "Asia/Shanghai"}
    FreezeWindow.objects.create(**window, weekdays=[0], end_time="06:00")
    build = version.build
    Stage.objects.create(build=build, ident="a", name="a")
    InputRequest.objects.create(build=build, ident="Go", message="Go on?")
    TestResult.objects.create(build=build, suite="s", name="t", state="passed")
    Artifact.objects.create(build=build, path="a.txt", size=1, sha256="0" * 64)
    BuildLog.objects.create(build=build)
    LogChunk.objects.create(build=build, offset=0, size=1, data=b"x", first_line=0, lines=1)
    LogMark.objects.create(build=build, line=0, offset=0, at_ms=0)
    Instance.objects.create(service=deployment.service, name="shop-1", state="running")
    events.record(build, "state", state="succeeded")
    InboxItem.objects.create(kind="note", dedupe_key="one")
    Step.objects.create(run_key=build.key, key="k", name="start")
    Beat.objects.create(name="worker@here", kind="worker", seen_at=timezone.now())
    Lease.objects.create(name="sources.compare", owner="here")
    create_service_account(actor=SYSTEM, username="robot", name="Builds at night")
    now = timezone.now()
    SignedIn.objects.create(user=owner, key="k" * 32, address="10.1.2.3", seen_at=now)
    JwtFamily.objects.create(user=owner, used_at=now, expires_at=now)
    AccessAttempt.objects.create(username="ann", ip_address="10.1.2.3", failures_since_start=1)
    listened = save_connection(actor=SYSTEM, name="hooked", kind="git", config={}, secrets={"webhook_secret": SECRET})
    SourceListener.objects.create(connection=listened)
    ClusterFeed.objects.create(cluster=Cluster.objects.create(name="k8s", kind="kubernetes"), resource="pods")
    HookDelivery.objects.create(connection=listened, kind="github", dedupe_key="one", body=b"", state="done")
    BuildRules.objects.create(project=project)
    Review.objects.create(build=world.change_build(project), what="ended", message="m", state="failed")
    IdempotencyKey.objects.create(owner="1", key="k", fingerprint="f", status=201, body={})
    ask(actor=world.person("ben"), slug="shop", kind="role", role="viewer", reason="to look")
    hook = {"kind": "webhook", "address": f"https://hooks.example.org/{SECRET}", "secret": SECRET}
    channel, _ = channels.add(actor=SYSTEM, name="ops", **hook)
    channels.add(actor=SYSTEM, name="shop", project="shop", **hook)
    channels.send_test(actor=SYSTEM, channel=channel)
    Circuit.objects.create(route=channel.route, until=timezone.now())
    return ApiToken.make(owner, "mine")[1]


@pytest.mark.parametrize("who", ["ops", "root"])
def test_every_page_works_and_none_shows_a_secret(who: str, rows: str, request: Any) -> None:
    client: Client = request.getfixturevalue(who)
    hidden = [SECRET, "k" * 32, rows, rows.split("_", 2)[2], ApiToken.hash(rows)]
    empty = []
    for model in MODELS:
        found = [page(model), f"{page(model)}?q=shop", f"{page(model)}?q=1&o=1"]
        row = rows_of(model).first()
        if row is None:
            empty.append(model._meta.label)
        else:
            found += [page(model, "change", row.pk), page(model, "history", row.pk)]
        for address in found:
            answer = client.get(address)
            assert answer.status_code == 200, address
            text = answer.content.decode()
            assert not [word for word in hidden if word in text], address
            policy_holds(text, address)
    assert empty == [], "make a row of it in `rows`"


def policy_holds(text: str, address: str) -> None:
    """Nothing that the content security policy would stop: no inline script, handler or style."""
    for tag in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in tag or "application/json" in tag, (address, tag)
    assert not re.search(r"<[^>]*\son[a-z]+\s*=", text), address
    assert not re.search(r"<[^>]*\sstyle\s*=", text), address
    assert "<style" not in text, address
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text), address


def test_the_start_page_names_the_portal_and_leads_back(ops: Client, root: Client) -> None:
    for client in (ops, root):
        answer = client.get("/admin/")
        text = answer.content.decode()
        assert "Fangduoduo Release" in text
        assert f'href="{reverse("home")}"' in text
        assert answer["Content-Security-Policy"]
        policy_holds(text, "/admin/")


def test_the_task_queues_own_screens_are_not_there(root: Client) -> None:
    assert not [model for model in MODELS if model._meta.app_label == "django_q"]
    assert root.get("/admin/django_q/schedule/").status_code == 404


def test_lists_never_count_or_fetch_the_whole_table(rows: str, ops: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    # When somebody was last seen is written once a minute, which on a slow machine would fall into some page's count.
    monkeypatch.setattr(sessions, "FRESH_S", 24 * 3600)
    ops.get("/admin/")  # content types and the like are known now
    for model in MODELS:
        with CaptureQueriesContext(connection) as asked:
            assert ops.get(f"{page(model)}?q=x").status_code == 200
        statements = [query["sql"] for query in asked]
        assert len(statements) <= 12, "\n".join(statements)
        for sql in statements:
            if "COUNT(" in sql.upper():
                assert "LIMIT 10000" in sql, sql
        for column in getattr(admin.site._registry[model], "big_columns", ()):
            assert not [sql for sql in statements if f'"{column}"' in sql], (model, column)
