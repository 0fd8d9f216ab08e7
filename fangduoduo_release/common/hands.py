"""A few threads that do for a loop what would hold it up: everything that touches the database or a server.

Daemon threads, so that a process can end while one of them waits for somebody.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connections

T = TypeVar("T")
AWAY = (OperationalError, InterfaceError)  # the database is away, or busy for too long


class Hands:
    """`count` threads, begun when they are needed."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._threads: list[threading.Thread] = []
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = (
            queue.SimpleQueue()
        )

    async def do(self, work: Callable[..., T], *given: Any) -> T:
        """The answer of `work(*given)`, or what it raised. Cancelled before its turn it is not done at all."""
        if len(self._threads) < self._count:
            name = f"{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()
        future: Future[T] = Future()
        self._work.put((future, work, given))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        for _ in self._threads:
            self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            future, work, given = item
            if not future.set_running_or_notify_cancel():
                continue
            close_old_connections()
            try:
                answer = work(*given)
            except Exception as error:  # noqa: BLE001 - the caller's to judge, in the loop
                if isinstance(error, AWAY):
                    connections.close_all()
                future.set_exception(error)
            else:
                future.set_result(answer)
            del future, work, given
        connections.close_all()
