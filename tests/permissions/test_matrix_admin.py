"""Every address and bulk action of the ops screen × everybody who may come. One without a line fails."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from builds.models import BuildLog, BuildRules, LogChunk, LogMark, Review, TestResult
from builds.models import Stage as StageRow
from clusters.models import Cluster, ClusterFeed
from deployments.models import Instance
from fangduoduo_release.common import events
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Beat, Connection, IdempotencyKey, InboxItem, Lease, Step
from fangduoduo_release.notifications import channels
from fangduoduo_release.notifications.models import Circuit
from permissions.actions import create_service_account
from permissions.models import JwtFamily, ServiceAccount, User
from projects.models import BranchTip, HookDelivery, SourceListener
from tests import world

from .matrix import ROLES, Ask
from .matrix_admin import ADMIN, ADMIN_ROLES, SCREENS, Screen, ScreenAsk
from .stage import MAY_BE_WRITTEN, Stage

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]
OF_A_TABLE = ("changelist", "add", "history", "delete", "change")
# Django's own journal of the ops screen keeps what was done, and sessions and sign-ins are told apart elsewhere.
QUIET = (*MAY_BE_WRITTEN, "django_admin_log")


class OpsStage(Stage):
    """With a row in every table, and with the two people whom only the ops screen knows."""

    def __init__(self) -> None:
        super().__init__()
        build = self.project.builds.get(state="running")
        service = self.project.services.get(machine__name="test-a")
        StageRow.objects.create(build=build, ident="a", name="a")
        TestResult.objects.create(build=build, suite="s", name="t", state="passed")
        BuildLog.objects.get_or_create(build=build)
        LogChunk.objects.create(build=build, offset=0, size=1, data=b"x", first_line=0, lines=1)
        LogMark.objects.create(build=build, line=0, offset=0, at_ms=0)
        Instance.objects.create(service=service, name="shop-1", state="running")
        BranchTip.objects.get_or_create(project=self.project, ref="refs/heads/main", defaults={"sha": "0" * 40})
        events.record(build, "state", state="running")
        InboxItem.objects.create(kind="note", dedupe_key="one", state="failed")
        Step.objects.create(run_key=build.key, key="k", name="start")
        Beat.objects.create(name="worker@here", kind="worker", seen_at=timezone.now())
        Lease.objects.create(name="sources.compare", owner="here")
        create_service_account(actor=SYSTEM, username="robot", name="Builds at night")
        now = timezone.now()
        JwtFamily.objects.create(user=self.owner, used_at=now, expires_at=now)
        AccessAttempt.objects.create(username="ann", ip_address="10.1.2.3", failures_since_start=1)
        channel, _ = channels.add(actor=SYSTEM, name="ops", kind="webhook", address="https://hooks.example.org/x")
        channels.send_test(actor=SYSTEM, channel=channel)
        Circuit.objects.create(route=channel.route, until=now)
        git = Connection.objects.create(name="forge", kind="git")
        HookDelivery.objects.create(connection=git, kind="github", dedupe_key="one", body=b"", state="done")
        IdempotencyKey.objects.create(owner="1", key="k", fingerprint="f", status=201, body={})
        BuildRules.objects.create(project=self.project)
        changed = world.change_build(self.project)
        Review.objects.create(build=changed, what="ended", message="m", state="failed")
        SourceListener.objects.create(connection=Connection.objects.get(name="origin"))
        ClusterFeed.objects.create(cluster=Cluster.objects.create(name="k8s", kind="kubernetes"), resource="pods")
        self.people["clerk"] = world.person("clerk", is_staff=True)
        self.people["root"] = User.objects.create_superuser("root", password=None)
        for name in ("clerk", "root"):
            self.clients[name] = self.client(self.people[name])


@pytest.fixture(scope="module")
def stage(open_transaction: None) -> OpsStage:
    return OpsStage()


def model_of(screen: Screen) -> Any:
    return next(model for model in admin.site._registry if model._meta.label == screen.model)


def offered(model: Any, user: User) -> set[str]:
    request = RequestFactory().get("/admin/")
    request.user = user
    return set(admin.site._registry[model].get_actions(request))


def routes(patterns: list[Any], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern):
            yield {"app_list": "admin/<app_label>/"}.get(pattern.name or "", where.replace("(?P<url>.*)$", "<url>"))


def test_every_address_and_bulk_action_has_a_line_and_every_line_is_there(stage: OpsStage) -> None:
    registered = {model._meta.label: model for model in admin.site._registry}
    assert sorted(registered) == sorted(screen.model for screen in SCREENS), "say in matrix_admin.py who may do what"
    tables = {f"admin/{m._meta.app_label}/{m._meta.model_name}/" for m in registered.values()}
    ends = ("", "add/", *(f"<path:object_id>/{end}" for end in ("history/", "delete/", "change/", "")))
    standard = {table + end for table in tables for end in ends}
    found = set(routes(admin.site.urls[0], "admin/"))
    told = {ask.route for ask in ADMIN}
    assert sorted(found - standard - told) == [], "say in matrix_admin.py who may do this"
    assert sorted((standard | told) - found) == []
    ops, root = stage.people["ops"], stage.people["root"]
    for screen in SCREENS:
        model = registered[screen.model]
        assert offered(model, ops) == set(screen.actions), screen.model
        assert offered(model, root) == {*screen.actions, *screen.root_actions}, screen.model
    fields = {(model._meta.label, name) for model in registered.values() for name in registered_autocomplete(model)}
    asked = {(ask.body["app_label"], ask.body["model_name"], ask.body["field_name"]) for ask in ADMIN if is_search(ask)}
    assert {(*label.lower().split("."), name) for label, name in fields} == asked


def registered_autocomplete(model: Any) -> Any:
    return admin.site._registry[model].autocomplete_fields


def is_search(ask: Ask) -> bool:
    return ask.route == "admin/autocomplete/"


def rows_of(model: Any) -> Any:
    """A proxy's table holds rows of other screens too."""
    rows = model._default_manager.order_by("pk")
    return rows.filter(is_service=True) if model is ServiceAccount else rows


