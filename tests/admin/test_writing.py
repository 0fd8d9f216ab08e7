"""The ops screen writes through the portal's actions: the rule, the row, the audit line."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters.models import Cluster, Machine
from deployments.actions import start_deployment
from deployments.models import Deployment
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection, InboxItem
from permissions.models import ApiToken, User
from projects.actions import save_spec
from projects.models import MachineGrant, RoleGrant
from tests import world

pytestmark = pytest.mark.django_db


def last_audit() -> AuditEntry:
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    return entry


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def add(client: Client, screen: str, **form: Any) -> Any:
    return client.post(reverse(f"admin:{screen}_add"), form, follow=True)


def bulk(client: Client, name: str, action: str, *rows: Any, **more: Any) -> Any:
    form = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post(reverse(f"admin:{name}_changelist"), form, follow=True)


def test_a_cluster_and_a_machine_are_added_by_their_actions(ops: Client) -> None:
    add(ops, "clusters_cluster", name="here", kind="local")
    assert Cluster.objects.get().name == "here"
    assert (last_audit().verb, last_audit().actor) == ("cluster.create", "olga")
    cluster = Cluster.objects.get()
    form = {"name": "test-a", "cluster": cluster.pk, "environment": "test", "placement": "{}", "order": 0}
    form |= {"approvals_needed": 2, "approver_role": "owner"}
    add(ops, "clusters_machine", **form)
    machine = Machine.objects.get()
    assert last_audit().verb == "machine.create"
    assert (machine.approvals_needed, machine.approver_role) == (2, "owner")
    ops.post(reverse("admin:clusters_machine_change", args=[machine.pk]), {**form, "environment": "production"})
    machine.refresh_from_db()
    assert machine.environment == "production"
    assert last_audit().verb == "machine.update"
    assert (last_audit().before, last_audit().after) == ({"environment": "test"}, {"environment": "production"})


def test_what_the_rules_refuse_is_said_beside_its_field_and_changes_nothing(ops: Client) -> None:
    answer = add(ops, "clusters_cluster", name="moon", kind="spaceship")
    assert "kind" in answer.context["adminform"].form.errors
    answer = add(ops, "clusters_cluster", name="moon", kind="kubernetes")
    assert answer.status_code == 200
    assert "needs a connection of that kind" in str(answer.context["adminform"].form.errors["connection"])
    assert not Cluster.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_machine_is_granted_and_revoked_by_the_actions(ops: Client) -> None:
    project, machine = world.project(slug="shop"), world.machine("test-a")
    add(ops, "projects_machinegrant", project=project.pk, machine=machine.pk, reason="trial")
    grant = MachineGrant.objects.get()
    assert grant.granted_by == "olga"
    assert last_audit().verb == "machine.grant"
    bulk(ops, "projects_machinegrant", "revoke", grant)
    assert not MachineGrant.objects.exists()
    assert last_audit().verb == "machine.revoke"


def test_a_connection_is_added_changed_and_deleted_by_the_actions(ops: Client) -> None:
    add(ops, "common_connection", name="origin", kind="git")
    connection = Connection.objects.get()
    assert last_audit().verb == "connection.create"
    connection.secrets = {"password": "kept"}
    connection.save()
    form = {"name": "origin", "kind": "git", "username": "x"}
    ops.post(reverse("admin:common_connection_change", args=[connection.pk]), form)
    connection.refresh_from_db()
    assert connection.config == {"username": "x"}
    assert connection.secrets == {"password": "kept"}, "what the form does not show it does not lose"
    cluster = Cluster.objects.create(name="here", kind="local", connection=connection)
    answer = bulk(ops, "common_connection", "delete_selected", connection, post="yes")
    assert Connection.objects.exists(), said(answer)
    cluster.delete()
    bulk(ops, "common_connection", "delete_selected", connection, post="yes")
    assert not Connection.objects.exists()
    assert last_audit().verb == "connection.delete"


def test_bulk_actions_on_runs_call_the_actions(ops: Client) -> None:
    project = world.project(slug="shop")
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./run"]})
    machine, version = world.granted(project, "test-a"), world.version(project)
    build = world.build(project, state="running")
    bulk(ops, "builds_build", "cancel", build)
    build.refresh_from_db()
    assert build.cancel_requested_by == "olga"
    assert last_audit().verb == "build.cancel"
    assert "already" in said(bulk(ops, "builds_build", "cancel", version.build)) or AuditEntry.objects.count()
    deployment = start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=version)
    bulk(ops, "deployments_deployment", "cancel", deployment)
    assert last_audit().verb == "deployment.cancel"
    Deployment.objects.filter(pk=deployment.pk).update(needs_ops=True, cancel_requested_at=None)
    bulk(ops, "deployments_deployment", "retry_stuck", deployment)
    assert last_audit().verb == "deployment.retry"
    deployment.refresh_from_db()
    assert not deployment.needs_ops


def test_bulk_actions_on_projects_roles_and_tokens_call_the_actions(ops: Client) -> None:
    owner = world.person("ann")
    project = world.project(owner, "shop")
    bulk(ops, "projects_project", "archive", project)
    project.refresh_from_db()
    assert project.archived
    assert last_audit().verb == "project.update"
    world.member(project, "viewer", "vic")
    bulk(ops, "projects_rolegrant", "take_away", RoleGrant.objects.get(user__username="vic"))
    assert not RoleGrant.objects.filter(user__username="vic").exists()
    assert last_audit().verb == "member.set"
    last_owner = RoleGrant.objects.get(user=owner)
    assert "at least one owner" in said(bulk(ops, "projects_rolegrant", "take_away", last_owner))
    token, text = ApiToken.make(owner, "mine")
    bulk(ops, "permissions_apitoken", "revoke", token)
    assert ApiToken.find(text) is None
    assert last_audit().verb == "token.revoke"


def test_an_inbox_item_is_tried_again_with_an_audit_line(ops: Client) -> None:
    item = InboxItem.objects.create(kind="note", dedupe_key="one", state="failed", needs_ops=True)
    bulk(ops, "common_inboxitem", "try_again", item)
    item.refresh_from_db()
    assert (item.state, item.needs_ops) == ("new", False)
    assert last_audit().verb == "inbox.try_again"


def test_a_superuser_passes_no_action_by_either(root: Client) -> None:
    project = world.project(slug="shop")
    world.granted(project, "test-a")
    for model, row in (
        ("projects_project", project),
        ("projects_machinegrant", MachineGrant.objects.get()),
        ("clusters_machine", Machine.objects.get()),
        ("permissions_user", world.person("vic")),
    ):
        assert root.post(reverse(f"admin:{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403, model
        bulk(root, model, "delete_selected", row, post="yes")
        row.refresh_from_db()


def test_ops_see_people_but_only_a_superuser_changes_them(ops: Client, root: Client) -> None:
    vic = world.person("vic")
    address = reverse("admin:permissions_user_change", args=[vic.pk])
    assert ops.get(address).status_code == 200
    assert ops.post(address, {"is_superuser": "on"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[vic.pk])
    assert ops.get(password).status_code == 403
    form = {
        "username": "vic",
        "is_active": "on",
        "first_name": "Victor",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    assert root.post(address, form).status_code == 302
    assert User.objects.get(pk=vic.pk).first_name == "Victor"
    assert (last_audit().verb, last_audit().actor) == ("user.update", "root")
    before, after = last_audit().before, last_audit().after
    assert before is not None
    assert after is not None
    assert (before["first_name"], after["first_name"]) == ("", "Victor")


def test_the_audit_is_shown_and_not_changed_not_even_by_a_superuser(root: Client) -> None:
    world.project(world.person("ann"), "shop")
    entry = last_audit()
    detail = reverse("admin:audit_auditentry_change", args=[entry.pk])
    assert root.get(reverse("admin:audit_auditentry_changelist")).status_code == 200
    assert "shop" in root.get(detail).content.decode()
    assert root.post(detail, {"actor": "mallory"}).status_code == 403
    assert root.post(reverse("admin:audit_auditentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
    assert root.get(reverse("admin:audit_auditentry_add")).status_code == 403
    bulk(root, "audit_auditentry", "delete_selected", entry, post="yes")
    assert AuditEntry.objects.filter(pk=entry.pk, actor="ann").exists()
