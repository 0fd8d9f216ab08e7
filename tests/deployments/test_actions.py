"""Asking for a change to a service: who may, what it pins, and that there is only ever one at a time."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from clusters.models import Machine
from deployments import actions, plans
from deployments.models import Deployment, Service
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Conflict, Denied, Invalid, NotFound, Rejected
from projects.actions import revoke_machine, save_spec
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
SPEC = {"command": ["python3", "server.py"], "replicas": 2, "env": {"A": "1"}}


@pytest.fixture
def project() -> Project:
    made = world.project()
    save_spec(actor=SYSTEM, project=made, spec=SPEC)
    return made


@pytest.fixture
def machine(project: Project) -> Machine:
    return world.granted(project, "test-a")


def start(project: Project, machine: Machine, action: str = "deploy", actor: Any = SYSTEM, **more: Any) -> Deployment:
    return actions.start_deployment(actor=actor, project=project, machine=machine, action=action, **more)


def succeed(deployment: Deployment) -> None:
    """As the engine leaves it, without running anything."""
    Service.objects.filter(pk=deployment.service_id).update(
        version=deployment.version,
        spec_revision=deployment.spec_revision,
        replicas=deployment.replicas,
        restart_nonce=deployment.restart_nonce,
        last_deployment=deployment,
    )
    Deployment.objects.filter(pk=deployment.pk).update(state="succeeded", next_at=None)


def test_a_deployment_pins_all_it_needs_to_come_back(project: Project, machine: Machine) -> None:
    version = world.version(project)
    deployment = start(project, machine, reason="first")
    assert deployment.version == version
    assert deployment.pins["digest"] == version.pin
    assert deployment.pins["config"]["revision"] == deployment.spec_revision.number
    assert len(deployment.pins["manifest_sha256"]) == 64
    assert deployment.pins["traffic"] == {"stable": 100, "canary": 0}
    assert deployment.replicas == 2
    entry = AuditEntry.objects.get(verb="deployment.deploy")
    assert entry.after["reason"] == "first"


def test_the_newest_version_is_chosen_and_any_other_can_be(project: Project, machine: Machine) -> None:
    old, new = world.version(project), world.version(project)
    found = actions.preview_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")
    assert found.choice.version == new
    found = actions.preview_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=old)
    assert found.choice.version == old
    assert not Service.objects.exists(), "a preview makes nothing"


def test_without_a_version_the_sentence_says_to_build_first(project: Project, machine: Machine) -> None:
    with pytest.raises(NotFound, match="build one first"):
        start(project, machine)


def test_a_machine_that_was_not_granted_is_refused_with_who_can(project: Project) -> None:
    world.version(project)
    with pytest.raises(Denied) as refused:
        start(project, world.machine("prod", "production"), actor=project.created_by)
    assert (refused.value.rule, refused.value.granted_by) == ("machine_grant", ["ops"])


def test_a_revoked_machine_can_still_be_cleared_but_not_deployed_to(project: Project, machine: Machine) -> None:
    world.version(project)
    succeed(start(project, machine))
    revoke_machine(actor=SYSTEM, project=project, machine=machine)
    with pytest.raises(Denied):
        start(project, machine, actor=project.created_by)
    assert start(project, machine, "remove", actor=project.created_by).action == "remove"


@pytest.mark.parametrize(
    ("role", "environment", "action", "allowed"),
    [
        ("viewer", "test", "deploy", False),
        ("developer", "test", "deploy", True),
        ("developer", "staging", "deploy", False),
        ("developer", "production", "deploy", False),
        ("developer", "test", "restart", True),
        ("developer", "test", "remove", False),
        ("maintainer", "production", "deploy", True),
        ("maintainer", "production", "scale", True),
        ("maintainer", "test", "remove", True),
        ("owner", "production", "rollback", True),
    ],
)
def test_roles_decide_where_one_may_change_what(
    project: Project, role: str, environment: str, action: str, allowed: bool
) -> None:
    person = world.member(project, role)
    machine = world.granted(project, "there", environment)
    if allowed:
        actions.require_change(person, project, machine, action)
    else:
        with pytest.raises(Denied):
            actions.require_change(person, project, machine, action)


def test_a_stranger_learns_nothing(project: Project, machine: Machine) -> None:
    with pytest.raises(NotFound):
        start(project, machine, actor=world.person())


def test_a_second_change_is_one_clear_conflict(project: Project, machine: Machine) -> None:
    world.version(project)
    start(project, machine, actor=project.created_by)
    with pytest.raises(Conflict, match="under way") as refused:
        start(project, machine)
    assert project.created_by.username in str(refused.value)
    assert Deployment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_people_press_deploy_at_once_and_one_wins(project: Project, machine: Machine) -> None:
    world.version(project)
    gate = threading.Barrier(2)
    results: list[object] = []

    def press() -> None:
        gate.wait()
        try:
            results.append(start(project, machine))
        except AppError as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert sorted(type(r).__name__ for r in results) == ["Conflict", "Deployment"]
    assert Deployment.objects.count() == 1


def test_rollback_restores_version_spec_and_replicas_of_the_last_good_deployment(
    project: Project, machine: Machine
) -> None:
    first, second = world.version(project), world.version(project)
    good = start(project, machine, version=first, replicas=3)
    succeed(good)
    save_spec(actor=SYSTEM, project=project, spec={**SPEC, "env": {"A": "2"}})
    succeed(start(project, machine, version=second))
    back = start(project, machine, "rollback")
    assert (back.version, back.spec_revision, back.replicas) == (first, good.spec_revision, 3)
    assert back.restores == good
    same = {"digest", "config", "manifest_sha256", "pipeline_revision", "traffic"}
    assert {k: back.pins[k] for k in same} == {k: good.pins[k] for k in same}, "all five pins come back"


def test_rollback_to_any_earlier_version(project: Project, machine: Machine) -> None:
    made = [world.version(project) for _ in range(4)]
    for version in made:
        succeed(start(project, machine, version=version))
    service = Service.objects.get()
    assert [t.version for t in plans.rollback_targets(service)] == made[2::-1]
    assert start(project, machine, "rollback", version=made[0]).version == made[0]


def test_there_is_nothing_to_go_back_to(project: Project, machine: Machine) -> None:
    version, other = world.version(project), world.version(project)
    with pytest.raises(Conflict, match="No other version"):
        start(project, machine, "rollback")
    succeed(start(project, machine, version=version))
    with pytest.raises(Conflict, match="never ran here"):
        start(project, machine, "rollback", version=other)
    with pytest.raises(Conflict, match="runs here now"):
        start(project, machine, "rollback", version=version)


def test_scale_restart_and_remove_need_something_that_runs(project: Project, machine: Machine) -> None:
    world.version(project)
    for action in ("scale", "restart", "remove"):
        with pytest.raises(Conflict, match="Nothing runs"):
            start(project, machine, action, replicas=1)
    succeed(start(project, machine))
    with pytest.raises(Invalid, match="how many"):
        start(project, machine, "scale")
    with pytest.raises(Invalid):
        start(project, machine, "scale", replicas=101)
    scaled = start(project, machine, "scale", replicas=5)
    assert scaled.replicas == 5
    succeed(scaled)
    assert start(project, machine, "restart").restart_nonce == 1


@pytest.mark.parametrize("action", ["", "explode", "DEPLOY"])
def test_an_unknown_action_is_refused(project: Project, machine: Machine, action: str) -> None:
    world.version(project)
    with pytest.raises(Invalid):
        start(project, machine, action)
    assert not Deployment.objects.exists()


def test_a_version_of_another_project_is_not_there(project: Project, machine: Machine) -> None:
    with pytest.raises(NotFound):
        start(project, machine, version=world.version(world.project()))


def test_a_version_whose_files_are_gone_says_so(project: Project, machine: Machine) -> None:
    from django.utils import timezone

    version = world.version(project, removed_at=timezone.now())
    with pytest.raises(Rejected, match="gone"):
        start(project, machine, version=version)


def test_secrets_never_show_in_a_plan(project: Project, machine: Machine) -> None:
    world.version(project)
    save_spec(actor=SYSTEM, project=project, spec={**SPEC, "secrets": {"PASSWORD": "correct-horse"}})
    deployment = start(project, machine)
    assert "PASSWORD" in deployment.manifest
    for text in (deployment.manifest, deployment.diff, str(deployment.pins)):
        assert "correct-horse" not in text


def test_warnings_tell_of_older_and_untested_versions(project: Project, machine: Machine) -> None:
    old, new = world.version(project), world.version(project)
    succeed(start(project, machine, version=new))
    found = actions.preview_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=old)
    said = " ".join(str(w) for w in found.warnings)
    assert "older" in said
    assert "not tested" in said


def test_an_archived_project_can_only_be_cleared(project: Project, machine: Machine) -> None:
    world.version(project)
    succeed(start(project, machine))
    Project.objects.update(archived=True)
    project.refresh_from_db()
    with pytest.raises(Conflict, match="archived"):
        start(project, machine)
    assert start(project, machine, "remove")


def test_cancel_is_a_wish_the_engine_honours_and_cannot_be_wished_twice_over(
    project: Project, machine: Machine
) -> None:
    world.version(project)
    deployment = start(project, machine)
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    deployment.refresh_from_db()
    assert deployment.state == "queued"
    assert deployment.cancel_requested_by == "system"
    Deployment.objects.update(state="cancelled")
    with pytest.raises(Conflict, match="ended"):
        actions.cancel_deployment(actor=SYSTEM, deployment=deployment)


def test_each_service_has_a_port_of_its_own(project: Project) -> None:
    services = [actions.ensure_service(project, world.granted(project)) for _ in range(3)]
    assert len({s.port for s in services}) == 3
    assert actions.ensure_service(project, services[0].machine) == services[0]
