"""What every test may use, and in which order they run: fast ones first, then slow ones, then the browser."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, connections
from django.test import override_settings
from django.utils import translation

from .common.workshop.shop import drop_template
from .portal import Portal, migrated_database
from .require import need
from .waiting import until

SERVERS = ("DATABASE_URL", "REDIS_URL")
# No example is judged by how long a busy machine takes for it. What fails on the build server fails everywhere.
hypothesis.settings.register_profile(
    "fdd",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
hypothesis.settings.load_profile("fdd")
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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
    """Remove the data folder that tests/environment.py made for this run (not in xdist's workers: they share it), and
    what the workers shared on a server."""
    folder = Path(os.environ.get("FDD_VAR", ""))
    if hasattr(config, "workerinput"):
        return
    drop_template()
    if folder.name.startswith("fdd-test-"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def plain_static_files() -> Iterator[None]:
    """Pages link to static files by their plain names: nothing was collected for a test run. Told to Django as a change
    of settings, because a module may have asked for a storage when it was imported."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
        yield


@pytest.fixture(autouse=True)
def nobodys_language() -> Iterator[None]:
    """A test begins in the portal's own language: a request in another one leaves it chosen for the thread."""
    translation.deactivate()
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None) -> bool:
    """On SQLite a run, and each worker of it, begins with a copy of a database that was migrated once; on other servers
    with an empty one."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return False
    name = database["TEST"]["NAME"]
    for left in (f"{name}-wal", f"{name}-shm"):  # of a run that was killed; they would be read into the copy
        Path(left).unlink(missing_ok=True)
    shutil.copyfile(migrated_database(os.environ), name)
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """At the end nobody else is in the database: a server does not remove one that somebody is in."""
    yield
    if connection.vendor != "postgresql":
        return
    with django_db_blocker.unblock():
        with ThreadPoolExecutor(1) as apart:  # from playwright's loop
            apart.submit(
                lambda: asyncio.run(sync_to_async(connections.close_all)())
            ).result()  # all async tests' thread
        gc.collect()  # connections of threads that have ended; they lie in circles
        try:
            until(lambda: not sessions_of_others(), what="others to leave the database")
        except AssertionError:
            threads = [thread.name for thread in threading.enumerate()]
            warnings.warn(f"still in the database: {sessions_of_others()}; threads: {threads}", stacklevel=1)


def sessions_of_others() -> list[tuple[str, str]]:
    """(state, last statement) of each session in the test's database but our own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, left(query, 200) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return list(cursor.fetchall())


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One chromium for the session; playwright runs its loop in the test's own thread, so there can be no second one."""
    path = need("chromium|chromium-browser|google-chrome")[0]
    from playwright.sync_api import sync_playwright

    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM, timeout=240_000)
        yield chromium
        chromium.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
