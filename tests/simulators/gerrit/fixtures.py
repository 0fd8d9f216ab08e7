"""The fixture `gerrit_rig`: import it into a conftest or a test file (`from tests.simulators.gerrit.fixtures import gerrit_rig`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.gerrit_rig import Rig


@pytest.fixture
def gerrit_rig(tmp_path: Path) -> Iterator[Rig]:
    """A Gerrit with a portal's account and no project."""
    with Rig(tmp_path / "gerrit") as rig:
        yield rig
