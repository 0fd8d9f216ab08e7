"""A simulated Gerrit, the driver behind a connection to it, and a project there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from projects.drivers.source.base import Repository
from projects.drivers.source.gerrit import GerritConfig, GerritSource
from projects.drivers.source.git import GitConfig
from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig

__all__ = ["gerrit_rig"]
ROOT = Path(__file__).parents[3]
APP = Repository("team/app")


def git_config(folder: Path) -> GitConfig:
    return GitConfig(
        root=folder / "repositories",
        mirrors=folder / "mirrors",
        starters=ROOT / "examples" / "starters",
        clone_base="http://portal/git",
        fetch_wait=240.0,  # however slow the machine is
    )


def config_of(rig: Rig, folder: Path, **changes: Any) -> GerritConfig:
    """The rig's connection; `changes` replace fields of config or secrets."""
    config, secrets = rig.connection_facts()
    for name, value in changes.items():
        (secrets if name in secrets else config)[name] = value
    return GerritConfig.of(config, secrets, git_config(folder))


def source_of(rig: Rig, folder: Path, **changes: Any) -> GerritSource:
    return GerritSource(config_of(rig, folder, **changes))


@pytest.fixture
def source(gerrit_rig: Rig, tmp_path: Path) -> GerritSource:
    return source_of(gerrit_rig, tmp_path)


@pytest.fixture
def app(gerrit_rig: Rig) -> Repository:
    """`team/app`: a project with a file and a few commits."""
    gerrit_rig.gerrit.create_project(APP.name)
    gerrit_rig.gerrit.push(APP.name, files={"README.md": "# App\n", "src/main.py": "print('hello')\n"}, message="Begin")
    return APP
