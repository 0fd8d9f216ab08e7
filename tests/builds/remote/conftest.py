"""A project whose builds run on a server in memory."""

from __future__ import annotations

from typing import Any

import pytest

from builds.actions import start_build
from builds.models import Build, RemoteBuild
from builds.pipelines import revision_for
from builds.remote import advance as advancing
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from projects.models import Project
from tests import world

from .server import MemoryServer

TEXT = "pipeline { agent any; stages { stage('Build') { steps { echo 'x' } }; stage('Test') { steps { echo 'y' } } } }"


@pytest.fixture
def server() -> MemoryServer:
    advancing._resting.clear()
    return MemoryServer()


@pytest.fixture
def connection(db: Any) -> Connection:
    return Connection.objects.create(
        name="ci", kind="jenkins", config={"url": "http://127.0.0.1:9", "user": "fdd"}, secrets={"token": "t"}
    )


@pytest.fixture
def project(connection: Connection) -> Project:
    made = world.project()
    world.pipeline(made, TEXT)
    Project.objects.filter(pk=made.pk).update(builder_kind="jenkins", builder_connection=connection)
    return Project.objects.get(pk=made.pk)


@pytest.fixture
def build(project: Project) -> Build:
    return queued(project)


def queued(project: Project) -> Build:
    """A build with its pipeline pinned, as the engine has it before the first step elsewhere."""
    made = start_build(actor=SYSTEM, project=project)
    Build.objects.filter(pk=made.pk).update(
        pipeline=revision_for(project, made.commit_sha), builder_connection=project.builder_connection
    )
    return Build.objects.select_related("project", "builder_connection", "pipeline").get(pk=made.pk)


def placed(build: Build, **facts: Any) -> RemoteBuild:
    """A build that the server was told of."""
    path = f"fdd/{build.project.slug}"
    defaults = {"connection": build.builder_connection, "job": path, **facts}
    return RemoteBuild.objects.create(build=build, **defaults)


def claimed(build: Build) -> Build:
    """The build under a claim, as an engine's step gets it."""
    runs.poke(build)
    Build.objects.filter(pk=build.pk).update(lease_until=None)
    held = runs.claim(Build, build.pk)
    assert held is not None
    return held
