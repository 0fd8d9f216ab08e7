"""The deployment engine's decisions that need no running service: refusals, cancelling, generations, what is looked after."""

from __future__ import annotations

import pytest
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from builds import versions
from clusters.models import Machine
from deployments import actions, reconcile, wanted
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, Service
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict
from projects.actions import save_spec
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    made = world.project()
    save_spec(actor=SYSTEM, project=made, spec={"command": ["python3", "server.py"], "replicas": 2})
    return made


@pytest.fixture
def machine(project: Project) -> Machine:
    return world.granted(project)


@pytest.fixture
def deployment(project: Project, machine: Machine) -> Deployment:
    world.version(project)
    return actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")


def drive(deployment: Deployment) -> Deployment:
    engines.drive(DeploymentEngine(), deployment.pk)
    deployment.refresh_from_db()
    return deployment


def test_a_queued_deployment_is_cancelled_at_once(deployment: Deployment) -> None:
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    assert drive(deployment).state == "cancelled"
    service = Service.objects.get()
    assert (service.version, service.generation) == (None, 0)


def test_files_that_are_gone_fail_it_before_anything_is_touched(deployment: Deployment) -> None:
    assert deployment.version is not None
    default_storage.delete(versions.archive_name(deployment.version.archive_sha256))
    assert drive(deployment).state == "failed"
    assert "build its commit again" in deployment.error["sentence"]["msgid"]
    assert Service.objects.get().generation == 0


def test_whoever_lost_the_claim_writes_no_more(deployment: Deployment) -> None:
    held = runs.claim(Deployment, deployment.pk)
    assert held is not None
    Deployment.objects.filter(pk=held.pk).update(lease_until=None, next_at=Now())
    thief = runs.claim(Deployment, deployment.pk)
    assert thief is not None
    assert thief.fence == held.fence + 1
    with pytest.raises(runs.LostClaim):
        runs.write(held, phase="rolling")
    with pytest.raises(runs.LostClaim):
        DeploymentEngine().advance(held)
    deployment.refresh_from_db()
    assert (deployment.state, deployment.phase) == ("queued", "")


def test_the_service_is_free_again_when_it_has_ended(
    project: Project, machine: Machine, deployment: Deployment
) -> None:
    with pytest.raises(Conflict, match="under way"):
        actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")
    actions.cancel_deployment(actor=SYSTEM, deployment=deployment)
    drive(deployment)
    again = actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")
    assert again.number == deployment.number + 1


def test_generations_grow_and_the_way_back_is_newer_than_the_way_there(deployment: Deployment) -> None:
    there, back = wanted.generation_of(deployment), wanted.generation_of(deployment, restoring=True)
    deployment.number += 1
    assert there < back < wanted.generation_of(deployment)


def test_what_is_being_changed_is_not_looked_after(deployment: Deployment) -> None:
    Service.objects.update(generation=2)
    assert not reconcile._quiet().exists()
    Deployment.objects.update(state="failed")
    assert reconcile._quiet().count() == 1
    Service.objects.update(generation=0)
    assert not reconcile._quiet().exists(), "what was never deployed is nobody's business"
