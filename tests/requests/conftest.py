"""A project with people of every kind, and machines that wait to be granted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters.models import Machine
from permissions.models import User
from projects import requests
from projects.models import AccessRequest, Project
from tests import world


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def ann(db: Any) -> User:
    """The owner."""
    return world.person("ann")


@pytest.fixture
def project(ann: User) -> Project:
    return world.project(ann, "shop")


@pytest.fixture
def dev(project: Project) -> User:
    """A developer of the project."""
    return world.member(project, "developer", "dev")


@pytest.fixture
def zoe(db: Any) -> User:
    """A stranger."""
    return world.person("zoe")


@pytest.fixture
def olga(db: Any) -> User:
    return world.ops("olga")


@pytest.fixture
def omar(db: Any) -> User:
    """A second person from ops."""
    return world.ops("omar")


@pytest.fixture
def test_a(db: Any) -> Machine:
    return world.machine("test-a", "test")


@pytest.fixture
def prod(db: Any) -> Machine:
    return world.machine("prod", "production")


Ask = Callable[..., AccessRequest]


@pytest.fixture
def ask(project: Project) -> Ask:
    """`ask(person, role="viewer")` or `ask(person, machine=…)`; reasons are given where the test does not care."""

    def wish(actor: Any, *, role: str = "", machine: Machine | None = None, **more: Any) -> AccessRequest:
        kind = "machine" if machine is not None else "role"
        facts = {"slug": project.slug, "reason": "to look after it", **more}
        return requests.ask(actor=actor, kind=kind, role=role, machine=machine, **facts)

    return wish
