"""People at the ops screen, and rows to look at."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from builds.drivers.registry import distribution
from clusters import connecting
from permissions.models import User
from projects import connections
from projects.drivers.source.gerrit import config, host_keys, source
from projects.drivers.source.gerrit.stream import Patience
from tests import world


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are tried on servers that do answer, here as late as a busy machine lets them; that nobody waits for one
    that does not is asked in tests/clusters."""
    for module, name in (
        (connecting, "TEST_S"), (connections, "TRY_S"), (config, "LONGEST_TIMEOUT_S"), (host_keys, "CONNECT_S"),
        (distribution, "CALL_S"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 240.0)
    monkeypatch.setattr(source, "QUICK", Patience(connect_s=240.0, answer_s=240.0))


@pytest.fixture
def ops(db: Any) -> Client:
    return browser(world.ops())


@pytest.fixture
def root(db: Any) -> Client:
    return browser(User.objects.create_superuser("root", password=None))


@pytest.fixture
def dev(db: Any) -> Client:
    return browser(world.person("dev"))


@pytest.fixture
def clerk(db: Any) -> Client:
    """Staff, but not from ops."""
    return browser(world.person("clerk", is_staff=True))
