"""Ends: they count from their second; the duty writes them down, warns once, and forgives a clock that jumps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from clusters.drivers.process import handle
from clusters.models import Machine
from clusters.runtimes import runtime_of
from deployments import actions as deployment_actions
from deployments import beginning, wanted
from deployments.engine import DeploymentEngine
from deployments.models import Deployment
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import Sentence
from permissions import policy
from permissions.models import User
from projects import actions, expiry, grants, requests
from projects.models import AccessRequest, MachineGrant, Project, ProjectUserObjectPermission, RoleGrant
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db


def inside(**how_long: float) -> datetime:
    return timezone.now() + timedelta(**how_long)


def shift(grant: RoleGrant | MachineGrant, **by: float) -> None:
    """As if the clock had gone on."""
    assert grant.until is not None
    rows: Any = type(grant)._default_manager
    rows.filter(pk=grant.pk).update(until=grant.until - timedelta(**by))
    grant.refresh_from_db()
    if isinstance(grant, RoleGrant):
        ProjectUserObjectPermission.objects.filter(user=grant.user, content_object=grant.project).update(
            until=grant.until
        )


def given(project: Project, person: User, role: str = "developer", **how_long: float) -> RoleGrant:
    actions.set_member(actor=SYSTEM, project=project, user=person, role=role, until=inside(**how_long))
    return RoleGrant.objects.get(user=person, project=project)


def test_an_end_counts_from_its_second_not_from_when_somebody_tidies(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=1)
    assert policy.may(User.objects.get(pk=zoe.pk), "build_project", project)
    shift(grant, days=1)
    zoe = User.objects.get(pk=zoe.pk)
    assert not policy.may(zoe, "view_project", project)
    assert not policy.visible_projects(zoe).exists()
    assert RoleGrant.objects.filter(pk=grant.pk).exists(), "the duty has not been here yet"


def test_the_duty_ends_it_with_an_audit_line_and_takes_guardians_rows_along(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=1)
    shift(grant, days=1)
    assert expiry.look_after_grants() == 1
    assert not RoleGrant.objects.filter(pk=grant.pk).exists()
    assert not ProjectUserObjectPermission.objects.filter(user=zoe).exists()
    entry = AuditEntry.objects.get(verb="grant.expired")
    assert (entry.actor, entry.before["what"], entry.before["project"]) == ("system", "developer", "shop")
    assert expiry.look_after_grants() == 0


def test_what_was_renewed_in_time_stays(project: Project, zoe: User) -> None:
    grant = given(project, zoe, hours=1)
    actions.set_member(actor=SYSTEM, project=project, user=zoe, role="developer", until=None)
    assert expiry.look_after_grants() == 0
    grant.refresh_from_db()
    assert grant.until is None


def test_a_team_loses_its_role_with_everybody_in_it(project: Project, zoe: User) -> None:
    team = Group.objects.create(name="night shift")
    zoe.groups.add(team)
    actions.set_member(actor=SYSTEM, project=project, team=team, role="viewer", until=inside(days=1))
    assert policy.may(User.objects.get(pk=zoe.pk), "view_project", project)
    grant = RoleGrant.objects.get(team=team)
    assert list(expiry.concerned(grant)) == [zoe]
    RoleGrant.objects.filter(team=team).update(until=timezone.now() - timedelta(seconds=1))
    assert expiry.end_grants() == 1
    assert not policy.may(User.objects.get(pk=zoe.pk), "view_project", project)


# --- warnings --------------------------------------------------------------------------------------------------------
def warned(grant: RoleGrant | MachineGrant) -> int | None:
    grant.refresh_from_db()
    return grant.warned_days


def test_it_warns_three_days_and_one_day_before_once_each(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=10)
    assert expiry.warn() == 0
    shift(grant, days=6.5)
    assert expiry.warn() == 0
    shift(grant, days=1)  # 2.5 days are left
    assert [expiry.warn(), expiry.warn(), warned(grant)] == [1, 0, 3]
    shift(grant, days=1)
    assert expiry.warn() == 0
    shift(grant, days=1)  # half a day
    assert [expiry.warn(), expiry.warn(), warned(grant)] == [1, 0, 1]


def test_after_a_jump_of_the_clock_the_nearer_warning_alone_is_given(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=10)
    shift(grant, days=9.5)
    assert [expiry.warn(), warned(grant)] == [1, 1]
    shift(grant, days=-5)  # and back: nothing is said twice
    assert expiry.warn() == 0
    shift(grant, days=5)
    assert expiry.warn() == 0


def test_a_jump_over_the_end_ends_it_without_a_warning(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=10)
    shift(grant, days=400)
    assert expiry.look_after_grants() == 1
    assert AuditEntry.objects.filter(verb="grant.expired").count() == 1


def test_what_is_given_for_a_day_needs_no_warning_of_it(project: Project, zoe: User, test_a: Machine) -> None:
    given(project, zoe, hours=20)
    grant = actions.grant_machine(actor=SYSTEM, project=project, machine=test_a, until=inside(days=2))
    assert expiry.warn() == 0
    shift(grant, days=1.5)
    assert expiry.warn() == 1, "the one-day warning of two days is news"


def test_renewing_warns_anew(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=10)
    shift(grant, days=9.5)
    expiry.warn()
    grant = given(project, zoe, days=10)
    shift(grant, days=9.5)
    assert expiry.warn() == 1


def test_who_is_warned_and_where_the_link_leads(
    project: Project, ann: User, dev: User, zoe: User, ask: Ask, test_a: Machine
) -> None:
    role = given(project, zoe, days=10)
    assert list(expiry.concerned(role)) == [zoe]
    assert expiry.renewal_of(role).startswith("/requests/new/?project=shop&kind=role&role=developer&")
    assert "days=10" in expiry.renewal_of(role)
    made = ask(dev, machine=test_a)
    machine = actions.grant_machine(actor=SYSTEM, project=project, machine=test_a, until=inside(days=30))
    MachineGrant.objects.filter(pk=machine.pk).update(request=made)
    machine.refresh_from_db()
    assert list(expiry.concerned(machine)) == [ann, dev]
    assert expiry.renewal_of(machine).startswith("/requests/new/?project=shop&kind=machine&machine=test-a&")


def test_what_ends_soon_is_said_on_the_projects_pages_and_at_home_with_a_button(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=2)
    client = Client()
    client.force_login(zoe)
    board = client.get("/projects/shop/").content.decode()
    assert "data-ending" in board
    assert f"/requests/renew/role/{grant.pk}/" in board
    assert "grant of yours ends soon" in client.get("/").content.decode()
    assert f"/requests/renew/role/{grant.pk}/" in client.get("/requests/?tab=mine").content.decode()
    answer = client.post(f"/requests/renew/role/{grant.pk}/")
    assert answer.status_code == 302
    assert AccessRequest.objects.get().requester == zoe
    given(project, zoe, days=20)
    assert "data-ending" not in client.get("/projects/shop/").content.decode()


# --- requests ----------------------------------------------------------------------------------------------------------
def test_requests_nobody_decides_end_by_themselves(project: Project, zoe: User, ask: Ask, settings: Any) -> None:
    old, late, fresh = ask(zoe, role="viewer"), ask(zoe, role="developer", until=inside(days=1)), ask(zoe, role="owner")
    assert abs(old.expires_at - inside(days=14)) < timedelta(minutes=1)
    AccessRequest.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    AccessRequest.objects.filter(pk=late.pk).update(until=timezone.now() - timedelta(seconds=1))
    assert expiry.end_requests() == 2
    states = {one.pk: one.state for one in AccessRequest.objects.all()}
    assert states == {old.pk: "expired", late.pk: "expired", fresh.pk: "pending"}
    assert AuditEntry.objects.filter(verb="request.expire", actor="system").count() == 2


def test_owners_hear_of_a_strangers_request_from_the_duty_once(project: Project, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    ask(zoe, role="viewer", slug="nothing-here")
    assert made.reminded_at is None
    assert [expiry.tell_owners(), expiry.tell_owners()] == [1, 0]


# --- what runs ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def queued(project: Project, dev: User, test_a: Machine) -> Deployment:
    never_ready = ["python3", "-c", "import time; time.sleep(600)"]  # what serves starts a proxy, on everybody's ports
    actions.save_spec(actor=SYSTEM, project=project, spec={"command": never_ready})
    actions.grant_machine(actor=SYSTEM, project=project, machine=test_a, until=inside(days=1))
    world.version(project)
    return deployment_actions.start_deployment(actor=dev, project=project, machine=test_a, action="deploy")


def test_an_expired_machine_stops_new_deployments(
    project: Project, dev: User, test_a: Machine, queued: Deployment
) -> None:
    MachineGrant.objects.update(until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Denied) as refused:
        deployment_actions.start_deployment(actor=dev, project=project, machine=test_a, action="restart")
    assert refused.value.rule in {"machine_grant", "operate_project"}
    with pytest.raises(Denied) as refused:
        deployment_actions.require_change(dev, project, test_a, "deploy")
    assert refused.value.request_url == "/requests/new/?project=shop&kind=machine&machine=test-a"


def lose_machine(deployment: Deployment) -> None:
    MachineGrant.objects.update(until=timezone.now() - timedelta(seconds=1))


def lose_role(deployment: Deployment) -> None:
    assert deployment.started_by is not None
    actions.set_member(actor=SYSTEM, project=deployment.service.project, user=deployment.started_by, role="viewer")


def lose_sight(deployment: Deployment) -> None:
    assert deployment.started_by is not None
    actions.set_member(actor=SYSTEM, project=deployment.service.project, user=deployment.started_by, role=None)


def lose_account(deployment: Deployment) -> None:
    User.objects.filter(pk=deployment.started_by_id).update(is_active=False)


@pytest.mark.parametrize("lose", [lose_machine, lose_role, lose_sight, lose_account])
def test_what_was_lost_between_click_and_execution_is_not_done(lose: Any, queued: Deployment) -> None:
    lose(queued)
    engines.drive(DeploymentEngine(), queued.pk)
    queued.refresh_from_db()
    assert queued.state == "failed"
    assert queued.error["code"] == "grant_gone"
    words = str(Sentence.from_json(queued.error["sentence"]))
    assert "no grant for the machine" in words or "may not make this change any more" in words
    assert queued.service.generation == 0, "nothing was touched"


def test_a_deployment_under_way_goes_on_when_the_grant_ends(
    queued: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "START_S", 120.0)  # of a process's supervisor, on a busy machine
    engine = DeploymentEngine()
    held = runs.claim(Deployment, queued.pk)
    assert held is not None
    engine.advance(held)
    assert held.state == "running"
    lose_machine(queued)
    lose_role(queued)
    expiry.look_after_grants()
    held.refresh_from_db()
    assert engine._followed.is_late(held) is False
    try:
        engine.advance(held)  # asks the runtime, not the policy
        held.refresh_from_db()
        assert held.state in ("running", "succeeded")
        assert (held.error or {}).get("code") != "grant_gone"
    finally:
        Deployment.objects.filter(pk=held.pk).update(cancel_requested_at=timezone.now(), lease_until=None)
        runtime_of(held.service.machine.cluster).remove(wanted.ref_of(held.service), wait_s=10)


def test_what_the_portal_started_itself_passes(project: Project, test_a: Machine) -> None:
    actions.save_spec(actor=SYSTEM, project=project, spec={"command": ["python3", "server.py"]})
    actions.grant_machine(actor=SYSTEM, project=project, machine=test_a)
    world.version(project)
    made = deployment_actions.start_deployment(actor=SYSTEM, project=project, machine=test_a, action="deploy")
    beginning.check(made)


def test_nothing_is_renewed_by_a_request_alone(project: Project, zoe: User) -> None:
    grant = given(project, zoe, days=2)
    requests.renew(actor=User.objects.get(pk=zoe.pk), grant=grant)
    shift(grant, days=2)
    assert expiry.end_grants() == 1
    assert not grants.held_by(project, zoe).exists()
