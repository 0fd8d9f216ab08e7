"""Workshops for the tests of the run machine: on SQLite always, on PostgreSQL where FDD_TEST_DATABASE_URL names one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.require import need_env

from .workshop.shop import Shop


def _backend(request: pytest.FixtureRequest) -> str:
    if request.param == "postgresql":
        need_env("FDD_TEST_DATABASE_URL")
    return str(request.param)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One workshop for all tests that only call code inside; every test makes its own rows."""
    opened = Shop.open(tmp_path_factory.mktemp("shop"), _backend(request))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def own_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A workshop of one's own, for tests with processes and kills."""
    opened = Shop.open(tmp_path, _backend(request))
    yield opened
    opened.close()


@pytest.fixture
def sqlite_shop(tmp_path: Path) -> Iterator[Shop]:
    """The same on SQLite only, where the database makes no difference."""
    opened = Shop.open(tmp_path, "sqlite")
    yield opened
    opened.close()


@pytest.fixture
def shop_on_server(tmp_path: Path) -> Iterator[Shop]:
    """The same on PostgreSQL only."""
    need_env("FDD_TEST_DATABASE_URL")
    opened = Shop.open(tmp_path, "postgresql")
    yield opened
    opened.close()
