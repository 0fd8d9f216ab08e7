"""What a wish for a change is completed to, and with which sentence it is refused; going back brings everything back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.models import Version
from clusters.drivers.runtime.base import FieldConflict
from clusters.models import Machine
from deployments import plans
from deployments.models import Deployment, Service
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound
from projects.actions import save_spec
from projects.models import Project, SpecRevision
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    made = world.bare_project(slug="shop")
    save_spec(actor=SYSTEM, project=made, spec={"command": ["./start"], "replicas": 3})
    return made


@pytest.fixture
def service(project: Project) -> Service:
    return Service.objects.create(project=project, machine=world.granted(project, "test-a"))


def spec_of(project: Project) -> SpecRevision:
    return project.spec_revisions.order_by("-number")[0]


def ran(service: Service, version: Version, state: str = "succeeded", **facts: Any) -> Deployment:
    """A deployment that ended so; when it went well, it is what the service runs now."""
    defaults = {
        "service": service, "number": service.deployments.count() + 1, "action": "deploy", "version": version,
        "spec_revision": spec_of(service.project), "replicas": 3, "pins": {"digest": version.pin}, "state": state,
    }  # fmt: skip
    made = Deployment.objects.create(**{**defaults, **facts})
    if state == "succeeded":
        service.version, service.spec_revision, service.replicas = made.version, made.spec_revision, made.replicas
        service.last_deployment = made
        service.save()
    return made


def refusal(kind: type[AppError], service: Service, action: str, **wish: Any) -> str:
    with pytest.raises(kind) as error:
        plans.choose(service, action, **wish)
    return str(error.value)


# --- refusals --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("replicas", [-1, 101, 10**9])
@pytest.mark.parametrize("action", Deployment.Action.values)
def test_replicas_have_their_limits_whatever_is_done(service: Service, action: str, replicas: int) -> None:
    assert refusal(Invalid, service, action, replicas=replicas) == "Replicas are a number from 0 to 100."


@pytest.mark.parametrize("replicas", [0, 1, 100])
def test_and_may_be_at_their_limits(service: Service, replicas: int) -> None:
    world.version(service.project)
    assert plans.choose(service, "deploy", replicas=replicas).replicas == replicas


def test_without_a_version_or_a_spec_nothing_is_deployed(service: Service, project: Project) -> None:
    assert refusal(NotFound, service, "deploy") == "This project has no version yet; build one first."
    world.version(project)
    SpecRevision.objects.all().delete()
    assert refusal(Invalid, service, "deploy") == "This project has no spec yet; fill it in on its Settings page."


def test_a_version_whose_files_were_cleared_away_is_not_chosen_by_itself(service: Service, project: Project) -> None:
    kept = world.version(project)
    world.version(project, removed_at=timezone.now())
    assert plans.choose(service, "deploy").version == kept
    Version.objects.update(removed_at=timezone.now())
    assert refusal(NotFound, service, "deploy") == "This project has no version yet; build one first."


@pytest.mark.parametrize("action", ["restart", "scale", "remove"])
def test_where_nothing_runs_there_is_nothing_to_change(service: Service, action: str) -> None:
    assert refusal(Conflict, service, action, replicas=2) == "Nothing runs here yet; deploy a version first."


def test_scaling_needs_a_number(service: Service, project: Project) -> None:
    ran(service, world.version(project))
    assert refusal(Invalid, service, "scale") == "Say how many replicas you want."
    assert plans.choose(service, "scale", replicas=0).replicas == 0


def test_going_back_says_why_it_cannot(service: Service, project: Project) -> None:
    assert refusal(Conflict, service, "rollback") == "No other version ran here before."
    now, never = world.version(project), world.version(project)
    ran(service, now)
    assert refusal(Conflict, service, "rollback") == "No other version ran here before."
    assert refusal(Conflict, service, "rollback", version=now) == f"Version #{now.number} is what runs here now."
    assert refusal(Conflict, service, "rollback", version=never) == (
        f"Version #{never.number} never ran here, so there is nothing to go back to; deploy it."
    )


# --- what is chosen --------------------------------------------------------------------------------------------------
def test_going_back_brings_back_all_that_was_pinned(service: Service, project: Project) -> None:
    """Version, spec, replicas, configuration and digest are those of the deployment that is restored, not today's."""
    old = world.version(project)
    config = {"source": "portal", "key": "spec", "revision": 1, "sha256": "a"}
    before = ran(service, old, replicas=5, pins={"digest": "sha256:aa", "config": config, "pullable": True})
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./start"], "replicas": 9})
    ran(service, world.version(project), replicas=9)
    choice = plans.choose(service, "rollback")
    assert (choice.restores, choice.version, choice.spec) == (before, old, before.spec_revision)
    assert (choice.replicas, choice.config, choice.digest, choice.by_digest) == (5, config, "sha256:aa", True)
    assert choice.spec != spec_of(project)


