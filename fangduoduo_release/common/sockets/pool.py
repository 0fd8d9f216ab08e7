"""A bounded pool of threads for database calls made by sockets.

Sockets live on the event loop; a database call made there, or on the one thread that Channels shares, would freeze
every other socket of the process while it is blocked. Here at most `hands` calls wait and everybody else goes on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")
KEEP_S = 30.0


class DatabasePool:
    """Runs sync functions that use the ORM. Connections are closed after an error and when KEEP_S old; on servers
    with a connection pool they go back to it after every call."""

    def __init__(self, name: str, hands: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=hands, thread_name_prefix=name)
        self._opened = threading.local()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await `function(*args, **kwargs)` in the pool. When the caller is cancelled the thread still ends its call."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: self._call(function, *args, **kwargs))

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        keep = False
        try:
            answer = function(*args, **kwargs)
            keep = True
            return answer
        finally:
            self._tidy(keep)

    def _tidy(self, keep: bool) -> None:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block:
                continue  # a test holds this thread's transaction
            since = getattr(self._opened, "since", None)
            if connection.connection is None:
                self._opened.since = None
            elif since is None and keep and connection.vendor == "sqlite":
                self._opened.since = time.monotonic()
            elif not keep or connection.vendor != "sqlite" or time.monotonic() - (since or 0.0) > KEEP_S:
                connection.close()
                self._opened.since = None

    def shutdown(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


async def stream(pool: DatabasePool, pieces: Any) -> Any:
    """An async iterator over a sync one whose every step uses the database; nothing is read ahead."""
    iterator = iter(pieces)
    end = object()
    while (piece := await pool.run(next, iterator, end)) is not end:
        yield piece
