"""A freeze holds at every door and again when a change begins; only an open emergency passes, and loudly."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from clusters.actions import save_freeze, update_machine
from clusters.drivers.process import handle
from clusters.models import FreezeWindow, Machine
from deployments import actions, approvals
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, Service
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.models import Event
from permissions.models import User
from projects import grants, requests
from projects.actions import save_spec
from projects.models import MachineGrant, Project, RoleGrant
from tests import world
from tests.api.door import Door, refused, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def project(ann: User) -> Project:
    made = world.project(ann, "shop")
    save_spec(actor=SYSTEM, project=made, spec={"command": ["python3", "server.py"], "replicas": 2})
    world.version(made)
    return made


@pytest.fixture
def machine(project: Project) -> Machine:
    return world.granted(project, "prod-bj", "production")


def freeze(
    begins_in: timedelta = timedelta(hours=-1), lasts: timedelta = timedelta(hours=5), **facts: Any
) -> FreezeWindow:
    """A one-off window around now, by the clock of Kathmandu."""
    zone = ZoneInfo("Asia/Kathmandu")
    start = (timezone.now() + begins_in).astimezone(zone).replace(second=0, microsecond=0)
    end = start + lasts
    known: dict[str, Any] = {
        "name": "Quarter end", "reason": "The books are closed", "everywhere": True, "timezone": "Asia/Kathmandu",
        "kind": "once", "first_day": f"{start:%Y-%m-%d}", "start_time": start.time(), "last_day": f"{end:%Y-%m-%d}",
        "end_time": end.time(),
    }  # fmt: skip
    return save_freeze(actor=SYSTEM, window=FreezeWindow(**{**known, **facts}))


def start(project: Project, machine: Machine, action: str = "deploy", actor: Any = SYSTEM, **more: Any) -> Deployment:
    return actions.start_deployment(actor=actor, project=project, machine=machine, action=action, **more)


def succeed(deployment: Deployment) -> None:
    Service.objects.filter(pk=deployment.service_id).update(
        version=deployment.version, spec_revision=deployment.spec_revision, replicas=2, last_deployment=deployment
    )
    Deployment.objects.filter(pk=deployment.pk).update(state="succeeded", next_at=None)


def step(deployment: Deployment, times: int = 1) -> Deployment:
    Deployment.objects.filter(pk=deployment.pk).update(next_at=Now())
    held = runs.claim(Deployment, deployment.pk)
    assert held is not None
    for _ in range(times):
        if DeploymentEngine().advance(held) is None:
            break
        held.refresh_from_db()
    return Deployment.objects.get(pk=deployment.pk)


def emergency(project: Project, user: User, until: timedelta = timedelta(hours=1)) -> None:
    RoleGrant.objects.create(
        project=project, user=user, role="owner", emergency=True, until=timezone.now() + until, granted_by="olga"
    )
    grants.sync(project, user)


class TestDoors:
    def test_refused_with_the_window_until_when_and_why(self, project: Project, machine: Machine, ann: User) -> None:
        window = freeze()
        for actor in (ann, world.ops(), SYSTEM):
            with pytest.raises(Denied) as refusal:
                start(project, machine, actor=actor)
            assert (refusal.value.rule, refusal.value.granted_by) == ("freeze_window", ["ops"])
            said = str(refusal.value)
            assert "“Quarter end”: The books are closed" in said
            assert f"until {window.last_day} {window.end_time:%H:%M} (Asia/Kathmandu)" in said
            assert "emergency=1" in str(refusal.value.request_url)
        assert not Service.objects.exists(), "a refused wish takes no stable port"

    def test_the_api_says_the_same(self, project: Project, machine: Machine, ann: User) -> None:
        freeze()
        problem = refused(Door(ann).post("projects/shop/deployments/", {"machine": "prod-bj"}), 403, "freeze_window")
        assert problem["rule"] == "freeze_window"
        preview = told(Door(ann).post("projects/shop/deployments/preview/", {"machine": "prod-bj"}))
        assert any(warning.startswith("Frozen until") for warning in preview["warnings"])

    def test_the_panel_warns_before_the_click_and_offers_no_button(
        self, project: Project, machine: Machine, ann: User
    ) -> None:
        window = freeze()
        client = Client()
        client.force_login(ann)
        panel = client.get("/projects/shop/change/?action=deploy&machine=prod-bj").content.decode()
        assert "is frozen until" in panel
        assert "data-confirm" not in panel
        assert "What changes in the manifest" in panel, "what would be done is shown all the same"
        answer = client.post("/projects/shop/change/", {"action": "deploy", "machine": "prod-bj"})
        assert "is frozen until" in answer.content.decode()
        assert not Deployment.objects.exists()
        window.active = False
        save_freeze(actor=SYSTEM, window=window)
        freeze(begins_in=timedelta(hours=2), name="Soon")
        panel = client.get("/projects/shop/change/?action=deploy&machine=prod-bj").content.decode()
        assert "Freezes at" in panel
        assert "data-confirm" in panel
        assert 'data-freeze="next"' in client.get("/projects/shop/").content.decode()

    def test_restoring_passes_where_the_window_lets_it(self, project: Project, machine: Machine) -> None:
        succeed(start(project, machine))
        world.version(project)
        succeed(start(project, machine))
        window = freeze()
        for action in ("deploy", "scale", "remove"):
            with pytest.raises(Denied):
                start(project, machine, action, replicas=3 if action == "scale" else None)
        succeed(start(project, machine, "restart"))
        back = start(project, machine, "rollback")
        assert step(back).state == "running"
        Deployment.objects.filter(pk=back.pk).update(state="failed", next_at=None)
        window.blocks_restoring = True
        save_freeze(actor=SYSTEM, window=window)
        for action in ("restart", "rollback"):
            with pytest.raises(Denied):
                start(project, machine, action)

    def test_other_machines_and_excepted_days_are_free(self, project: Project, machine: Machine) -> None:
        freeze(everywhere=False, environments=["staging"])
        succeed(start(project, machine))
        day = timezone.localtime(timezone=ZoneInfo("UTC")).date()
        weekly = FreezeWindow(
            name="Daily", reason="-", everywhere=True, timezone="UTC", kind="weekly", weekdays=list(range(7)),
            start_time=time(0), duration_minutes=1440,
        )  # fmt: skip
        weekly.exceptions = [f"{day - timedelta(days=1)}", f"{day}", f"{day + timedelta(days=1)}"]
        save_freeze(actor=SYSTEM, window=weekly)
        assert start(project, machine, "restart")

    def test_cancelling_is_always_possible(self, project: Project, machine: Machine, ann: User) -> None:
        deployment = start(project, machine, actor=ann)
        freeze(blocks_restoring=True)
        actions.cancel_deployment(actor=ann, deployment=deployment)
        assert step(deployment).state == "cancelled"


class TestWhenItBegins:
    def test_queued_before_and_begun_within_it_fails_untouched(self, project: Project, machine: Machine) -> None:
        deployment = start(project, machine)
        freeze()
        done = step(deployment)
        assert (done.state, done.error["code"]) == ("failed", "freeze_window")
        assert done.error["sentence"]["params"]["name"] == "Quarter end"
        assert Service.objects.get().generation == 0

    def test_approved_within_it_it_does_not_begin(self, project: Project, machine: Machine, ann: User) -> None:
        update_machine(actor=SYSTEM, machine=machine, approval={"needed": 1})
        deployment = start(project, Machine.objects.select_related("cluster").get(pk=machine.pk), actor=ann)
        assert deployment.state == "awaiting_approval"
        freeze()
        approvals.approve_deployment(actor=world.ops(), deployment=Deployment.objects.get(pk=deployment.pk))
        done = step(deployment, 2)
        assert (done.state, done.error["code"]) == ("failed", "freeze_window")

    def test_what_runs_is_not_cut(self, project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handle, "START_S", 120.0)  # of a process's supervisor, on a busy machine
        never_ready = ["python3", "-c", "import time; time.sleep(600)"]  # so that it can still be turned back
        save_spec(actor=SYSTEM, project=project, spec={"command": never_ready, "replicas": 2})
        deployment = start(project, machine)
        running = step(deployment)
        assert running.state == "running"
        freeze(blocks_restoring=True)
        Deployment.objects.filter(pk=running.pk).update(lease_until=None)
        assert step(running).state in {"running", "succeeded"}
        actions.cancel_deployment(actor=SYSTEM, deployment=Deployment.objects.get(pk=running.pk))
        Deployment.objects.filter(pk=running.pk).update(lease_until=None)
        assert step(running, 200).state == "cancelled", "and may be turned back"


class TestEmergency:
    def test_it_passes_loudly(self, project: Project, machine: Machine, ann: User) -> None:
        freeze()
        emergency(project, ann)
        deployment = start(project, machine, actor=ann)
        entry = AuditEntry.objects.get(verb="deployment.despite_freeze")
        assert (entry.actor, entry.after["window"]) == ("ann", "Quarter end")
        assert Event.objects.filter(topic=deployment.topic, kind="despite_freeze").exists()
        assert step(deployment).state == "running"
        assert AuditEntry.objects.filter(verb="deployment.despite_freeze").count() == 1
        assert "Quarter end" in told(Door(ann).get(f"deployments/{deployment.pk}/"))["despite_freeze"]
        client = Client()
        client.force_login(ann)
        page = client.get(f"/deployments/{deployment.pk}/").content.decode()
        assert "An emergency was open" in page
        panel = client.get("/projects/shop/change/?action=deploy&machine=prod-bj").content.decode()
        assert "in spite of the freeze" in panel

    def test_one_that_ran_out_opens_nothing(self, project: Project, machine: Machine, ann: User) -> None:
        freeze()
        emergency(project, ann, until=timedelta(seconds=-1))
        with pytest.raises(Denied):
            start(project, machine, actor=ann)

    def test_it_must_last_until_the_change_begins(self, project: Project, machine: Machine, ann: User) -> None:
        freeze()
        emergency(project, ann)
        deployment = start(project, machine, actor=ann)
        RoleGrant.objects.filter(emergency=True).update(until=timezone.now() - timedelta(seconds=1))
        assert step(deployment).error["code"] == "freeze_window"

    def test_opened_between_click_and_beginning_it_is_written_down_too(
        self, project: Project, machine: Machine, ann: User
    ) -> None:
        deployment = start(project, machine, actor=ann)
        freeze()
        emergency(project, ann)
        done = step(deployment)
        assert done.state == "running"
        assert done.despite_freeze["params"]["name"] == "Quarter end"
        assert AuditEntry.objects.filter(verb="deployment.despite_freeze").count() == 1

    def test_whose_it_is(self, project: Project, machine: Machine, ann: User) -> None:
        assert not grants.emergency_alive(project, ann)
        other = world.person("other")
        emergency(project, other)
        assert grants.emergency_alive(project, other)
        assert not grants.emergency_alive(project, ann), "somebody else's role is not mine"
        assert not grants.emergency_alive(project, SYSTEM)
        assert not grants.emergency_alive(world.project(), other)
        asked = requests.ask(
            actor=ann,
            slug=project.slug,
            kind="machine",
            machine=world.machine("spare"),
            reason="it burns",
            emergency=True,
        )
        MachineGrant.objects.filter(project=project).update(emergency=True, request=asked)
        assert grants.emergency_alive(project, ann, machine), "the machine that ann asked for"
        assert not grants.emergency_alive(project, world.person("third"), machine), "and nobody else"
        MachineGrant.objects.update(until=timezone.now() - timedelta(seconds=1))
        assert not grants.emergency_alive(project, ann)
