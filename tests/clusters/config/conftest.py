"""A simulated Consul for each test, and the connection that leads to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.configs import source_of
from fangduoduo_release.common.models import Connection
from tests.simulators.consul import Consul


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
