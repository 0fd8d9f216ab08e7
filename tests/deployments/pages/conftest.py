"""What tests of pages about Kubernetes have in common: a project on a simulated cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.kubernetes_rig import Pace, Rig

from .ground import Ground


@pytest.fixture
def ground(db: None) -> Iterator[Ground]:
    """A project on a namespace of a simulated cluster."""
    with Rig(pace=Pace(second=0.1)) as rig:
        yield Ground(rig)
