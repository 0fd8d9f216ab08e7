"""What all tests of deployments have in common."""

from __future__ import annotations

import pytest

from clusters.drivers.runtime.kubernetes import seeing


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody watches the cluster unless a test says so, and each look is one of its own, however fast they come."""
    monkeypatch.setattr(seeing, "DIRECT_S", 0.0)
