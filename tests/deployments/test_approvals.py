"""Deployments that wait for people: who counts, what they decide about, and that nothing starts without them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from clusters.actions import update_machine
from clusters.models import Machine
from deployments import actions, approvals
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, DeploymentApproval, Service
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Conflict, Denied, NotFound
from fangduoduo_release.common.models import Event
from permissions.models import User
from permissions.roles import Role
from projects import grants
from projects.actions import revoke_machine, save_spec, set_member
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    made = world.project(world.person("ann"), "shop")
    save_spec(actor=SYSTEM, project=made, spec={"command": ["python3", "server.py"], "replicas": 2})
    return made


@pytest.fixture
def ann(project: Project) -> User:
    """The owner, who asks."""
    assert project.created_by is not None
    return User.objects.get(pk=project.created_by.pk)


@pytest.fixture
def machine(project: Project) -> Machine:
    found = world.granted(project, "prod-bj", "production")
    guard(found, needed=2)
    return found


def guard(machine: Machine, **approval: Any) -> None:
    update_machine(actor=SYSTEM, machine=machine, approval=approval)


@pytest.fixture
def waiting(project: Project, machine: Machine, ann: User) -> Deployment:
    world.version(project)
    return actions.start_deployment(actor=ann, project=project, machine=machine, action="deploy")


def step(deployment: Deployment, times: int = 1) -> Deployment:
    """As many steps of the engine under one claim, each from the row as it is."""
    Deployment.objects.filter(pk=deployment.pk).update(next_at=Now())
    held = runs.claim(Deployment, deployment.pk)
    assert held is not None
    engine = DeploymentEngine()
    for _ in range(times):
        if engine.advance(held) is None:
            break
        held.refresh_from_db()
    Deployment.objects.filter(pk=deployment.pk).update(lease_until=None, lease_owner="")
    return Deployment.objects.select_related("service__machine__cluster", "service__project", "started_by").get(
        pk=deployment.pk
    )


def approve(actor: Any, deployment: Deployment, **more: Any) -> DeploymentApproval:
    return approvals.approve_deployment(actor=actor, deployment=fresh(deployment), **more)


def reject(actor: Any, deployment: Deployment, **more: Any) -> DeploymentApproval:
    return approvals.reject_deployment(actor=actor, deployment=fresh(deployment), **more)


def fresh(deployment: Deployment) -> Deployment:
    return Deployment.objects.get(pk=deployment.pk)


def sentences(deployment: Deployment) -> str:
    return " | ".join(event.text % event.data for event in Event.objects.filter(topic=deployment.topic).order_by("seq"))


def untouched(deployment: Deployment) -> bool:
    return Service.objects.get(pk=deployment.service_id).generation == 0


class TestWaiting:
    def test_it_waits_and_is_the_only_change_of_its_service(
        self, waiting: Deployment, project: Project, machine: Machine
    ) -> None:
        assert waiting.state == "awaiting_approval"
        assert (waiting.approvals_needed, waiting.approver_role, len(waiting.asked_sha256)) == (2, "maintainer", 64)
        assert step(waiting).state == "awaiting_approval"
        assert untouched(waiting)
        with pytest.raises(Conflict, match="under way"):
            actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")

    def test_it_starts_when_enough_others_have_agreed(self, waiting: Deployment, project: Project) -> None:
        approve(world.member(project, "maintainer", "max"), waiting, note="looks fine")
        assert step(waiting).state == "awaiting_approval"
        approve(world.ops(), waiting)
        done = step(waiting, 2)
        assert done.state == "running"
        assert "Approved by max, olga." in sentences(waiting)
        verbs = AuditEntry.objects.filter(verb="deployment.approve").values_list("actor", flat=True)
        assert sorted(verbs) == ["max", "olga"]

    def test_a_machine_that_asks_nobody_starts_at_once(self, project: Project, ann: User) -> None:
        world.version(project)
        plain = world.granted(project, "test-a")
        deployment = actions.start_deployment(actor=ann, project=project, machine=plain, action="deploy")
        assert (deployment.state, deployment.asked_sha256) == ("queued", "")

    def test_restoring_waits_for_nobody_unless_ops_want_it(self, project: Project, machine: Machine) -> None:
        assert approvals.rule_of(machine, "deploy").needed == 2
        assert {action: approvals.rule_of(machine, action).needed for action in Deployment.Action.values} == {
            "deploy": 2, "rollback": 0, "restart": 0, "scale": 2, "remove": 2,
        }  # fmt: skip
        guard(machine, restoring=True)
        assert approvals.rule_of(machine, "rollback").needed == 2

    def test_whoever_asked_may_cancel_it(self, waiting: Deployment, ann: User) -> None:
        actions.cancel_deployment(actor=ann, deployment=waiting)
        assert step(waiting).state == "cancelled"
        assert untouched(waiting)

    def test_one_no_ends_it_with_who_and_why(self, waiting: Deployment, project: Project) -> None:
        approve(world.member(project, "maintainer"), waiting)
        reject(world.member(project, "owner", "olaf"), waiting, note="not on a Friday")
        done = step(waiting)
        assert done.state == "cancelled"
        assert done.error["code"] == "rejected"
        assert "Rejected by olaf: not on a Friday" in sentences(waiting)
        assert untouched(waiting)

    def test_unanswered_it_is_called_off(self, waiting: Deployment, settings: Any) -> None:
        assert waiting.deadline_at is not None
        left = waiting.deadline_at - timezone.now()
        assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=settings.APPROVAL_HOURS)
        Deployment.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(Conflict, match="does not wait"):
            approve(world.ops(), waiting)
        done = step(waiting)
        assert (done.state, done.error["code"]) == ("cancelled", "unanswered")


class TestWhoseWordCounts:
    def test_not_the_one_who_asked_whatever_they_are(self, waiting: Deployment, ann: User) -> None:
        with pytest.raises(Denied, match="asked for this deployment yourself") as refused:
            approve(ann, waiting)
        assert refused.value.rule == "nobody_approves_their_own"
        User.objects.filter(pk=ann.pk).update(is_superuser=True, is_staff=True)
        with pytest.raises(Denied):
            approve(User.objects.get(pk=ann.pk), waiting)
        with pytest.raises(Denied):
            reject(User.objects.get(pk=ann.pk), waiting)

    def test_ops_not_for_their_own(self, project: Project, machine: Machine) -> None:
        world.version(project)
        olga, other = world.ops(), world.ops("otto")
        own = actions.start_deployment(actor=olga, project=project, machine=machine, action="deploy")
        with pytest.raises(Denied):
            approve(olga, own)
        approve(other, own)
        approve(User.objects.create_superuser("root", password=None), own)
        assert step(own).state == "queued"

    @pytest.mark.parametrize("role", Role.values)
    def test_the_role_or_a_higher_one(self, waiting: Deployment, project: Project, machine: Machine, role: str) -> None:
        guard(machine, role=role)
        for held in Role.values:
            person = world.member(project, held)
            if Role.values.index(held) >= Role.values.index(role):
                assert approvals.why_not(person, fresh(waiting)) is None
            else:
                refusal = approvals.why_not(person, fresh(waiting))
                assert isinstance(refusal, Denied)
                assert refusal.granted_by == ["ann"]

    def test_ops_alone_where_the_machine_says_so(self, waiting: Deployment, project: Project, machine: Machine) -> None:
        guard(machine, role="ops")
        with pytest.raises(Denied, match="Only ops"):
            approve(world.member(project, "owner"), waiting)
        approve(world.ops(), waiting)

    def test_a_stranger_learns_nothing_and_the_system_decides_nothing(self, waiting: Deployment) -> None:
        with pytest.raises(NotFound):
            approve(world.person(), waiting)
        with pytest.raises(Denied, match="by people"):
            approve(SYSTEM, waiting)

    def test_a_team_member_counts(self, waiting: Deployment, project: Project) -> None:
        team, person = Group.objects.create(name="release"), world.person("tim")
        person.groups.add(team)
        with transaction.atomic():
            grants.set_role(project, team, "maintainer", granted_by="olga")
        approve(person, waiting)
        assert {one.username for one in approvals.people_to_ask(fresh(waiting))} >= {"tim"}

    def test_who_is_asked_never_who_asks(self, waiting: Deployment, project: Project) -> None:
        world.member(project, "developer", "dan")
        world.member(project, "maintainer", "max")
        world.ops()
        assert [one.username for one in approvals.people_to_ask(fresh(waiting))] == ["max", "olga"]
        world.member(project, "owner", "olaf")
        assert [one.username for one in approvals.people_to_ask(fresh(waiting))] == ["max", "olaf"], "ops may sleep"


class TestTwiceAndTooLate:
    def test_each_person_once(self, waiting: Deployment, project: Project) -> None:
        max_ = world.member(project, "maintainer")
        approve(max_, waiting)
        for again in (approve, reject):
            with pytest.raises(Conflict, match="already"):
                again(max_, waiting)
        assert step(waiting).state == "awaiting_approval"

    def test_not_after_cancel_reject_or_start(self, waiting: Deployment, project: Project, ann: User) -> None:
        one, two, three = (world.member(project, "maintainer") for _ in range(3))
        reject(one, waiting)
        with pytest.raises(Conflict, match="does not wait"):
            approve(two, waiting)  # before the engine has looked
        DeploymentApproval.objects.all().delete()
        approve(one, waiting)
        approve(two, waiting)
        step(waiting)
        with pytest.raises(Conflict, match="does not wait"):
            reject(three, waiting)
        Deployment.objects.update(state="awaiting_approval")
        actions.cancel_deployment(actor=ann, deployment=waiting)
        with pytest.raises(Conflict, match="does not wait"):
            approve(three, waiting)

    def test_only_what_was_seen_is_approved(self, waiting: Deployment, project: Project) -> None:
        max_ = world.member(project, "maintainer")
        with pytest.raises(Conflict) as refused:
            approve(max_, waiting, seen="0" * 64)
        assert refused.value.code == "changed_meanwhile"
        Deployment.objects.update(replicas=50)
        with pytest.raises(Conflict, match="not what you saw"):
            approve(max_, waiting, seen=waiting.asked_sha256)
        Deployment.objects.update(replicas=2)
        approve(max_, waiting, seen=waiting.asked_sha256)

    @pytest.mark.parametrize(
        "change",
        [{"replicas": 3}, {"action": "scale"}, {"restart_nonce": 7}, {"version": None}, {"spec_revision": None}, {"pins": {}}],
    )  # fmt: skip
    def test_the_hash_is_of_everything_that_was_asked(self, waiting: Deployment, change: dict[str, Any]) -> None:
        before = approvals.fingerprint(fresh(waiting))
        assert before == waiting.asked_sha256
        Deployment.objects.update(**change)
        assert approvals.fingerprint(fresh(waiting)) != before


class TestAtOnce:
    def at_once(self, *acts: Callable[[], Any]) -> list[Any]:
        gate, results = threading.Barrier(len(acts)), []

        def run(act: Callable[[], Any]) -> None:
            gate.wait()
            try:
                results.append(act())
            except AppError as error:
                results.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results

    def test_last_approvals_at_once_start_it_once(self, waiting: Deployment, project: Project) -> None:
        people = [world.member(project, "maintainer") for _ in range(4)]
        results = self.at_once(*(lambda who=who: approve(who, waiting) for who in people))
        assert [type(one).__name__ for one in results] == ["DeploymentApproval"] * 4

        def claimed() -> str | None:
            held = runs.claim(Deployment, waiting.pk)
            if held is None:
                return None
            DeploymentEngine().advance(held)
            return fresh(waiting).state

        assert sorted(map(str, self.at_once(claimed, claimed, claimed))) == ["None", "None", "queued"]
        started = Event.objects.filter(topic=waiting.topic, kind="state", data__state="queued")
        assert started.count() == 1

    def test_one_person_on_two_screens_decides_once(self, waiting: Deployment, project: Project) -> None:
        max_ = world.member(project, "maintainer")
        results = self.at_once(lambda: approve(max_, waiting), lambda: reject(max_, waiting))
        assert sorted(type(one).__name__ for one in results) == ["Conflict", "DeploymentApproval"]
        assert DeploymentApproval.objects.count() == 1

    def test_yes_and_no_at_once_never_start_it(self, waiting: Deployment, project: Project) -> None:
        one, two, three = (world.member(project, "maintainer") for _ in range(3))
        approve(one, waiting)
        self.at_once(lambda: approve(two, waiting), lambda: reject(three, waiting))
        rejected = DeploymentApproval.objects.filter(verdict="rejected").exists()
        assert rejected, "a no is heard as long as it waits"
        assert step(waiting, 2).state == "cancelled"


class TestTheDatabaseRefuses:
    def insert(self, deployment: Deployment, asked_by: int | None, decided_by: int | None, seen: str = "a") -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO deployments_deploymentapproval (deployment_id, asked_by_id, decided_by_id, decided_by_name,"
                " verdict, note, asked_sha256, seen_sha256, decided_at)"
                " VALUES (%s, %s, %s, 'x', 'approved', '', 'a', %s, CURRENT_TIMESTAMP)",
                [deployment.pk, asked_by, decided_by, seen],
            )

    def test_ones_own_a_second_and_another_hash(self, waiting: Deployment, ann: User) -> None:
        other = world.person()
        for asked_by, decided_by, seen in ((ann.pk, ann.pk, "a"), (ann.pk, other.pk, "b"), (None, other.pk, "b")):
            with pytest.raises(IntegrityError):
                self.insert(waiting, asked_by, decided_by, seen)
        self.insert(waiting, ann.pk, other.pk)
        with pytest.raises(IntegrityError):
            self.insert(waiting, ann.pk, other.pk)
        self.insert(waiting, None, ann.pk)  # nobody in particular asked

    def test_a_row_with_another_hash_does_not_count(self, waiting: Deployment, ann: User) -> None:
        """Written past the actions, it helps nobody."""
        for number in range(3):
            self.insert(waiting, ann.pk, world.ops(f"ops{number}").pk)
        assert approvals.standing(fresh(waiting)).missing == 2

    def test_who_left_leaves_their_name(self, waiting: Deployment, project: Project) -> None:
        max_ = world.member(project, "maintainer", "max")
        approve(max_, waiting)
        User.objects.filter(pk=max_.pk).delete()
        assert DeploymentApproval.objects.get().decided_by_name == "max"
        assert approvals.standing(fresh(waiting)).missing == 2


class TestBeforeItBegins:
    @pytest.fixture
    def agreed(self, waiting: Deployment, project: Project) -> Deployment:
        approve(world.member(project, "maintainer", "max"), waiting)
        approve(world.member(project, "maintainer", "mia"), waiting)
        assert step(waiting).state == "queued"
        return waiting

    def test_who_lost_the_role_counts_no_more(self, agreed: Deployment, project: Project) -> None:
        set_member(actor=SYSTEM, project=project, user=User.objects.get(username="mia"), role="viewer")
        back = step(agreed)
        assert back.state == "awaiting_approval"
        assert "mia may not approve any more; it waits for 1 more." in sentences(agreed)
        assert untouched(agreed)
        approve(world.ops(), agreed)
        assert step(agreed, 2).state == "running"

    def test_who_left_counts_no_more(self, agreed: Deployment) -> None:
        User.objects.filter(username="max").update(is_active=False)
        assert step(agreed).state == "awaiting_approval"

    def test_the_machine_asks_for_more_by_now(self, agreed: Deployment, machine: Machine) -> None:
        guard(machine, needed=3)
        back = step(agreed)
        assert (back.state, back.approvals_needed) == ("awaiting_approval", 3)

    def test_the_machine_asks_for_none_any_more(self, waiting: Deployment, machine: Machine) -> None:
        guard(machine, needed=0)
        assert step(waiting, 2).state == "running"

    def test_a_machine_guarded_after_the_click_is_guarded(self, project: Project, ann: User) -> None:
        world.version(project)
        plain = world.granted(project, "test-a")
        deployment = actions.start_deployment(actor=ann, project=project, machine=plain, action="deploy")
        guard(plain, needed=1)
        back = step(deployment)
        assert back.state == "awaiting_approval"
        assert back.deadline_at is not None
        approve(world.ops(), deployment, seen=back.asked_sha256)
        assert step(deployment, 2).state == "running"

    def failed(self, deployment: Deployment, code: str, words: str) -> None:
        done = step(deployment, 2)
        assert (done.state, done.error["code"]) == ("failed", code)
        assert words in done.error["sentence"]["msgid"] % done.error["sentence"]["params"]
        assert untouched(deployment)

    def test_another_configuration_is_another_question(self, agreed: Deployment, project: Project) -> None:
        save_spec(actor=SYSTEM, project=project, spec={"command": ["python3", "server.py"], "replicas": 3})
        self.failed(agreed, "changed_meanwhile", "spec revision 3, not 2")

    def test_so_is_another_machine(self, agreed: Deployment, machine: Machine) -> None:
        update_machine(actor=SYSTEM, machine=machine, placement={"zone": "b"})
        self.failed(agreed, "changed_meanwhile", "machine was changed")

    def test_so_is_another_service(self, agreed: Deployment, project: Project) -> None:
        Service.objects.filter(pk=agreed.service_id).update(version=world.version(project))
        self.failed(agreed, "changed_meanwhile", "service was changed")

    def test_so_is_another_manifest(self, agreed: Deployment) -> None:
        row = fresh(agreed)
        Deployment.objects.update(pins={**row.pins, "manifest_sha256": "0" * 64})
        Deployment.objects.update(asked_sha256=approvals.fingerprint(fresh(agreed)))
        with connection.cursor() as cursor:
            sha = fresh(agreed).asked_sha256
            cursor.execute("UPDATE deployments_deploymentapproval SET asked_sha256 = %s, seen_sha256 = %s", [sha, sha])
        self.failed(agreed, "changed_meanwhile", "not what was approved")

    def test_a_revoked_machine_ends_it(self, agreed: Deployment, project: Project, machine: Machine) -> None:
        revoke_machine(actor=SYSTEM, project=project, machine=machine)
        self.failed(agreed, "grant_gone", "no grant for the machine")

    def test_whoever_asked_must_still_be_allowed_to(self, agreed: Deployment, project: Project, ann: User) -> None:
        set_member(actor=SYSTEM, project=project, user=world.person("new"), role="owner")
        set_member(actor=SYSTEM, project=project, user=ann, role="viewer")
        self.failed(agreed, "grant_gone", "ann may not make this change any more")

    def test_a_plain_deployment_is_checked_again_too(self, project: Project, ann: User) -> None:
        world.version(project)
        plain = world.granted(project, "test-a")
        deployment = actions.start_deployment(actor=ann, project=project, machine=plain, action="deploy")
        revoke_machine(actor=SYSTEM, project=project, machine=plain)
        self.failed(deployment, "grant_gone", "no grant for the machine")


def test_whoever_works_on_it_may_die_and_nothing_is_lost(waiting: Deployment, project: Project) -> None:
    held = runs.claim(Deployment, waiting.pk)
    assert held is not None, "a worker holds it when it is killed"
    approve(world.member(project, "maintainer"), waiting)
    approve(world.ops(), waiting)
    Deployment.objects.filter(pk=waiting.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert step(waiting, 2).state == "running"
    with pytest.raises(runs.LostClaim):
        DeploymentEngine().advance(held)
