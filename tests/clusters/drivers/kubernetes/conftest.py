"""A simulated cluster, and a place on it for the runtime; files that need others say so themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.drivers.runtime.kubernetes import api, async_api
from clusters.drivers.runtime.kubernetes import exec as programs
from tests.clusters.drivers.kubernetes.places import KubernetesPlace, place_on
from tests.simulators.kubernetes_rig import Rig


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers may take longer than in earnest: both ends of a connection are this process, and it may be a busy one."""
    for client in (api, async_api):
        monkeypatch.setattr(client, "CONNECT_S", 60.0)
    monkeypatch.setattr(programs, "OPEN_S", 60.0)
    assert api.Api.ask.__kwdefaults__ is not None
    monkeypatch.setitem(api.Api.ask.__kwdefaults__, "timeout_s", 60.0)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        yield made
        assert made.failures == []


@pytest.fixture
def place(rig: Rig) -> KubernetesPlace:
    return place_on(rig)
