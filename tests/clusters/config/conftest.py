"""A simulated Consul for each test, and the connection that leads to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters import configs, connecting
from clusters.configs import source_of
from clusters.drivers.config import consul as driver
from clusters.drivers.config import consul_follow
from fangduoduo_release.common import exchange
from fangduoduo_release.common.models import Connection
from tests.simulators.consul import Consul


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers may take longer than in earnest: the simulated Consul shares this process's time."""
    for asks in (exchange, consul_follow):
        monkeypatch.setattr(asks, "CONNECT_S", 60.0)
    monkeypatch.setattr(driver, "CALL_S", 60.0)
    monkeypatch.setattr(configs, "PATIENCE_S", 60.0)
    monkeypatch.setattr(connecting, "TEST_S", 120.0)


@pytest.fixture
def consul() -> Iterator[Consul]:
    with Consul() as server:
        yield server


def connection_to(consul: Consul, *, name: str = "kv", token: str = "", **config: Any) -> Connection:
    secrets = {"token": token} if token else {}
    return Connection.objects.create(name=name, kind="consul", config={"url": consul.url, **config}, secrets=secrets)


def source_at(consul: Consul, **options: Any) -> Any:
    """The driver, as the portal makes it."""
    return source_of(connection_to(consul, **options))
