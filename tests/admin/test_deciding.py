"""Ops decide about deployments at their screen by the same actions as everybody else, and pass no freeze by it."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from clusters.actions import save_freeze, update_machine
from clusters.models import FreezeWindow, Machine
from deployments.actions import start_deployment
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, DeploymentApproval
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.actions import save_spec
from projects.models import Project
from tests import world

from .conftest import browser

pytestmark = pytest.mark.django_db
LIST = "admin:deployments_deployment_changelist"


@pytest.fixture
def project() -> Project:
    made = world.project(world.person("ann"), "shop")
    save_spec(actor=SYSTEM, project=made, spec={"command": ["python3", "server.py"]})
    world.version(made)
    return made


def guarded(project: Project, name: str) -> Machine:
    machine = world.granted(project, name, "production")
    return update_machine(actor=SYSTEM, machine=machine, approval={"needed": 1})


def start(project: Project, machine: Machine, actor: Any) -> Deployment:
    return start_deployment(actor=actor, project=project, machine=machine, action="deploy")


def bulk(client: Client, action: str, *rows: Deployment) -> str:
    form = {"action": action, "_selected_action": [row.pk for row in rows]}
    answer = client.post(reverse(LIST), form, follow=True)
    return " ".join(str(message) for message in answer.context["messages"])


def test_ops_decide_in_bulk_but_not_about_their_own(project: Project, ops: Client, root: Client) -> None:
    olga = User.objects.get(username="olga")
    anns = start(project, guarded(project, "prod-bj"), project.created_by)
    own = start(project, guarded(project, "prod-sh"), olga)
    said = bulk(ops, "approve", anns, own)
    assert "asked for this deployment yourself" in said
    assert "Approved: 1" in said
    assert DeploymentApproval.objects.get().deployment == anns
    assert AuditEntry.objects.get(verb="deployment.approve").actor == "olga"
    shown = ops.get(reverse("admin:deployments_deployment_change", args=[anns.pk])).content.decode()
    assert "olga" in shown
    bulk(root, "reject", own)
    assert DeploymentApproval.objects.get(deployment=own).verdict == "rejected"


def test_a_superuser_does_not_approve_what_they_asked_for(project: Project, root: Client) -> None:
    own = start(project, guarded(project, "prod-bj"), User.objects.get(username="root"))
    assert "asked for this deployment yourself" in bulk(root, "approve", own)
    assert not DeploymentApproval.objects.exists()


def test_nobody_else_decides_here(project: Project, clerk: Client) -> None:
    waiting = start(project, guarded(project, "prod-bj"), project.created_by)
    form = {"action": "approve", "_selected_action": [waiting.pk]}
    for client in (clerk, browser(world.member(project, "owner"))):
        assert client.post(reverse(LIST), form).status_code in {302, 403}
    assert not DeploymentApproval.objects.exists()


def test_a_retry_meets_the_freeze_like_everything_else(project: Project, ops: Client) -> None:
    deployment = start(project, world.granted(project, "prod-bj", "production"), project.created_by)
    always = {"everywhere": True, "timezone": "Asia/Kathmandu", "weekdays": list(range(7)), "duration_minutes": 1440}
    window = FreezeWindow(name="Always", reason="Nobody is here", start_time=time(0), **always)
    save_freeze(actor=SYSTEM, window=window)
    Deployment.objects.filter(pk=deployment.pk).update(needs_ops=True)
    bulk(ops, "retry_stuck", deployment)
    Deployment.objects.filter(pk=deployment.pk).update(next_at=Now())
    held = runs.claim(Deployment, deployment.pk)
    assert held is not None
    assert DeploymentEngine().advance(held) is None
    deployment.refresh_from_db()
    assert (deployment.state, deployment.error["code"]) == ("failed", "freeze_window")
