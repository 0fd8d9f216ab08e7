"""What flows from services on this host: their logs, read again and again from files. Terminals they have none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from clusters.drivers.runtime.base import LogLine, LogPage, LogQuery, ServiceRef
from clusters.drivers.runtime.streams import Start
from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S

from .runtime import LocalRuntime

EVERY_S, QUIET_S = 0.3, 1.0
AT_ONCE = 128 * 1024


class LocalStreams:
    """Followed logs of the runtime of this host; its threads only read files."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self._runtime = runtime
        self._hands = ThreadPoolExecutor(max_workers=2, thread_name_prefix="local-logs")

    def seat(self, instances: Sequence[Mapping[str, Any]], instance: str, container: str = "") -> tuple[str, Start]:
        raise Rejected(S("Services that run on the portal's own host have no terminal."), code="no_terminal")

    async def follow(self, service: ServiceRef, query: LogQuery) -> AsyncIterator[LogLine]:
        page = await self._page(service, query)
        while True:
            for line in page.lines:
                yield line
            if query.previous:
                return
            if not page.lines:
                await asyncio.sleep(QUIET_S)
            elif sum(len(line.data) for line in page.lines) < AT_ONCE // 2:
                await asyncio.sleep(EVERY_S)
            page = await self._page(service, replace(query, after=page.cursor, limit_bytes=AT_ONCE))

    async def _page(self, service: ServiceRef, query: LogQuery) -> LogPage:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._hands, self._runtime.logs, service, query)
