"""One repository for the whole run of tests, and a ground of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from builds.drivers.builder.embedded import control

from .ground import Ground, Hands, Repository


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    repository = Repository.make(tmp_path_factory.mktemp("repository"))
    commit = repository.commit({"README.md": "hello\n", "src/app.py": "print('hi')\n"}, "First")
    return repository, commit


@pytest.fixture
def ground(tmp_path: Path, sample: tuple[Repository, str]) -> Ground:
    return Ground(tmp_path, *sample)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The clock by which scopes count, to be moved by hand."""
    made = Hands()
    monkeypatch.setattr(control, "time", made)
    return made
