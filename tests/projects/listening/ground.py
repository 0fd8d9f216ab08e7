"""What tests of listening stand on: rows, a hub in this process or real watch processes, and what came of it all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from django.db import connection as database
from django.db import connections
from django.db.models.functions import Now

from fangduoduo_release.common.models import Connection, InboxItem, Lease
from projects.listener.hub import Hub
from projects.models import Project, SourceListener
from tests import world
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
State = SourceListener.State
STARTING_S = 150  # of a process that does what is waited for, on a machine with much else to do
HANDS = ("listener-", "comparer-")


def connect(rig: Rig, name: str = "gerrit", **config: Any) -> Connection:
    facts, secrets = rig.connection_facts()
    return Connection.objects.create(name=name, kind="gerrit", config={**facts, **config}, secrets=secrets)


def make_project(rig: Rig, connection: Connection, name: str = "team/app", slug: str = "") -> Project:
    """A portal's project on a repository there, whose tips are known."""
    if rig.gerrit.projects.named(name) is None:
        rig.gerrit.create_project(name)
    user = world.ops(f"olga-{Project.objects.count()}")
    return world.project(user, slug=slug, starter="", source_kind="gerrit", connection=connection, repository=name)


def pushed(project: Project) -> list[str]:
    """Where the project's refs were pushed to, in the order the notices came."""
    rows = InboxItem.objects.filter(topic=f"projects/{project.pk}", kind="push").order_by("id")
    return [payload["new"] for payload in rows.values_list("payload", flat=True)]


def row(connection: Connection) -> SourceListener | None:
    return SourceListener.objects.filter(pk=connection.pk).first()


def wait_row(connection: Connection, timeout: float = 60, **facts: Any) -> SourceListener:
    """Until the listener's row has these values."""

    def right() -> SourceListener | None:
        found = row(connection)
        return found if found and all(getattr(found, name) == value for name, value in facts.items()) else None

    try:
        return until(right, timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}; the row: {vars(row(connection) or object)}") from None


def wait_listening(connection: Connection, timeout: float = 60) -> SourceListener:
    """Until somebody listens and has compared."""
    wait_row(connection, timeout, state=State.LISTENING)
    return until(lambda: (found := row(connection)) and found.compared_at and found, timeout, what="a comparison")


def lapse(connection: Connection) -> None:
    """Whoever listened is dead, and its lease has run out by now: the clock is not waited for."""
    Lease.objects.filter(name=f"listener:{connection.name}").update(until=Now())


class Hubs:
    """Hubs in this process; gone at the end."""

    def __init__(self) -> None:
        self._hubs: list[tuple[Hub, threading.Event]] = []

    def start(self) -> Hub:
        lost = threading.Event()
        hub = Hub(lost)
        hub.grace_s = 3600.0  # no duty renews it here: it would end by itself after a minute
        hub.renew(lost)
        self._hubs.append((hub, lost))
        return hub

    def stop(self, hub: Hub) -> None:
        for one, lost in self._hubs:
            if one is hub:
                lost.set()
                one.join(60)
                assert not one.alive

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hub, _lost in self._hubs:
            self.stop(hub)
        # What their hands hold at that moment they finish; it must not get into the next test's database.
        until(lambda: not any(thread.name.startswith(HANDS) for thread in threading.enumerate()))


class Watches:
    """Real processes `manage.py watch` on the test's own database; killed at the end."""

    def __init__(self, folder: Path, group: str = "sources") -> None:
        self._folder, self._group = folder, group
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        connections.close_all()
        environment = {**os.environ, "FDD_ENV": "local", "DATABASE_URL": database_url(), "NO_COLOR": "1", **more}
        with (self._folder / f"watch{len(self._all)}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "watch", "--only", self._group], cwd=ROOT, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._all.append(process)
        return process

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("watch*.log")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(60)


def database_url() -> str:
    """Of the database this test works on."""
    facts = database.settings_dict
    if database.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    user = f"{quote(facts['USER'])}:{quote(facts['PASSWORD'])}@" if facts["USER"] else ""
    return f"postgres://{user}{quote(facts['HOST'], safe='')}:{facts['PORT'] or 5432}/{facts['NAME']}"
