"""A simulated cluster, and a place on it for the runtime; files that need others say so themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters.drivers.kubernetes.places import KubernetesPlace, place_on
from tests.simulators.kubernetes_rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        yield made
        assert made.failures == []


@pytest.fixture
def place(rig: Rig) -> KubernetesPlace:
    return place_on(rig)
