"""One portal for all of these tests, with short leases so that waiting for them is short too."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import LEASE_S, Ground
from tests.faults.site import Clone, Site, until
from tests.portal import Portal


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="fdd-") as folder,
        Portal(Path(folder) / "var", env={"FDD_LEASE_S": str(LEASE_S), "FDD_STOP_S": "90"}) as portal,
        Site(portal) as site,
    ):
        site.spec()
        site.ended(1)
        yield site


@pytest.fixture(scope="package")
def clone(site: Site) -> Clone:
    return site.clone()


@pytest.fixture
def ground(site: Site) -> Iterator[Ground]:
    """Afterwards no process of a build may be left."""
    found = Ground(site.portal)
    yield found
    until(lambda: not found.left_over(), what="no process of a build to be left")
