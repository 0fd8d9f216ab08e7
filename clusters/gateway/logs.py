"""A pod's log as the API server streams it: handed on as it comes, so that neither its length nor a slow reader costs memory.

A followed log may outlive the right to read it: whoever reads is asked again, at most ten seconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings

from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.api import Answer
from clusters.drivers.runtime.kubernetes.async_api import AsyncApi, chunks_of
from clusters.gateway.paths import Target
from clusters.gateway.reading import flag
from clusters.kubernetes import access_of
from clusters.models import Cluster
from fangduoduo_release.common.errors import AppError, TooMany, Unavailable
from fangduoduo_release.common.sentence import S

logger = logging.getLogger(__name__)
PASSED: Final = (
    "container", "follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes",
)  # fmt: skip
SILENCE_S = 4 * 3600.0  # of a followed log, as long as kubelets keep idle streams
ASK_AGAIN_S = 10.0
UNREAD_S = 60.0  # opened, and the reader was gone before it was answered
LONGEST_REFUSAL = 64 * 1024


class Followers:
    """How many logs one caller has open in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    def enter(self, caller: str) -> None:
        """Raises TooMany."""
        most = settings.GATEWAY_LOGS_PER_CALLER
        with self._lock:
            if self._open[caller] >= most:
                raise TooMany(S("You read %(most)s logs already; close one.", most=most), retry_after=5)
            self._open[caller] += 1

    def leave(self, caller: str) -> None:
        with self._lock:
            self._open[caller] -= 1
            if self._open[caller] <= 0:
                del self._open[caller]

    def __len__(self) -> int:
        return sum(self._open.values())


FOLLOWERS = Followers()


def open_log(
    cluster: Cluster, target: Target, query: Mapping[str, str], caller: str, still: Callable[[], bool]
) -> Answer | Log:
    """The log as it comes, or the API server's refusal. `still`: whether it may be read on. Call it in a thread of a request
    that an event loop serves. Raises TooMany, Unavailable, Invalid."""
    passed = {name: query[name] for name in PASSED if name in query}
    access, follows = access_of(cluster), flag(query, "follow")
    FOLLOWERS.enter(caller)
    with _left_on_error(caller):
        found: Answer | Log = async_to_sync(_begin)(access, target.path, passed, follows, caller, still)
    return found


@contextlib.contextmanager
def _left_on_error(caller: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        FOLLOWERS.leave(caller)
        raise


async def _begin(
    access: Access, path: str, query: Mapping[str, str], follows: bool, caller: str, still: Callable[[], bool]
) -> Answer | Log:
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(AsyncApi(access))
        response = await stack.enter_async_context(
            api.open(path, query, **({"silence_s": SILENCE_S} if follows else {}))
        )
        if response.status != 200:
            body = await response.content.read(LONGEST_REFUSAL)
            FOLLOWERS.leave(caller)
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)
        return Log(stack.pop_all(), response, caller, still)


class Log:
    """The bytes of one open log. It is closed when it ends, by `close` (as Django does with a response that is done or
    dropped), and by itself when nobody ever began to read."""

    def __init__(self, stack: contextlib.AsyncExitStack, response: Any, caller: str, still: Callable[[], bool]) -> None:
        self._stack, self._chunks = stack, chunks_of(response)
        self._caller, self._still = caller, still
        self._asked = time.monotonic()
        self._begun = self._closed = False
        self._loop = asyncio.get_running_loop()
        self._unread = self._loop.call_later(UNREAD_S, self.close)

    def __aiter__(self) -> Log:
        return self

    async def __anext__(self) -> bytes:
        self._unread.cancel()
        if not self._begun:
            self._begun = True
            return b""  # servers send the headers with the first bytes, and a quiet pod may have none for long
        try:
            chunk = await self._next()
        except BaseException:
            await self.aclose()
            raise
        if chunk is None:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def _next(self) -> bytes | None:
        try:
            chunk = await anext(self._chunks, None)
        except Unavailable as error:  # a log that is cut just ends, as kubectl shows it
            logger.info("a log of the gateway was cut: %s", error.evidence)
            return None
        if chunk is not None and time.monotonic() - self._asked > ASK_AGAIN_S:
            self._asked = time.monotonic()
            if not await sync_to_async(self._may)():
                return None
        return chunk

    def _may(self) -> bool:
        try:
            return self._still()
        except AppError:
            return False

    def close(self) -> None:
        """From any thread; does not wait."""
        if not self._closed:
            asyncio.run_coroutine_threadsafe(self.aclose(), self._loop)

    async def aclose(self) -> None:
        """Hang up; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._unread.cancel()
        FOLLOWERS.leave(self._caller)
        with contextlib.suppress(Unavailable):
            await self._stack.aclose()
