"""What every test may use, and in which order they run: fast ones first, then slow ones, then the browser."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .portal import Portal

SERVERS = ("DATABASE_URL", "REDIS_URL")


def weight(item: pytest.Item) -> int:
    """0 fast, 1 slow, 2 browser, 3 against a live server."""
    for number, marker in ((3, "live"), (2, "browser"), (1, "slow")):
        if item.get_closest_marker(marker):
            return number
    return 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order by weight; tests that need a real server elsewhere run only when they are asked for (`-m live`)."""
    items.sort(key=weight)
    if "live" not in (config.option.markexpr or ""):
        skip = pytest.mark.skip(reason="needs a real server: make live")
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(skip)


def pytest_report_header() -> str:
    chosen = [name for name in SERVERS if os.environ.get(name)]
    return "stored in: " + (", ".join(chosen) if chosen else "SQLite, no Redis")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the data folder that tests/environment.py made for this run (not in xdist's workers: they share it)."""
    folder = Path(os.environ.get("FDD_VAR", ""))
    if not hasattr(config, "workerinput") and folder.name.startswith("fdd-test-"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short name: sockets' paths may have 107 bytes only, and pytest's own are long."""
    with tempfile.TemporaryDirectory(prefix="fdd-") as folder:
        yield Path(folder)


@pytest.fixture
def portals(short_path: Path) -> Iterator[Callable[..., Portal]]:
    """Makes portals, each with its own data; whatever still runs at the end is stopped and swept."""
    made: list[Portal] = []

    def make(**options: object) -> Portal:
        made.append(Portal(short_path / f"var{len(made)}", **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    with contextlib.ExitStack() as stack:
        for portal in made:
            stack.callback(portal.sweep)
            stack.callback(portal.stop)


@pytest.fixture
def portal(portals: Callable[..., Portal]) -> Portal:
    """One running portal with the sample."""
    return portals().start()
