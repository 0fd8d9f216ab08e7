"""The web process as it is run: daphne (plain and with flow control) and uvicorn on free ports, on the test's database."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from guardian.shortcuts import assign_perm
from websockets.asyncio.client import connect
from websockets.typing import Origin

from builds.models import Build
from permissions.models import ApiToken, User
from projects.models import Project
from tests.portal import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent.parent.parent
APPLICATION = "fangduoduo_release.asgi:application"
KINDS = ("daphne", "uvicorn")


def database_url() -> str:
    """The test database as another process reaches it."""
    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    place = f"{facts['HOST'] or 'localhost'}:{facts['PORT'] or 5432}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{place}/{facts['NAME']}"


class Server:
    """One web process. `address` is host:port; `options` are of the kind's own command line."""

    def __init__(self, kind: str, *, application: str = APPLICATION, options: Sequence[str] = (), **env: str) -> None:
        self.kind = kind
        self.address = f"127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        command = {
            "daphne": ["-m", "projects.git_http.daphne_server", "-b", "127.0.0.1", "-p", port],
            "uvicorn": ["-m", "uvicorn", "--host", "127.0.0.1", "--port", port, "--log-level", "warning"],
        }[kind]
        self.process = subprocess.Popen(
            [sys.executable, *command, *options, application],
            cwd=ROOT,
            env={**os.environ, "FDD_VAR": str(settings.VAR), "DATABASE_URL": database_url(), **env},
            stdin=subprocess.DEVNULL,
        )
        try:
            until(self._answers, timeout=600, what=f"{kind} to listen")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{self.kind} ended"
        host, _, port = self.address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False

    def memory(self) -> float:
        """Resident MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1024 / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def socket(self, path: str, user: User | None = None, *, origin: str | None = "", **options: Any) -> Any:
        """A WebSocket as a page of this portal opens it, signed in as `user`; `origin` None sends none."""
        headers = options.pop("additional_headers", {})
        if user is not None:
            headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={session_of(user)}"
        shown = f"http://{self.address}" if origin == "" else origin
        return connect(
            f"ws://{self.address}{path}",
            additional_headers=headers,
            origin=Origin(shown) if shown is not None else None,
            open_timeout=120,
            proxy=None,
            **options,
        )


def session_of(user: User) -> str:
    """The key of a new session, as the cookie carries it."""
    client = Client()
    client.force_login(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def bearer(user: User) -> dict[str, str]:
    """Headers with a new token of the user's."""
    _, token = ApiToken.make(user, "test")
    return {"Authorization": f"Bearer {token}"}


def running(kind: str, **more: Any) -> Iterator[Server]:
    """For fixtures: a server that is stopped at the end."""
    server = Server(kind, **more)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def open_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database without a flush after every test: that would renumber the content types that servers remember.
    Tests make rows of their own; everything is removed after the module. Import `_django_db_helper` beside it."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


@pytest.fixture
def _django_db_helper(open_database: None) -> None:
    """In the place of pytest-django's own, which flushes."""


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A real web process of each kind on the test's database."""
    yield from running(request.param)


@pytest.fixture
def project(open_database: None) -> Project:
    return Project.objects.create(slug=f"p{uuid.uuid4().hex[:12]}", name="Shop")


@pytest.fixture
def build(project: Project) -> Build:
    return Build.objects.create(
        project=project, number=1, trigger="manual", ref="refs/heads/main", commit_sha="a" * 40, state="running"
    )


@pytest.fixture
def dev(project: Project) -> User:
    """May see the project."""
    user = User.objects.create_user(f"dev-{uuid.uuid4().hex[:8]}")
    assign_perm("view_project", user, project)
    return user


@pytest.fixture
def guest(open_database: None) -> User:
    """May see nothing."""
    return User.objects.create_user(f"guest-{uuid.uuid4().hex[:8]}")
