"""Engine and follower in one thread, against a real server on a socket: what worker and watch do in a portal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from builds.connections import builder_of
from builds.engine import BuildEngine
from builds.models import Build, RemoteBuild
from builds.remote.follower import Follower
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.models import Connection


class Pump:
    """`until(condition)`: let everything go on until it holds."""

    def __init__(self, connection: Connection) -> None:
        self.follower = Follower(connection.pk)
        self.connection = connection
        self.follows = True

    def turn(self) -> None:
        for build in runs.due(Build).filter(builder_connection=self.connection):
            engines.drive(BuildEngine(), build.pk)
        if self.follows:
            self.follower.tick(builder_of(Connection.objects.get(pk=self.connection.pk)))

    def until(self, condition: Callable[[], Any], *, timeout: float = 180, what: str = "it") -> Any:
        end = time.monotonic() + timeout
        while not (found := condition()):
            assert time.monotonic() < end, f"in vain waited for {what}: {self.told()}"
            self.turn()
            time.sleep(0.05)
        return found

    def ended(self, build: Build, timeout: float = 180) -> Build:
        def over() -> bool:
            build.refresh_from_db()
            return build.is_final

        self.until(over, timeout=timeout, what=f"the end of {build}")
        return build

    def running(self, build: Build) -> RemoteBuild:
        def begun() -> RemoteBuild | None:
            build.refresh_from_db()
            return RemoteBuild.objects.filter(pk=build.pk, build__state="running").first()

        found: RemoteBuild = self.until(begun, what=f"the beginning of {build}")
        return found

    def told(self) -> list[Any]:
        return list(Build.objects.values_list("number", "state", "error", "needs_ops")) + list(
            RemoteBuild.objects.values_list("queue_id", "number", "observed", "ended", "missed")
        )
