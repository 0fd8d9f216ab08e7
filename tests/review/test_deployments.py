"""A change acts on what was shown, and waiting costs a deployment nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments import actions, plans
from deployments.models import Deployment, Service
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, NotFound
from fangduoduo_release.common.sentence import S
from projects.actions import save_spec
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
SPEC = {"command": ["python3", "server.py"], "replicas": 1}


@pytest.fixture
def project() -> Project:
    made = world.project()
    save_spec(actor=SYSTEM, project=made, spec=SPEC)
    return made


def finished(service: Service, number: int, **facts: object) -> Deployment:
    return Deployment.objects.create(service=service, number=number, state="succeeded", **facts)


def test_a_change_that_ended_meanwhile_is_not_undone_unseen(project: Project) -> None:
    machine = world.granted(project)
    service = Service.objects.create(project=project, machine=machine, port=20001)
    seen = plans.service_for(project, machine)
    assert seen is not None
    newer = finished(service, 1, action="deploy", version=world.version(project))
    Service.objects.filter(pk=service.pk).update(last_deployment=newer, version=newer.version)
    with pytest.raises(Conflict) as refused:
        actions._refuse_stale(seen)
    assert refused.value.code == "changed_meanwhile"
    actions._refuse_stale(Service.objects.get(pk=service.pk))


def test_a_refused_wish_takes_no_stable_port(project: Project) -> None:
    machine = world.granted(project)
    with pytest.raises(NotFound):
        actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")
    with pytest.raises(Conflict):
        actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="restart")
    assert not Service.objects.exists()


def test_a_pause_moves_the_deadline(project: Project) -> None:
    machine = world.granted(project)
    world.version(project)
    run = actions.start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy")
    claimed = runs.claim(Deployment, run.pk)
    assert claimed is not None
    runs.transition(claimed, "running", S("Applying."), deadline_at=runs.in_seconds(60))
    before = Deployment.objects.get(pk=run.pk).deadline_at
    actions.pause_deployment(actor=SYSTEM, deployment=claimed, paused=True)
    paused = events.Event.objects.filter(topic=run.topic, data__state="paused")
    assert paused.update(at=timezone.now() - timedelta(hours=1)) == 1
    actions.pause_deployment(actor=SYSTEM, deployment=claimed, paused=False)
    after = Deployment.objects.get(pk=run.pk).deadline_at
    assert before is not None
    assert after is not None
    assert timedelta(minutes=59) < after - before < timedelta(minutes=61)


def test_a_named_version_can_be_rolled_back_to_however_long_ago_it_ran(project: Project) -> None:
    machine = world.granted(project)
    old, new = world.version(project), world.version(project)
    service = Service.objects.create(project=project, machine=machine, version=new)
    finished(service, 1, action="deploy", version=old)
    Deployment.objects.bulk_create(
        Deployment(service=service, number=n, action="deploy", version=world.version(project) if n == 2 else new,
                   state="succeeded")
        for n in range(2, plans.LOOK_BACK + 5)
    )  # fmt: skip
    recent = world.version(project)
    Deployment.objects.bulk_create(
        Deployment(service=service, number=n, action="restart", version=recent, state="succeeded")
        for n in range(plans.LOOK_BACK + 5, 2 * plans.LOOK_BACK + 10)
    )
    assert [t.version for t in plans.rollback_targets(service)] == [recent]
    choice = plans.choose(service, "rollback", version=old)
    assert choice.version == old
