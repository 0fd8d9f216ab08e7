"""What is told against deploying a version before anybody confirms it."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.models import Machine
from deployments import actions, doubts
from deployments.models import Deployment, Service
from fangduoduo_release.common.actor import SYSTEM
from projects.actions import save_spec
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
FAILED = "The last deployment of this version, to test-b, failed."


@pytest.fixture
def project() -> Project:
    made = world.project()
    save_spec(actor=SYSTEM, project=made, spec={"command": ["python3", "server.py"], "replicas": 2})
    return made


@pytest.fixture
def machine(project: Project) -> Machine:
    return world.granted(project, "test-a")


@pytest.fixture
def other(project: Project) -> Machine:
    return world.granted(project, "test-b")


def ended(project: Project, machine: Machine, state: str, action: str = "deploy", **more: Any) -> Deployment:
    """A deployment as the engine leaves it, without running anything."""
    made = actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action=action, **more)
    if state == "succeeded":
        Service.objects.filter(pk=made.service_id).update(
            version=made.version, spec_revision=made.spec_revision, replicas=made.replicas, last_deployment=made
        )
    Deployment.objects.filter(pk=made.pk).update(state=state, next_at=None)
    return made


def said(project: Project, machine: Machine, action: str = "deploy", **more: Any) -> list[str]:
    found = actions.preview_deployment(actor=SYSTEM, project=project, machine=machine, action=action, **more)
    return [str(one) for one in found.warnings]


def test_a_version_that_failed_elsewhere_is_told_of(project: Project, machine: Machine, other: Machine) -> None:
    world.version(project)
    assert FAILED not in said(project, machine)
    ended(project, other, "failed")
    assert FAILED in said(project, machine)
    assert FAILED in said(project, other)


def test_once_it_went_well_anywhere_it_is_told_no_more(project: Project, machine: Machine, other: Machine) -> None:
    world.version(project)
    ended(project, other, "failed")
    ended(project, machine, "succeeded")
    assert FAILED not in said(project, other)


@pytest.mark.parametrize("state", ["cancelled", "running"])
def test_what_was_cancelled_or_is_not_over_says_nothing(
    project: Project, machine: Machine, other: Machine, state: str
) -> None:
    world.version(project)
    ended(project, other, state)
    assert FAILED not in said(project, machine)


def test_another_version_that_failed_says_nothing(project: Project, machine: Machine, other: Machine) -> None:
    world.version(project)
    ended(project, other, "failed")
    world.version(project)
    assert FAILED not in said(project, machine)


def test_a_rollback_that_failed_is_no_word_against_deploying(
    project: Project, machine: Machine, other: Machine
) -> None:
    old, new = world.version(project), world.version(project)
    ended(project, other, "succeeded", version=old)
    ended(project, other, "succeeded", version=new)
    ended(project, other, "failed", "rollback")
    assert FAILED not in said(project, machine, version=old)


def test_what_runs_already_and_what_is_older_is_told_of_when_deploying_only(project: Project, machine: Machine) -> None:
    old, new = world.version(project), world.version(project)
    ended(project, machine, "succeeded", version=old)
    ended(project, machine, "succeeded", version=new)
    assert f"#{old.number} is older than #{new.number}, which runs here." in said(project, machine, version=old)
    assert not any("is older than" in one for one in said(project, machine, "rollback"))


def test_changing_nothing_and_running_nothing_are_told_of(project: Project, machine: Machine) -> None:
    version = world.version(project)
    service = ended(project, machine, "succeeded").service
    service.refresh_from_db()
    nothing = "This version runs here already and nothing would change."
    told = [str(one) for one in doubts.about(service, "deploy", version, 2, changed=False)]
    assert nothing in told
    told = [str(one) for one in doubts.about(service, "deploy", version, 0, changed=True)]
    assert nothing not in told
    assert "With 0 replicas nothing will run." in told


def test_it_is_told_of_a_version_that_was_named_too(project: Project, machine: Machine, other: Machine) -> None:
    old = world.version(project)
    ended(project, other, "failed", version=old)
    world.version(project)
    assert FAILED in said(project, machine, version=old)
    assert FAILED not in said(project, machine)
