"""What happens to a build around its agent: pinned, refused, handed over, buried; and the files it leaves."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from builds import versions
from builds.actions import cancel_build, start_build
from builds.agents import slots
from builds.engine import BuildEngine
from builds.models import Build, InputRequest, Stage
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.processes import start_ticks
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db(transaction=True)
GOOD = "pipeline { agent any; stages { stage('a') { steps { echo 'x' } } } }"


@pytest.fixture
def project() -> Project:
    return world.project()


def queued(project: Project) -> Build:
    return start_build(actor=SYSTEM, project=project)


def drive(build: Build) -> Build:
    engines.drive(BuildEngine(), build.pk)
    build.refresh_from_db()
    return build


def running(project: Project, agent: dict[str, Any]) -> Build:
    """A build as a killed agent leaves it: running, its lease over."""
    build = world.build(project, state="running", agent=agent, host="", next_at=None)
    Build.objects.filter(pk=build.pk).update(next_at=Now(), lease_until=None)
    build.refresh_from_db()
    return build


def test_a_queued_build_is_pinned_laid_out_and_waits_for_an_agent_host(project: Project) -> None:
    build = drive(queued(project))
    assert build.state == "queued"
    assert build.pipeline is not None
    assert list(Stage.objects.filter(build=build).values_list("name", "state")) == [("Hello", "pending")]
    assert build.next_at is not None, "no agent host answers here: look again soon"
    assert not build.needs_ops
    assert build.attempts == 0


def test_a_missing_agent_host_never_uses_up_the_patience(project: Project) -> None:
    build = queued(project)
    for _ in range(engines.MAX_ATTEMPTS + 3):
        Build.objects.filter(pk=build.pk).update(next_at=Now())
        drive(build)
    assert (build.state, build.needs_ops) == ("queued", False)


def test_a_queued_build_is_cancelled_at_once(project: Project) -> None:
    build = queued(project)
    cancel_build(actor=SYSTEM, build=build)
    assert drive(build).state == "cancelled"
    assert build.error is None or "Cancelled" in str(build.error)


def test_a_pipeline_that_cannot_run_fails_with_its_place(project: Project) -> None:
    world.pipeline(project, GOOD)
    build = queued(project)
    revision = project.pipeline_revisions.get()
    type(revision).objects.filter(pk=revision.pk).update(text="pipeline {\n  agent any\n  stages {\n")
    assert drive(build).state == "failed"
    assert build.error["code"] == "bad_pipeline"
    assert "line %(line)s" in build.error["sentence"]["msgid"]
    assert build.error["evidence"]


def test_a_build_whose_agent_is_dead_is_buried_with_a_sentence(project: Project) -> None:
    build = running(project, {"pid": 2**22 - 3, "ticks": 1})
    Stage.objects.create(build=build, ident="a", name="a", kind="stage", state="running", order=1)
    Stage.objects.create(build=build, ident="b", name="b", kind="stage", state="succeeded", order=2)
    InputRequest.objects.create(build=build, ident="q", message="Go?")
    assert drive(build).state == "failed"
    assert build.error["code"] == "agent_killed"
    assert list(Stage.objects.order_by("order").values_list("state", flat=True)) == ["cancelled", "succeeded"]
    assert InputRequest.objects.get().answer == "abort"
    assert build.log.complete


def test_a_cancelled_build_whose_agent_is_dead_is_cancelled(project: Project) -> None:
    build = running(project, {"pid": 2**22 - 3, "ticks": 1})
    cancel_build(actor=SYSTEM, build=build)
    assert drive(build).state == "cancelled"


def test_a_build_whose_agent_lives_is_nobody_elses(project: Project) -> None:
    build = running(project, {"pid": os.getpid(), "ticks": start_ticks(os.getpid())})
    assert not engines.drive(BuildEngine(), build.pk)
    build.refresh_from_db()
    assert (build.state, build.fence) == ("running", 0)


def test_a_build_of_another_host_stays_there(project: Project) -> None:
    build = running(project, {"pid": 1, "ticks": 1})
    Build.objects.filter(pk=build.pk).update(host="elsewhere")
    assert not BuildEngine().mine(runs.due(Build)).exists()


def test_a_half_stored_file_is_replaced(project: Project, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"0123456789" * 100)
    name = versions.artifact_name("ab" * 32)
    default_storage.delete(name)
    default_storage.save(name, ContentFile(b"0123"))  # as a kill or a full disk in the middle leaves it
    versions._keep(made, name)
    with default_storage.open(name) as file:
        assert file.read() == made.read_bytes()
    before = default_storage.get_modified_time(name)
    versions._keep(made, name)
    assert default_storage.get_modified_time(name) == before, "what is whole is not written again"
    default_storage.delete(name)


def test_a_slot_says_who_holds_it_until_they_die(tmp_path: Path) -> None:
    number, descriptor = slots.take(tmp_path, 2) or (-1, -1)
    assert number == 0
    assert slots.holders(tmp_path) == []
    ear, mouth = os.pipe()
    pid = os.fork()
    if pid == 0:
        slots.sign(descriptor)
        os.write(mouth, b"x")
        signal.pause()
    os.read(ear, 1)
    assert slots.holders(tmp_path) == [pid]
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert slots.holders(tmp_path) == []
    os.close(descriptor)
    assert slots.take(tmp_path, 1) is not None
