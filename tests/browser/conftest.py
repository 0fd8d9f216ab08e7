"""One real portal for all browser tests; every test has visitors of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.portal import Portal
from tests.require import need

from .visitor import Visitor


@pytest.fixture(scope="session")
def house(browser: Any) -> Iterator[Portal]:
    """The running portal with the sample, shared by the session (sockets' paths must be short)."""
    need("git")
    as_in_life = {"DJANGO_ALLOW_ASYNC_UNSAFE": ""}  # set here for playwright's sake; the portal must not have it
    with tempfile.TemporaryDirectory(prefix="fdd-") as folder, Portal(Path(folder) / "var", env=as_in_life) as portal:
        yield portal


@pytest.fixture
def visit(browser: Any, house: Portal) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors; whatever their browsers complained about fails the test."""
    made: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        made.append(Visitor(browser, house, **options))
        return made[-1]

    yield make
    for visitor in made:
        visitor.context.close()
    assert [visitor.complaints for visitor in made if visitor.complaints] == []
