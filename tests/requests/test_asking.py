"""Asking: who may, what is stored, what a stranger learns (nothing), taking it back, asking anew for what ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from clusters.models import Machine
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Conflict, Denied, Invalid, NotFound
from permissions import policy
from permissions.models import User
from projects import actions, deciders, decisions, requests
from projects.models import AccessRequest, Project, RoleGrant
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db
LATER = timedelta(days=30)


def test_a_request_says_who_what_why_and_until_when_and_is_audited(dev: User, ask: Ask, prod: Machine) -> None:
    until = timezone.now() + LATER
    made = ask(dev, machine=prod, reason="  Black   Friday ", until=until)
    made.refresh_from_db()
    assert (made.kind, made.slug, made.requester, made.machine, made.reason) == (
        "machine", "shop", dev, prod, "Black Friday",
    )  # fmt: skip
    assert made.until == until
    assert made.state == "pending"
    assert made.asked_sha256 == requests.fingerprint(made), "the hash is of what the row says, read again"
    entry = AuditEntry.objects.get(verb="request.ask")
    assert (entry.actor, entry.after["environment"]) == ("dev", "production")


def test_a_machine_is_asked_for_by_developers_and_by_nobody_who_sees_nothing(
    project: Project, ask: Ask, prod: Machine, zoe: User
) -> None:
    viewer = world.member(project, "viewer")
    with pytest.raises(Denied) as refused:
        ask(viewer, machine=prod)
    assert refused.value.request_url == "/requests/new/?project=shop&kind=role&role=developer"
    with pytest.raises(NotFound):
        ask(zoe, machine=prod)
    with pytest.raises(NotFound):
        ask(zoe, machine=prod, slug="no-such-project")
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 301}, "reason"),
        ({"role": "ops"}, "role"),
        ({"role": ""}, "role"),
        ({"until": timezone.now() - timedelta(seconds=1)}, "until"),
        ({"until": timezone.now() + timedelta(days=3660)}, "until"),
        ({"slug": "../etc"}, "project"),
        ({"slug": "A" * 60}, "project"),
        ({"emergency": True, "until": timezone.now() + timedelta(days=1)}, "until"),
    ],
)
def test_a_bad_wish_is_one_sentence_at_its_field_and_no_row(
    wish: dict[str, Any], field: str, zoe: User, ask: Ask
) -> None:
    with pytest.raises(Invalid) as refused:
        ask(zoe, **{"role": "viewer", **wish})
    assert field in refused.value.fields
    assert not AccessRequest.objects.exists()


def test_an_inactive_person_and_the_portal_itself_ask_for_nothing(ask: Ask) -> None:
    for actor in (world.person(is_active=False), SYSTEM):
        with pytest.raises(Denied):
            ask(actor, role="viewer")


def test_what_is_held_already_is_not_asked_for(project: Project, dev: User, ask: Ask, test_a: Machine) -> None:
    for role in ("viewer", "developer"):
        with pytest.raises(Conflict) as refused:
            ask(dev, role=role)
        assert refused.value.code == "already_granted"
    assert ask(dev, role="maintainer").state == "pending"
    actions.grant_machine(actor=SYSTEM, project=project, machine=test_a)
    with pytest.raises(Conflict):
        ask(dev, machine=test_a)
    assert ask(dev, machine=test_a, emergency=True).emergency, "an emergency is more than the machine"


def test_longer_than_what_is_held_can_be_asked_for(project: Project, ask: Ask) -> None:
    eve = world.person("eve")
    ends = timezone.now() + timedelta(days=5)
    actions.set_member(actor=SYSTEM, project=project, user=eve, role="developer", until=ends)
    with pytest.raises(Conflict):
        ask(eve, role="developer", until=ends - timedelta(days=1))
    assert ask(eve, role="developer", until=ends + LATER).state == "pending"


def test_the_same_is_asked_once_at_a_time(dev: User, project: Project, ask: Ask, prod: Machine, zoe: User) -> None:
    ask(zoe, role="viewer")
    ask(dev, machine=prod)
    for again in (lambda: ask(zoe, role="viewer"), lambda: ask(dev, machine=prod)):
        with pytest.raises(Conflict) as refused:
            again()
        assert refused.value.code == "already_asked"
    other = world.member(project, "developer")
    with pytest.raises(Conflict):
        ask(other, machine=prod)  # the project asks once, whoever does
    assert ask(zoe, role="developer").state == "pending"


def test_nobody_buries_the_portal_in_requests(zoe: User, ask: Ask) -> None:
    for number in range(requests.MAX_PENDING):
        ask(zoe, role="viewer", slug=f"guess-{number}")
    with pytest.raises(Conflict, match="withdraw"):
        ask(zoe, role="viewer", slug="one-more")


def test_an_archived_project_is_given_nothing_new(project: Project, dev: User, ask: Ask, prod: Machine) -> None:
    actions.update_project(actor=SYSTEM, project=project, archived=True)
    for wish in ({"role": "maintainer"}, {"machine": prod}):
        with pytest.raises(Conflict, match="archived"):
            ask(dev, **wish)


# --- what a stranger learns ----------------------------------------------------------------------------------------
def told(request: AccessRequest) -> dict[str, Any]:
    """All that its requester can read of a request."""
    request.refresh_from_db()
    return {
        name: getattr(request, name)
        for name in ("kind", "role", "state", "reason", "emergency", "note", "decided_by_name", "reviewed_by_name")
    }


def test_a_stranger_is_answered_the_same_whether_there_is_such_a_project_or_not(
    project: Project, zoe: User, ask: Ask
) -> None:
    there, nowhere = ask(zoe, role="viewer"), ask(zoe, role="viewer", slug="nothing-here")
    assert told(there) == told(nowhere)
    assert there.project == project
    assert nowhere.project is None
    facts = {**requests.facts(there), "project": "nothing-here"}
    assert facts == requests.facts(nowhere), "the hash they are shown is made of what they typed"
    assert set(deciders.visible(zoe)) == {there, nowhere}
    for one in (there, nowhere):
        with pytest.raises(Conflict) as refused:
            ask(zoe, role="viewer", slug=one.slug)
        assert refused.value.code == "already_asked"
    for one in (there, nowhere):
        requests.withdraw(actor=zoe, request=one)
    assert told(there) == told(nowhere)


def test_an_archived_project_is_no_different_for_a_stranger(project: Project, zoe: User, ask: Ask) -> None:
    actions.update_project(actor=SYSTEM, project=project, archived=True)
    assert told(ask(zoe, role="viewer")) == told(ask(zoe, role="viewer", slug="nothing-here"))


def test_both_ways_are_the_same_statements(project: Project, zoe: User, ask: Ask) -> None:
    """Timing tells nothing either: the owners are told later, by a duty."""
    asked: dict[str, list[str]] = {}
    for slug in ("nothing-here", "shop"):
        seen = asked.setdefault(slug, [])

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any, seen: list[str] = seen) -> Any:
            seen.append(sql.partition("SAVEPOINT")[0])
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            ask(User.objects.get(pk=zoe.pk), role="viewer", slug=slug)
    assert asked["shop"] == asked["nothing-here"]


def test_nobody_is_asked_to_decide_what_reached_no_project(zoe: User, ask: Ask, olga: User, project: Project) -> None:
    nowhere = ask(zoe, role="viewer", slug="nothing-here")
    assert not deciders.waiting_for(olga).exists()
    assert not deciders.visible(olga).exists()
    assert not deciders.may_decide(olga, nowhere)
    with pytest.raises(Denied):
        decisions.approve(actor=olga, request=nowhere, sha256=nowhere.asked_sha256)
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessRequest.objects.filter(pk=nowhere.pk).update(
            state="approved", decided_by_name="olga", decided_sha256=nowhere.asked_sha256
        )


# --- who sees it ---------------------------------------------------------------------------------------------------
def test_a_role_request_is_seen_by_its_requester_owners_and_ops_alone(
    project: Project, ann: User, dev: User, zoe: User, olga: User, ask: Ask
) -> None:
    made = ask(zoe, role="viewer")
    for who, sees in ((zoe, True), (ann, True), (olga, True), (dev, False), (world.person(), False)):
        assert deciders.visible(who).filter(pk=made.pk).exists() is sees, who
    with pytest.raises(NotFound):
        deciders.fetch(dev, made.pk)


def test_a_machine_request_is_seen_by_everybody_who_sees_the_project(
    project: Project, dev: User, zoe: User, ask: Ask, prod: Machine
) -> None:
    made = ask(dev, machine=prod)
    assert deciders.fetch(world.member(project, "viewer"), made.pk) == made
    with pytest.raises(NotFound):
        deciders.fetch(zoe, made.pk)


def test_who_decides_depends_on_what_and_where(
    project: Project, ann: User, dev: User, olga: User, ask: Ask, test_a: Machine, prod: Machine
) -> None:
    staging = world.machine("stage", "staging")
    made = {
        "role": ask(dev, role="maintainer"),
        "test": ask(dev, machine=test_a),
        "staging": ask(dev, machine=staging),
        "production": ask(dev, machine=prod),
        "urgent": ask(dev, machine=test_a, emergency=True),
    }
    owners = {"role", "test"}
    for name, one in made.items():
        assert deciders.may_decide(ann, one) is (name in owners), name
        assert deciders.may_decide(olga, one), name
        assert not deciders.may_decide(dev, one), name
        assert not deciders.may_decide(SYSTEM, one), name
    assert {made[name].pk for name in owners} == set(deciders.waiting_for(ann).values_list("pk", flat=True))
    assert deciders.waiting_for(olga).count() == len(made)
    assert not deciders.waiting_for(dev).exists()


def test_those_who_can_decide_are_told_and_never_who_asked(
    project: Project, ann: User, olga: User, omar: User, dev: User, ask: Ask, test_a: Machine, prod: Machine
) -> None:
    assert deciders.people(ask(dev, machine=test_a)) == [ann]
    assert deciders.people(ask(dev, machine=prod)) == [olga, omar]
    assert deciders.people(ask(olga, machine=test_a, emergency=True)) == [omar]
    eve = world.machine("test-b")
    assert deciders.people(ask(ann, machine=eve)) == [olga, omar], "its only owner asks: ops decides"


# --- taking back, asking anew --------------------------------------------------------------------------------------
def test_only_who_asked_withdraws_and_only_what_waits(zoe: User, ann: User, olga: User, ask: Ask) -> None:
    made = ask(zoe, role="viewer")
    for other in (ann, olga):
        with pytest.raises(Denied):
            requests.withdraw(actor=other, request=made)
    requests.withdraw(actor=zoe, request=made)
    made.refresh_from_db()
    assert made.state == "withdrawn"
    assert AuditEntry.objects.filter(verb="request.withdraw", actor="zoe").count() == 1
    with pytest.raises(Conflict) as refused:
        requests.withdraw(actor=zoe, request=made)
    assert refused.value.code == "already_decided"
    assert ask(zoe, role="viewer").pk != made.pk, "and may ask again"


def test_renewing_asks_for_the_same_for_as_long_as_it_was_given(
    project: Project, zoe: User, ann: User, ask: Ask
) -> None:
    made = ask(zoe, role="developer", until=timezone.now() + timedelta(days=10), reason="the migration")
    decisions.approve(actor=ann, request=made, sha256=made.asked_sha256)
    grant = RoleGrant.objects.get(user=zoe)
    RoleGrant.objects.filter(pk=grant.pk).update(
        created_at=timezone.now() - timedelta(days=8), until=timezone.now() + timedelta(days=2)
    )
    grant.refresh_from_db()
    again = requests.renew(actor=User.objects.get(pk=zoe.pk), grant=grant)
    assert (again.role, again.reason, again.state) == ("developer", "the migration", "pending")
    assert again.until is not None
    assert abs(again.until - timezone.now() - timedelta(days=10)) < timedelta(minutes=1)
    decisions.approve(actor=ann, request=again, sha256=again.asked_sha256)
    grant.refresh_from_db()
    assert (grant.until, grant.request, grant.warned_days) == (again.until, again, None)


def test_one_renews_ones_own_and_only_what_ends(
    project: Project, ann: User, dev: User, zoe: User, test_a: Machine
) -> None:
    with pytest.raises(Conflict, match="no end"):
        requests.renew(actor=dev, grant=RoleGrant.objects.get(user=dev))
    ends = timezone.now() + timedelta(days=2)
    actions.set_member(actor=SYSTEM, project=project, user=dev, role="developer", until=ends)
    with pytest.raises(NotFound):
        requests.renew(actor=ann, grant=RoleGrant.objects.get(user=dev))
    grant = actions.grant_machine(actor=SYSTEM, project=project, machine=test_a, until=ends)
    with pytest.raises(NotFound):
        requests.renew(actor=zoe, grant=grant)
    made = requests.renew(actor=User.objects.get(pk=dev.pk), grant=grant)
    assert (made.kind, made.machine) == ("machine", test_a)


def test_every_refusal_that_a_request_could_cure_says_where_to_ask(project: Project, dev: User) -> None:
    """The address in a refusal is a real one, filled in."""
    from django.urls import resolve, reverse

    assert reverse("request-new") == policy.REQUEST_PAGE
    with pytest.raises(AppError) as refused:
        policy.require(dev, "deploy_project", project)
    assert isinstance(refused.value, Denied)
    assert refused.value.request_url == "/requests/new/?project=shop&kind=role&role=maintainer"
    assert resolve(refused.value.request_url.partition("?")[0]).url_name == "request-new"
    assert policy.request_url(project, machine="a&b=c") == "/requests/new/?project=shop&kind=machine&machine=a%26b%3Dc"
