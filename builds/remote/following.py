"""The duty that follows every build server: two threads a server, one for states and one for logs that are watched.

`follow` is called every second by the one process that holds the duty's lease, and is what keeps the threads alive: when
the calls stop, because the lease went elsewhere or the watch ends, they end within GRACE_S. Two processes that follow
one server for those seconds do no harm: facts are the same facts, and a log has one reader by its fence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from builds.connections import builder_of
from builds.drivers.builder.remote import RemoteBuilder
from builds.models import RemoteBuild
from builds.remote.follower import Follower
from builds.remote.logs import LogReader
from fangduoduo_release.common import leases
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.runs import LostClaim

logger = logging.getLogger(__name__)
GRACE_S = 5.0
LOGS_EVERY_S = 0.5
BEAT_S = 5.0
AWAY_S = 2.0

_lines: dict[tuple[str, int], Line] = {}


class Line:
    """A thread that calls `work` again and again, as long as somebody renews it."""

    def __init__(self, name: str, work: Callable[[], float]) -> None:
        self._work = work
        self.until = time.monotonic() + GRACE_S
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while time.monotonic() < self.until:
                time.sleep(self._turn())
        finally:
            connections.close_all()

    def _turn(self) -> float:
        try:
            return self._work()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("%s cannot reach its database: %s", self._thread.name, error)
            connections.close_all()
        except Exception:  # one bad answer must not end the following of all builds: told, and tried again
            logger.exception("%s stumbled", self._thread.name)
        return AWAY_S


def follow() -> int:
    """Keep a pair of threads for every server with builds that have not ended; how many servers."""
    active = set(RemoteBuild.objects.filter(ended=False).values_list("connection_id", flat=True).distinct())
    for pk in active:
        for kind, make in (("states", _states), ("logs", _logs)):
            line = _lines.get((kind, pk))
            if line is None or not line.alive:
                _lines[kind, pk] = Line(f"jenkins-{kind}-{pk}", make(pk))
            else:
                line.until = time.monotonic() + GRACE_S
    for key in [key for key, line in _lines.items() if not line.alive]:
        del _lines[key]
    return len(active)


def _states(connection_id: int) -> Callable[[], float]:
    follower = Follower(connection_id)
    driver = _Driver(connection_id)
    told = 0.0

    def turn() -> float:
        nonlocal told
        try:
            pause = follower.tick(driver.get())
        except AppError as error:  # the connection cannot be used as it is
            pause = follower.trouble(error)
        if time.monotonic() - told > BEAT_S:
            told = time.monotonic()
            leases.beat(f"follower:{driver.name}", "follower", failures=follower.failures, error=follower.error)
        return pause

    return turn


def _logs(connection_id: int) -> Callable[[], float]:
    driver = _Driver(connection_id)
    readers: dict[int, LogReader] = {}

    def turn() -> float:
        began = time.monotonic()
        rows = RemoteBuild.objects.filter(
            connection=connection_id, ended=False, number__isnull=False, watched_until__gt=timezone.now()
        ).select_related("build", "build__pipeline", "build__project")
        watched = {row.pk: row for row in rows}
        for pk in [pk for pk in readers if pk not in watched]:
            del readers[pk]
        for pk, row in watched.items():
            _read(pk, row, readers, driver)
        return max(0.05, LOGS_EVERY_S - (time.monotonic() - began))

    return turn


def _read(pk: int, row: RemoteBuild, readers: dict[int, LogReader], driver: _Driver) -> None:
    """A reader that fails is forgotten; the next turn begins anew from what is stored."""
    try:
        if pk not in readers:
            readers[pk] = LogReader(row)
        readers[pk].read(driver.get(), until=time.monotonic() + 2.0)
    except LostClaim:
        readers.pop(pk, None)
    except AppError as error:
        readers.pop(pk, None)
        logger.debug("the log of build %s cannot be read: %s", pk, error.sentence)


class _Driver:
    """The driver of a connection, made anew when the connection was changed."""

    def __init__(self, connection_id: int) -> None:
        self._pk = connection_id
        self._made: RemoteBuilder | None = None
        self._from: object = None
        self._looked = 0.0
        self.name = str(connection_id)

    def get(self) -> RemoteBuilder:
        if self._made is None or time.monotonic() - self._looked > BEAT_S:
            connection = Connection.objects.get(pk=self._pk)
            self._looked = time.monotonic()
            facts = (connection.config, connection.secrets)
            if self._made is None or facts != self._from:
                self._made, self._from, self.name = builder_of(connection), facts, connection.name
        return self._made
