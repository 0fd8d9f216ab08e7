"""A simulated Gerrit, a webhook, and triggers between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig

from .ground import Hook, Triggers

__all__ = ["gerrit_rig"]


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    with hook.receiver.serving():
        yield hook


@pytest.fixture
def triggers(gerrit_rig: Rig, hook: Hook, tmp_path: Path) -> Iterator[Triggers]:
    gerrit_rig.gerrit.create_project("team/app")
    with Triggers(gerrit_rig, hook.receiver.url, tmp_path) as triggers:
        yield triggers
