"""A simulated Gerrit for every test here; where asked for, the connection to it, a project there, and who listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fangduoduo_release.common.models import Connection
from projects.models import Project
from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig

from .ground import Hubs, Watches, connect, make_project

__all__ = ["gerrit_rig"]


@pytest.fixture
def connection(gerrit_rig: Rig, transactional_db: None) -> Connection:
    return connect(gerrit_rig)


@pytest.fixture
def app(gerrit_rig: Rig, connection: Connection) -> Project:
    return make_project(gerrit_rig, connection)


@pytest.fixture
def hubs(transactional_db: None) -> Iterator[Hubs]:
    with Hubs() as hubs:
        yield hubs


@pytest.fixture
def watches(transactional_db: None, tmp_path: Path) -> Iterator[Watches]:
    with Watches(tmp_path) as watches:
        yield watches
