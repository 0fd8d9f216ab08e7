"""Callers and a small world for the API's tests."""

from __future__ import annotations

from typing import Any

import pytest

from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.actions import save_spec
from projects.models import Project
from tests import world

from .door import Door

SPEC = {"command": ["python3", "server.py"], "replicas": 1, "env": {"A": "1"}}


@pytest.fixture
def owner(db: Any) -> User:
    return world.person("ann")


@pytest.fixture
def ann(owner: User) -> Door:
    """The project's owner."""
    return Door(owner)


@pytest.fixture
def ops(db: Any) -> Door:
    return Door(world.ops())


@pytest.fixture
def stranger(db: Any) -> Door:
    return Door(world.person("zoe"))


@pytest.fixture
def developer(project: Project) -> Door:
    return Door(world.member(project, "developer", "dan"))


@pytest.fixture
def nobody() -> Door:
    return Door()


@pytest.fixture
def project(owner: User) -> Project:
    made = world.project(owner, "shop")
    save_spec(actor=SYSTEM, project=made, spec=SPEC)
    return made
