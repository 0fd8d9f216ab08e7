"""A build's commit is brought before it begins; a Git server that is away for a while fails no build."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from builds.actions import cancel_build
from builds.agents import bringing
from builds.drivers.builder.base import StopSignal
from builds.models import Build
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.models import Connection, Event
from fangduoduo_release.common.sentence import S
from projects.models import Project
from projects.sources import source_of
from tests import world
from tests.projects.listening.ground import connect, make_project
from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

__all__ = ["gerrit_rig"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app(gerrit_rig: Rig, transactional_db: None) -> Project:
    return make_project(gerrit_rig, connect(gerrit_rig))


def running(project: Project, sha: str, ref: str = "refs/heads/master") -> Build:
    """As it is when its agent has begun."""
    build = world.build(project, state="running", commit_sha=sha, ref=ref)
    Build.objects.filter(pk=build.pk).update(next_at=runs.in_seconds(-1))
    held = runs.claim(Build, build.pk)
    assert held is not None
    return held


def is_here(project: Project, sha: str) -> bool:
    source, repository = source_of(project)
    return bool(source._has(repository, sha))  # type: ignore[attr-defined]


class Bringing(threading.Thread):
    """An agent that brings the commit of a build."""

    def __init__(self, build: Build) -> None:
        super().__init__(daemon=True)
        self.build, self.stop = build, StopSignal()
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            bringing.bring(self.build, self.stop)
        except (AppError, bringing.Stopped, runs.LostClaim) as error:
            self.error = error
        finally:
            connections.close_all()

    def waits(self) -> str:
        events = Event.objects.filter(topic=self.build.topic, kind="source_away")
        return str(until(events.first, what="the word that it waits").data)

    def ended(self) -> Exception | None:
        self.join(120)
        assert not self.is_alive()
        return self.error


def test_a_build_that_begins_while_its_server_is_away_waits_for_it_and_says_so(gerrit_rig: Rig, app: Project) -> None:
    sha = gerrit_rig.gerrit.push("team/app")
    build = running(app, sha)
    gerrit_rig.gerrit.faults.restart()
    agent = Bringing(build)
    assert "cannot be reached now" in agent.waits()
    gerrit_rig.gerrit.faults.come_back()
    assert agent.ended() is None
    assert is_here(app, sha)
    assert Event.objects.filter(topic=build.topic, kind="source_away").count() == 1
    assert Build.objects.get(pk=build.pk).state == "running"


def test_a_commit_that_is_here_already_needs_no_server(gerrit_rig: Rig, app: Project) -> None:
    sha = gerrit_rig.gerrit.push("team/app")
    build = running(app, sha)
    bringing.bring(build, StopSignal())
    gerrit_rig.gerrit.faults.restart()
    bringing.bring(build, StopSignal())
    assert not Event.objects.filter(kind="source_away").exists()


def test_a_tags_build_waits_until_the_tag_is_sure_to_be_here(gerrit_rig: Rig, app: Project) -> None:
    sha = gerrit_rig.gerrit.push("team/app")
    bringing.bring(running(app, sha), StopSignal())
    gerrit_rig.gerrit.tag("team/app", "v1")
    gerrit_rig.gerrit.faults.restart()
    agent = Bringing(running(app, sha, "refs/tags/v1"))
    agent.waits()
    gerrit_rig.gerrit.faults.come_back()
    assert agent.ended() is None
    source, repository = source_of(app)
    assert (source.path(repository) / "refs" / "tags" / "v1").is_file()  # type: ignore[attr-defined]


def test_who_cancels_a_build_that_waits_is_heeded_at_once(gerrit_rig: Rig, app: Project) -> None:
    build = running(app, gerrit_rig.gerrit.push("team/app"))
    gerrit_rig.gerrit.faults.restart()
    agent = Bringing(build)
    agent.waits()
    cancel_build(actor=SYSTEM, build=build)
    stopped = agent.ended()
    assert isinstance(stopped, bringing.Stopped)
    assert stopped.state == "cancelled"


def test_a_portal_that_stops_meanwhile_says_so(gerrit_rig: Rig, app: Project) -> None:
    build = running(app, gerrit_rig.gerrit.push("team/app"))
    gerrit_rig.gerrit.faults.restart()
    agent = Bringing(build)
    agent.waits()
    agent.stop.drop(S("The portal was stopped."))
    stopped = agent.ended()
    assert isinstance(stopped, bringing.Stopped)
    assert (stopped.state, str(stopped.sentence)) == ("failed", "The portal was stopped.")


def test_a_claim_that_is_lost_meanwhile_ends_it(gerrit_rig: Rig, app: Project) -> None:
    build = running(app, gerrit_rig.gerrit.push("team/app"))
    gerrit_rig.gerrit.faults.restart()
    agent = Bringing(build)
    agent.waits()
    Build.objects.filter(pk=build.pk).update(fence=build.fence + 1)
    assert isinstance(agent.ended(), runs.LostClaim)


def test_the_patience_ends(gerrit_rig: Rig, app: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "PATIENCE_S", 0.0)
    build = running(app, gerrit_rig.gerrit.push("team/app"))
    gerrit_rig.gerrit.faults.restart()
    with pytest.raises(Unavailable):
        bringing.bring(build, StopSignal())


def test_a_repository_that_lives_here_is_brought_from_nowhere() -> None:
    project = world.project()
    bringing.bring(running(project, "1" * 40), StopSignal())
    assert not Connection.objects.exists()
