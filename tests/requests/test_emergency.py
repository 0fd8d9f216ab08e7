"""Break-glass: for hours, by two people of ops, before or after; loud while it is open and until it is reviewed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from clusters.models import Machine
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from permissions import policy
from permissions.models import User
from projects import actions, deciders, decisions, expiry, grants
from projects.models import AccessRequest, MachineGrant, Project, RoleGrant
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db


def sign(actor: Any, request: AccessRequest, *, alone: bool = False, **more: Any) -> AccessRequest:
    return decisions.approve(actor=actor, request=request, **{"sha256": request.asked_sha256, "alone": alone, **more})


@pytest.fixture
def urgent(dev: User, ask: Ask, prod: Machine) -> AccessRequest:
    return ask(dev, machine=prod, emergency=True, reason="the shop is down")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_one_signature_grants_nothing_and_the_second_does(
    project: Project, urgent: AccessRequest, olga: User, omar: User, prod: Machine
) -> None:
    signed = sign(olga, urgent, note="go")
    assert (signed.state, signed.decided_by, signed.reviewed_by) == ("pending", olga, None)
    assert not grants.has_machine(project, prod)
    opened = sign(omar, urgent, note="go too")
    assert (opened.state, opened.decided_by, opened.reviewed_by) == ("approved", olga, omar)
    assert (opened.note, opened.review_note) == ("go", "go too")
    assert grants.has_machine(project, prod)
    assert not deciders.reviews_due(world.ops("oona")).exists(), "two have looked at it"
    assert list(AuditEntry.objects.filter(verb__startswith="emergency.").values_list("verb", "actor").order_by("id")) == [
        ("emergency.ask", "dev"), ("emergency.sign", "olga"), ("emergency.open", "omar"),
    ]  # fmt: skip


def test_nobody_signs_twice_and_not_for_themselves(urgent: AccessRequest, olga: User, ask: Ask, prod: Machine) -> None:
    sign(olga, urgent)
    with pytest.raises(Conflict) as refused:
        sign(olga, urgent)
    assert refused.value.code == "already_signed"
    own = ask(olga, role="owner", emergency=True)
    for alone in (False, True):
        with pytest.raises(Denied):
            sign(olga, own, alone=alone)


def test_owners_do_not_open_emergencies(ann: User, urgent: AccessRequest) -> None:
    with pytest.raises(Denied):
        sign(ann, urgent)


def test_a_signature_of_somebody_who_left_ops_does_not_count(
    project: Project, urgent: AccessRequest, olga: User, omar: User, prod: Machine
) -> None:
    sign(olga, urgent)
    olga.groups.clear()
    assert sign(omar, urgent).state == "pending", "now his is the first"
    assert not grants.has_machine(project, prod)
    assert sign(world.ops("oona"), urgent).state == "approved"


def test_a_signed_one_can_still_be_rejected_or_withdrawn(urgent: AccessRequest, olga: User, omar: User) -> None:
    sign(olga, urgent)
    done = decisions.reject(actor=omar, request=urgent, sha256=urgent.asked_sha256, note="no need")
    assert (done.state, done.decided_by) == ("rejected", omar)


def test_alone_it_is_granted_at_once_and_must_be_reviewed_by_a_third(
    project: Project, urgent: AccessRequest, dev: User, olga: User, omar: User, ann: User, prod: Machine
) -> None:
    opened = sign(olga, urgent, alone=True)
    assert (opened.state, opened.reviewed_at) == ("approved", None)
    assert grants.has_machine(project, prod)
    assert AuditEntry.objects.get(verb="emergency.open").after["review"] == "due"
    for nobody in (olga, ann, dev, world.person()):
        assert not deciders.reviews_due(nobody).exists()
        with pytest.raises(Denied):
            decisions.review(actor=nobody, request=opened, note="fine")
    assert deciders.reviews_due(omar).get() == opened
    with pytest.raises(Invalid):
        decisions.review(actor=omar, request=opened, note=" ")
    done = decisions.review(actor=omar, request=opened, note="it was needed")
    assert (done.reviewed_by, done.review_note) == (omar, "it was needed")
    assert AuditEntry.objects.get(verb="emergency.review").actor == "omar"
    with pytest.raises(Conflict):
        decisions.review(actor=world.ops("oona"), request=done, note="again")


def test_the_first_signer_may_stop_waiting_for_the_second(urgent: AccessRequest, olga: User, omar: User) -> None:
    sign(olga, urgent)
    assert sign(olga, urgent, alone=True).state == "approved"
    assert deciders.reviews_due(omar).exists()


def test_it_ends_after_hours_whatever_was_asked(
    project: Project, ask: Ask, zoe: User, olga: User, settings: Any
) -> None:
    settings.EMERGENCY_HOURS = 4
    made = ask(zoe, role="maintainer", emergency=True)
    assert made.until is not None
    sign(olga, made, alone=True)
    grant = RoleGrant.objects.get(user=zoe)
    assert grant.emergency
    assert grant.until is not None
    assert grant.until <= timezone.now() + timedelta(hours=4)
    zoe = User.objects.get(pk=zoe.pk)
    assert policy.may(zoe, "deploy_project", project)
    RoleGrant.objects.filter(pk=grant.pk).update(until=timezone.now() - timedelta(seconds=1))
    assert expiry.end_grants() == 1
    assert not policy.may(User.objects.get(pk=zoe.pk), "view_project", project)


def test_it_stands_beside_what_is_held_for_good(
    project: Project, ask: Ask, dev: User, olga: User, prod: Machine
) -> None:
    actions.grant_machine(actor=SYSTEM, project=project, machine=prod)
    sign(olga, ask(dev, machine=prod, emergency=True), alone=True)
    assert MachineGrant.objects.filter(project=project, machine=prod).count() == 2
    MachineGrant.objects.filter(emergency=True).update(until=timezone.now() - timedelta(seconds=1))
    expiry.end_grants()
    assert grants.has_machine(project, prod)


def test_it_counts_for_its_person_on_its_machine_while_it_lives(
    project: Project, ask: Ask, dev: User, zoe: User, olga: User, prod: Machine, test_a: Machine
) -> None:
    other = world.member(project, "owner")
    assert not grants.emergency_alive(project, dev)
    sign(olga, ask(dev, machine=prod, emergency=True), alone=True)
    assert grants.emergency_alive(project, dev)
    assert grants.emergency_alive(project, dev, prod)
    assert not grants.emergency_alive(project, dev, test_a)
    sign(olga, ask(zoe, role="maintainer", emergency=True), alone=True)
    assert grants.emergency_alive(project, zoe, test_a), "a role reaches every machine of the project"
    for nobody in (other, olga, SYSTEM, None):
        assert not grants.emergency_alive(project, nobody)
    assert not grants.emergency_alive(world.project(), dev)
    for model in (MachineGrant, RoleGrant):
        model._default_manager.filter(emergency=True).update(until=timezone.now() - timedelta(seconds=1))
    assert not grants.emergency_alive(project, dev)
    assert not grants.emergency_alive(project, zoe)


def test_taking_somebody_off_the_project_ends_their_emergency(
    project: Project, ask: Ask, zoe: User, olga: User
) -> None:
    sign(olga, ask(zoe, role="maintainer", emergency=True), alone=True)
    actions.set_member(actor=SYSTEM, project=project, user=zoe, role=None)
    assert not policy.may(User.objects.get(pk=zoe.pk), "view_project", project)


def test_an_overdue_review_is_told_again_every_day_until_it_is_done(
    urgent: AccessRequest, olga: User, omar: User
) -> None:
    opened = sign(olga, urgent, alone=True)
    assert expiry.remind_of_reviews() == 0, "just told"
    for day in (1, 2):
        AccessRequest.objects.filter(pk=opened.pk).update(reminded_at=timezone.now() - timedelta(hours=25))
        assert expiry.remind_of_reviews() == 1, day
        assert expiry.remind_of_reviews() == 0, day
    decisions.review(actor=omar, request=opened, note="fine")
    AccessRequest.objects.filter(pk=opened.pk).update(reminded_at=timezone.now() - timedelta(hours=25))
    assert expiry.remind_of_reviews() == 0


def test_it_is_loud_on_every_page_of_the_project_and_at_home(
    project: Project, urgent: AccessRequest, dev: User, olga: User, omar: User
) -> None:
    pages = [f"/projects/{project.slug}/", f"/projects/{project.slug}/settings/", f"/projects/{project.slug}/builds/"]
    for page in pages:
        assert "data-emergency" not in browser(dev).get(page).content.decode()
    sign(olga, urgent, alone=True)
    for page in pages:
        said = browser(dev).get(page).content.decode()
        assert "data-emergency" in said, page
        assert "the shop is down" in said
    assert "waits for your review" in browser(omar).get("/").content.decode()
    assert "waits for your review" not in browser(olga).get("/").content.decode(), "she opened it"
    assert "opened an emergency" in browser(omar).get("/requests/?tab=waiting").content.decode()


def test_pages_let_ops_sign_alone_and_review(urgent: AccessRequest, olga: User, omar: User) -> None:
    address = f"/requests/{urgent.pk}/"
    said = browser(olga).get(address).content.decode()
    assert 'value="alone"' in said
    assert "End earlier" not in said
    answer = browser(olga).post(address, {"do": "alone", "sha256": urgent.asked_sha256})
    assert answer.status_code == 302
    assert 'value="review"' not in browser(olga).get(address).content.decode()
    assert 'value="review"' in browser(omar).get(address).content.decode()
    assert browser(omar).post(address, {"do": "review", "note": "needed"}).status_code == 302
    urgent.refresh_from_db()
    assert urgent.reviewed_by == omar
