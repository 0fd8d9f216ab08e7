"""The fixture `cluster`: import it into a conftest or a test file (`from tests.simulators.kubernetes.fixtures import cluster`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.kubernetes_rig import Rig


@pytest.fixture
def cluster() -> Iterator[Rig]:
    """An empty, quick cluster with one node and an administrator `portal`; its own controllers must not have failed."""
    with Rig() as rig:
        yield rig
        failures = rig.failures
    assert not failures, failures[0]