def test_going_back_leads_to_what_last_went_well_here(service: Service, project: Project) -> None:
    first, second, third = (world.version(project) for _ in range(3))
    ran(service, first)
    good = ran(service, second)
    ran(service, second, "failed")
    ran(service, third)
    elsewhere = Service.objects.create(project=project, machine=world.granted(project, "test-b"))
    ran(elsewhere, first)
    assert plans.choose(service, "rollback").restores == good


def test_each_version_is_offered_once_with_its_newest_deployment(service: Service, project: Project) -> None:
    one, two, now = (world.version(project) for _ in range(3))
    for version in (one, two, one, now):
        ran(service, version)
    targets = plans.rollback_targets(service)
    assert [(target.version, target.number) for target in targets] == [(one, 3), (two, 2)]
    assert plans.rollback_versions(service, 5) == [two, one]
    assert plans.rollback_versions(service, 1) == [two]
    assert plans.can_roll_back(service)


def test_a_service_that_is_only_thought_of_has_nothing_to_go_back_to(project: Project) -> None:
    draft = Service(project=project, machine=world.machine())
    assert (plans.can_roll_back(draft), plans.rollback_targets(draft), plans.rollback_versions(draft, 5)) == (
        False,
        [],
        [],
    )
    assert plans.expected_ms(draft, "deploy") is None


def test_restarting_counts_on_and_changes_nothing_else(service: Service, project: Project) -> None:
    ran(service, world.version(project), replicas=4, pins={"digest": "sha256:aa", "pullable": True})
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./other"], "replicas": 9})
    world.version(project)
    for action, nonce, by_digest in (("restart", 1, True), ("scale", 0, False)):
        choice = plans.choose(service, action, replicas=4)
        assert (choice.version, choice.spec, choice.replicas) == (service.version, service.spec_revision, 4)
        assert (choice.nonce, choice.digest, choice.by_digest) == (nonce, "sha256:aa", by_digest)


def test_removing_wants_nothing_to_run(service: Service, project: Project) -> None:
    ran(service, world.version(project))
    choice = plans.choose(service, "remove", replicas=7)
    assert (choice.version, choice.spec, choice.replicas) == (None, None, 0)


@pytest.mark.parametrize("action", Deployment.Action.values)
def test_taking_over_is_chosen_by_people_alone(service: Service, project: Project, action: str) -> None:
    for _ in range(2):
        ran(service, world.version(project))
    assert not plans.choose(service, action, replicas=1).take_over
    assert plans.choose(service, action, replicas=1, take_over=True).take_over


# --- what is told ----------------------------------------------------------------------------------------------------
def test_how_long_it_takes_is_the_median_of_the_last_five_that_went_well(service: Service, project: Project) -> None:
    version, begin = world.version(project), timezone.now()

    def took(seconds: float, state: str = "succeeded", action: str = "deploy") -> None:
        ran(service, version, state, action=action, started_at=begin, finished_at=begin + timedelta(seconds=seconds))

    assert plans.expected_ms(service, "deploy") is None
    took(1000)
    for seconds in (9, 1, 5, 3, 7):
        took(seconds)
    took(500, "failed")
    took(600, action="restart")
    assert plans.expected_ms(service, "deploy") == 5000
    assert plans.expected_ms(service, "restart") == 600_000
    assert plans.expected_ms(service, "scale") is None


def test_conflicts_are_named_and_the_sentence_stays_short() -> None:
    found = plans.Preview(plans.Choice("deploy", None, None, 1, 0), {})
    found.conflicts = [FieldConflict(f"Deployment/{n}", "spec.replicas", "kubectl") for n in range(7)]
    told = str(found.warning_of_conflicts)
    assert "Deployment/4 spec.replicas (kubectl)" in told
    assert "Deployment/5" not in told


def test_which_service_is_meant(service: Service, project: Project) -> None:
    assert plans.service_for(project, service.machine) == service
    assert plans.service_for(project, world.machine()) is None
    assert plans.service_for(world.bare_project(), service.machine) is None


def test_the_machines_kind_does_not_matter_for_a_project_that_scales_by_load(
    service: Service, project: Project
) -> None:
    """Where no Kubernetes is, the replicas count, whatever the spec says of load."""
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./start"], "autoscale": {"min": 2, "max": 4}})
    ran(service, world.version(project))
    assert plans.choose(service, "scale", replicas=7).replicas == 7
    machine: Machine = service.machine
    machine.cluster.kind = "kubernetes"
    assert refusal(Conflict, service, "scale", replicas=7) == (
        "The load decides how many instances run here, from 2 to 4: change these in the project's settings, then deploy."
    )
