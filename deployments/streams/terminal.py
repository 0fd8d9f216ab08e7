"""`/ws/services/<id>/terminal/?instance=&container=`: a shell in an instance. The protocol is written in clusters/terminals.py."""

from __future__ import annotations

import re
from asyncio import Future
from typing import Any

from django.db import transaction

from clusters.drivers.runtime.streams import Start, Terminal
from clusters.streams import seat_in
from clusters.terminals import Outcome, TerminalSockets
from deployments import wanted
from deployments.models import Service
from deployments.rights import require_terminal
from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.sockets.guards import Who
from fangduoduo_release.common.sockets.identity import user_of

from .choosing import NAME, chosen, rows

PATH = re.compile(r"/ws/services/([0-9]{1,18})/terminal/")


class ServiceDoor:
    """One attempt to open a terminal in an instance of a service."""

    def __init__(self, pk: int, instance: str, container: str) -> None:
        self._pk = pk
        self._instance, self._container = instance, container
        self._user: Any = None
        self._service: Service | None = None
        self._start: Start | None = None
        self._lost: AppError | None = None  # why there is no way to the instance

    @property
    def who(self) -> Who:
        return user_of

    def check(self, user: Any) -> object:
        service = rows().order_by().filter(pk=self._pk).first()  # in no order: to write one down costs as much again
        if service is None:
            raise NotFound(S("There is nothing here, or you may not see it."))
        require_terminal(user, service)  # refuses who may not even see it with the same words, and asks once
        if self._service is None:
            self._user, self._service = user, service
            if not self._instance:
                self._instance, self._container = chosen(service.instances.all(), "", self._container)
            self._find_way(service)
        if not self._instance:
            raise NotFound(S("No instance runs."))
        return service

    def _find_way(self, service: Service) -> None:
        """In the same turn in the pool. Why there is none is told when it is opened: it says nothing of who may."""
        try:
            cluster, ref = service.machine.cluster, wanted.ref_of(service)
            self._container, self._start = seat_in(cluster, ref, self._instance, self._container)
        except AppError as error:
            self._lost = error

    async def open(self, cols: int, rows: int, after: Future[None]) -> Terminal:
        if self._lost is not None:
            raise self._lost
        assert self._start is not None
        return await self._start(size=(cols, rows), after=after)

    def record(self, outcome: Outcome | None) -> None:
        assert self._service is not None
        after: dict[str, Any] = {**self.facts()}
        if outcome is not None:
            after |= {
                "seconds": round(outcome.seconds, 1),
                "exit_code": outcome.exit_code,
                "typed_bytes": outcome.typed,
                "shown_bytes": outcome.shown,
            }
            after |= {"reason": outcome.reason} if outcome.reason else {}
        with transaction.atomic():
            verb = "service.terminal" if outcome is None else "service.terminal_closed"
            trail.record(self._user, verb, self._service, after=after)

    def facts(self) -> dict[str, str]:
        return {"instance": self._instance, "container": self._container}


def plan(found: re.Match[str], query: dict[str, str]) -> ServiceDoor | None:
    """The door for an address; None when its names cannot be names."""
    instance, container = query.get("instance", ""), query.get("container", "")
    if not NAME.fullmatch(instance) or not NAME.fullmatch(container):
        return None
    return ServiceDoor(int(found[1]), instance, container)


def sockets() -> TerminalSockets:
    return TerminalSockets(PATH, plan)
