"""A small API server, a cluster that is it, and who follows; who hears the news."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.models import Cluster

from . import hearing
from .ground import Hubs, connect
from .raw import RawServer


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture
def cluster(server: RawServer, transactional_db: None) -> Cluster:
    return connect(server.url)


@pytest.fixture
def heard(settings: Any) -> list[set[str]]:
    """What the news said, call by call."""
    settings.CLUSTER_NEWS = "tests.clusters.informers.hearing.hear"
    hearing.HEARD.clear()
    return hearing.HEARD


@pytest.fixture
def hubs(heard: list[set[str]], transactional_db: None) -> Iterator[Hubs]:
    with Hubs() as hubs:
        yield hubs