def address(model: Any, view: str) -> str:
    row = rows_of(model).first()
    assert row is not None, f"make a row of {model._meta.label} in OpsStage"
    args = [] if view in {"changelist", "add"} else [row.pk]
    name = "change" if view == "open" else view
    found = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)
    return found.removesuffix("change/") if view == "open" else found


def asked(client: Client, model: Any, ask: ScreenAsk) -> tuple[Any, list[str]]:
    """The answer, and what it wrote; then it is undone."""
    written: list[str] = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and not any(name in sql for name in QUIET):
            written.append(sql)
        return execute(sql, *rest)

    body = dict(ask.body or {})
    if "action" in body:
        body["_selected_action"] = [row.pk for row in rows_of(model)[:1]]
    where, cookies = address(model, ask.view), copy.deepcopy(client.cookies)
    with transaction.atomic(), connection.execute_wrapper(watch):
        answer = client.get(where) if ask.method == "GET" else client.post(where, body)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer, written


def wrong(stage: OpsStage, screen: Screen, ask: ScreenAsk, role: str) -> str:
    answer, written = asked(stage.clients[role], model_of(screen), ask)
    expected = ask.expected(role)
    said = f"{role}: {ask.method} {screen.model} {ask.view} {ask.body or ''} -> {answer.status_code}, not {expected}"
    if answer.status_code != expected:
        return said
    if role in ask.allowed:
        return ""
    if expected == 302 and "/admin/login/" not in answer["Location"]:
        return f"{said}, but not to the sign-in: {answer['Location']}"
    return f"{said}, but it wrote {written}" if written else ""


@pytest.mark.slow
def test_everybody_gets_of_every_table_what_the_matrix_says(stage: OpsStage) -> None:
    complaints = [
        said
        for role in ADMIN_ROLES
        for screen in SCREENS
        for ask in screen.asks()
        if (said := wrong(stage, screen, ask, role))
    ]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.slow
def test_everybody_gets_of_the_other_addresses_what_the_matrix_says(stage: OpsStage) -> None:
    complaints = []
    for role in ROLES:
        for ask in ADMIN:
            answer, expected = stage.ask(stage.clients[role], ask), ask.expected(role)
            said = f"{role}: {ask.method} {stage.address(ask)} -> {answer.status_code}, expected {expected}"
            if answer.status_code != expected:
                complaints.append(said)
            elif not ask.allows(role) and "/admin/login/" not in answer["Location"]:
                complaints.append(f"{said}, but not to the sign-in")
    assert not complaints, "\n" + "\n".join(complaints)


def test_the_ops_screen_writes_nothing_without_a_csrf_token(stage: OpsStage) -> None:
    root = stage.client(stage.people["root"], csrf=True)
    for screen in SCREENS:
        for ask in screen.asks():
            if ask.method == "POST":
                answer, written = asked(root, model_of(screen), ask)
                assert (answer.status_code, written) == (403, []), (screen.model, ask)
