"""The fixture `jenkins`: import it into a conftest or a test file (`from tests.simulators.jenkins.fixtures import jenkins`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import Jenkins


@pytest.fixture
def jenkins(tmp_path: Path) -> Iterator[Jenkins]:
    """An empty Jenkins that begins builds at once also without `delay`."""
    with Jenkins(quiet_period=0, home=tmp_path / "jenkins") as running:
        yield running
