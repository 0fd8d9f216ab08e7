"""Deciding: once, never one's own, only what was asked; the grant follows in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from clusters.models import Machine
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid, NotFound
from permissions import policy
from permissions.models import User
from projects import actions, decisions, expiry, grants, requests
from projects.models import AccessRequest, MachineGrant, Project, RoleGrant
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db


def approve(actor: Any, request: AccessRequest, **more: Any) -> AccessRequest:
    return decisions.approve(actor=actor, request=request, **{"sha256": request.asked_sha256, **more})


def reject(actor: Any, request: AccessRequest, note: str = "not now") -> AccessRequest:
    return decisions.reject(actor=actor, request=request, sha256=request.asked_sha256, note=note)


def again(person: User) -> User:
    return User.objects.get(pk=person.pk)


def test_an_approved_role_is_held_and_points_to_its_request(project: Project, ann: User, zoe: User, ask: Ask) -> None:
    until = timezone.now() + timedelta(days=7)
    made = ask(zoe, role="developer", until=until)
    assert not policy.may(again(zoe), "view_project", project)
    decided = approve(ann, made, note="welcome")
    assert (decided.state, decided.decided_by, decided.note) == ("approved", ann, "welcome")
    assert decided.decided_sha256 == made.asked_sha256
    assert policy.permissions_on(again(zoe), project) == {"view_project", "build_project", "deploy_test_project"}
    grant = RoleGrant.objects.get(user=zoe)
    assert (grant.request, grant.until, grant.granted_by, grant.emergency) == (decided, until, "ann", False)
    entry = AuditEntry.objects.get(verb="request.approve")
    assert entry.before == {"state": "pending", "holds": []}
    assert (entry.after["role"], entry.after["state"]) == ("developer", "approved")


def test_an_approved_machine_may_be_used(project: Project, dev: User, olga: User, ask: Ask, prod: Machine) -> None:
    made = ask(dev, machine=prod)
    assert not grants.has_machine(project, prod)
    approve(olga, made)
    assert grants.has_machine(project, prod)
    assert MachineGrant.objects.get().request == made


def test_the_decider_may_shorten_but_not_lengthen(project: Project, ann: User, zoe: User, ask: Ask) -> None:
    asked = timezone.now() + timedelta(days=7)
    made = ask(zoe, role="viewer", until=asked)
    for wrong in (asked + timedelta(seconds=1), timezone.now() - timedelta(days=1)):
        with pytest.raises(Invalid) as refused:
            approve(ann, made, until=wrong)
        assert "until" in refused.value.fields
    sooner = timezone.now() + timedelta(days=2)
    approve(ann, made, until=sooner)
    assert RoleGrant.objects.get(user=zoe).until == sooner


def test_a_stronger_role_for_a_while_leaves_the_lasting_one(project: Project, ann: User, dev: User, ask: Ask) -> None:
    approve(ann, ask(dev, role="maintainer", until=timezone.now() + timedelta(days=1)))
    assert policy.may(again(dev), "deploy_project", project)
    RoleGrant.objects.filter(user=dev, role="maintainer").update(until=timezone.now() - timedelta(seconds=1))
    expiry.look_after_grants()
    assert policy.permissions_on(again(dev), project) == {"view_project", "build_project", "deploy_test_project"}


def test_a_rejection_says_why_and_gives_nothing(project: Project, ann: User, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    with pytest.raises(Invalid) as refused:
        reject(ann, made, note="  ")
    assert "note" in refused.value.fields
    with pytest.raises(Invalid):
        reject(ann, made, note="x" * 301)
    decided = reject(ann, made, "ask your team first")
    assert (decided.state, decided.note, decided.decided_by_name) == ("rejected", "ask your team first", "ann")
    assert not RoleGrant.objects.filter(user=zoe).exists()
    assert AuditEntry.objects.filter(verb="request.reject", actor="ann").count() == 1


# --- nobody their own ----------------------------------------------------------------------------------------------
def test_nobody_decides_their_own_superusers_included(project: Project, olga: User, ask: Ask, prod: Machine) -> None:
    root = User.objects.create_superuser("root", password=None)
    for person, machine in ((olga, prod), (root, world.machine("prod-b", "production"))):
        made = ask(person, machine=machine)
        for decide in (approve, reject):
            with pytest.raises(Denied) as refused:
                decide(person, made)
            assert refused.value.rule == "not_your_own"
            assert person.username not in refused.value.granted_by
        made.refresh_from_db()
        assert made.state == "pending"


def raw(sql: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_the_database_refuses_it_too_whoever_writes(olga: User, omar: User, ask: Ask, prod: Machine) -> None:
    made = ask(olga, machine=prod)
    table = "UPDATE projects_accessrequest SET"
    with pytest.raises(IntegrityError):
        raw(f"{table} decided_by_id = %s WHERE id = %s", olga.pk, made.pk)
    with pytest.raises(IntegrityError):
        raw(f"{table} reviewed_by_id = %s WHERE id = %s", olga.pk, made.pk)
    with pytest.raises(IntegrityError):  # the second person is another than the first
        raw(f"{table} decided_by_id = %s, reviewed_by_id = %s WHERE id = %s", omar.pk, omar.pk, made.pk)
    with pytest.raises(IntegrityError):  # a decision without a name and without a hash
        raw(f"{table} state = 'approved' WHERE id = %s", made.pk)
    with pytest.raises(IntegrityError):  # a decision about something else
        raw(f"{table} decided_sha256 = %s WHERE id = %s", "0" * 64, made.pk)
    raw(f"{table} decided_by_id = %s WHERE id = %s", omar.pk, made.pk)
    with pytest.raises(IntegrityError):  # nor by becoming the requester afterwards
        raw(f"{table} requester_id = %s WHERE id = %s", omar.pk, made.pk)


def test_who_may_not_decide_is_told_who_may(project: Project, ann: User, dev: User, ask: Ask, prod: Machine) -> None:
    made = ask(dev, machine=prod)
    with pytest.raises(Denied) as refused:
        approve(ann, made)  # an owner does not decide about production
    assert refused.value.rule == "decider"
    gone = world.ops("gone")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    for nobody in (SYSTEM, again(gone), world.person()):
        with pytest.raises(Denied):
            approve(nobody, made)


# --- once, and only what was asked -----------------------------------------------------------------------------------
def test_what_is_decided_stays_decided(project: Project, ann: User, zoe: User, olga: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    approve(ann, made)
    for decide in (approve, reject):
        with pytest.raises(Conflict) as refused:
            decide(olga, made)
        assert refused.value.code == "already_decided"
    with pytest.raises(Conflict):
        requests.withdraw(actor=zoe, request=made)
    assert AuditEntry.objects.filter(verb__in=["request.approve", "request.reject"]).count() == 1


def test_what_was_withdrawn_is_not_approved(ann: User, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    requests.withdraw(actor=zoe, request=made)
    with pytest.raises(Conflict) as refused:
        approve(ann, made)
    assert refused.value.code == "already_decided"
    assert not RoleGrant.objects.filter(user=zoe).exists()


@pytest.mark.parametrize("field", ["expires_at", "until"])
def test_what_has_run_out_is_not_approved(field: str, ann: User, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer", until=timezone.now() + timedelta(days=1))
    past = timezone.now() - timedelta(seconds=1)
    AccessRequest.objects.filter(pk=made.pk).update(**{field: past})
    made.refresh_from_db()
    if field == "until":
        AccessRequest.objects.filter(pk=made.pk).update(asked_sha256=requests.fingerprint(made))
        made.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        approve(ann, made)
    assert refused.value.code == "request_expired"
    made.refresh_from_db()
    assert (made.state, made.decided_by) == ("pending", None)


CHANGES: list[Callable[[AccessRequest], Any]] = [
    lambda one: AccessRequest.objects.filter(pk=one.pk).update(role="owner"),
    lambda one: AccessRequest.objects.filter(pk=one.pk).update(until=None),
    lambda one: AccessRequest.objects.filter(pk=one.pk).update(reason="something else"),
    lambda one: AccessRequest.objects.filter(pk=one.pk).update(emergency=True),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_after_it_was_asked_is_asked_anew(change: Any, olga: User, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer", until=timezone.now() + timedelta(days=1))
    change(made)
    for decide in (approve, reject):
        with pytest.raises(Conflict) as refused:
            decide(olga, made)
        assert refused.value.code == "request_changed"
    assert not RoleGrant.objects.filter(user=zoe).exists()


def test_a_machine_that_became_production_is_another_machine(
    project: Project, ann: User, dev: User, olga: User, ask: Ask, test_a: Machine
) -> None:
    made = ask(dev, machine=test_a)
    Machine.objects.filter(pk=test_a.pk).update(environment="production")
    with pytest.raises(Denied):
        approve(ann, made)  # no longer an owner's to decide
    with pytest.raises(Conflict) as refused:
        approve(olga, made)
    assert refused.value.code == "request_changed"


def test_a_hash_of_something_else_decides_nothing(ann: User, zoe: User, ask: Ask) -> None:
    made, other = ask(zoe, role="viewer"), ask(zoe, role="owner")
    for sha256 in ("", "0" * 64, other.asked_sha256):
        with pytest.raises(Conflict) as refused:
            approve(ann, made, sha256=sha256)
        assert refused.value.code == "request_changed"


# --- when somebody or something has gone -----------------------------------------------------------------------------
def test_who_left_is_granted_nothing_and_their_requests_end(
    project: Project, ann: User, zoe: User, ask: Ask, olga: User
) -> None:
    inactive, deleted = ask(zoe, role="viewer"), ask(world.person("yan"), role="viewer")
    User.objects.filter(pk=zoe.pk).update(is_active=False)
    User.objects.get(username="yan").delete()
    for one in (inactive, deleted):
        with pytest.raises(Conflict) as refused:
            approve(ann, one)
        assert refused.value.code == "requester_left"
        one.refresh_from_db()
        assert (one.state, one.decided_by) == ("pending", None), "nothing of the decision stays"
    expiry.look_after_grants()
    for one in (inactive, deleted):
        one.refresh_from_db()
        assert one.state == "expired"
    assert deleted.requester_name == "yan", "who it was stays written"


def test_a_decider_who_is_deleted_leaves_their_name(ann: User, zoe: User, olga: User, ask: Ask) -> None:
    made = approve(olga, ask(zoe, role="viewer"))
    olga.delete()
    made.refresh_from_db()
    assert (made.decided_by, made.decided_by_name, made.state) == (None, "olga", "approved")


def test_a_requester_who_lost_their_role_gets_no_machine(
    project: Project, dev: User, olga: User, ask: Ask, prod: Machine
) -> None:
    made = ask(dev, machine=prod)
    actions.set_member(actor=SYSTEM, project=project, user=dev, role="viewer")
    with pytest.raises(Conflict):
        approve(olga, made)
    assert not grants.has_machine(project, prod)


def test_a_machine_or_project_that_is_gone_takes_its_requests_along(
    project: Project, dev: User, olga: User, zoe: User, ask: Ask, prod: Machine
) -> None:
    of_machine, of_project = ask(dev, machine=prod), ask(zoe, role="viewer")
    prod.delete()
    project.delete()
    for one in (of_machine, of_project):
        with pytest.raises(NotFound):
            approve(olga, one)


def test_an_archived_project_is_granted_nothing(project: Project, ann: User, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    actions.update_project(actor=SYSTEM, project=project, archived=True)
    with pytest.raises(Conflict, match="archived"):
        approve(ann, made)
    actions.update_project(actor=SYSTEM, project=project, archived=False)
    assert approve(ann, made).state == "approved"


def test_what_was_granted_meanwhile_is_not_granted_again(project: Project, ann: User, zoe: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    actions.set_member(actor=SYSTEM, project=project, user=zoe, role="maintainer")
    with pytest.raises(Conflict) as refused:
        approve(ann, made)
    assert refused.value.code == "already_granted"
    assert policy.may(again(zoe), "deploy_project", project), "and nobody is made weaker by it"


def test_an_owner_whose_role_ran_out_decides_nothing(project: Project, zoe: User, ask: Ask) -> None:
    eve = world.member(project, "owner", "eve")
    RoleGrant.objects.filter(user=eve).update(until=timezone.now() - timedelta(seconds=1))
    grants.sync(project, eve)
    with pytest.raises(Denied):
        approve(again(eve), ask(zoe, role="viewer"))
