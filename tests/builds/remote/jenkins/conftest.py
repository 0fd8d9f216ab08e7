"""A project whose builds run on a Jenkins: the simulator, on a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from builds.remote import advance as advancing
from fangduoduo_release.common.models import Connection
from projects.models import Project
from tests import world
from tests.builds.remote.pump import Pump
from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.fixtures import jenkins

from .shop import Gate

__all__ = ["jenkins"]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
def connection(jenkins: Jenkins) -> Connection:
    advancing._resting.clear()
    config = {"url": jenkins.url, "user": jenkins.user, "folder": "fdd"}
    return Connection.objects.create(name="ci", kind="jenkins", config=config, secrets={"token": jenkins.token})


@pytest.fixture
def project(connection: Connection) -> Project:
    made = world.project(slug="shop")
    Project.objects.filter(pk=made.pk).update(builder_kind="jenkins", builder_connection=connection)
    return Project.objects.get(pk=made.pk)


@pytest.fixture
def pump(connection: Connection) -> Pump:
    return Pump(connection)
