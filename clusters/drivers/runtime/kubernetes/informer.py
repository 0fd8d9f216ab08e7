"""What client-go calls an informer: a list, then a watch from where it was read, for ever; one resource, one task.

What it tells goes into a `Sink`, which keeps the newest state of each object only; so a slow reader costs no memory here.
Django-free.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

from .async_api import AsyncApi, Response
from .listing import Expired, Refused, refused, whole
from .names import EVENTS, Resource
from .pace import Pace, Patience
from .seen import Key, Seen, Unreadable, gone, newer, read, version_of
from .sink import Sink, differing
from .watch_lines import Lines

logger = logging.getLogger(__name__)
EVENTS_KEPT_S = 3600.0
EVENTS_COMPARED_S = 3000.0  # those about to be forgotten may be so on one side only
STEP = 100  # objects taken apart before others in the loop have their turn
PASSING = frozenset({401, 403, 429, 503})  # say nothing of what we asked for
STEP_S = 0.1
ENOUGH_MISSED = 3  # refusals of a token in a row before they are told


class Informer:
    """Follows one resource, in one namespace or ("") in all.

    `renew` is called when the server does not accept who we are. `leaves`: that it is forbidden is raised, not waited out.
    """

    def __init__(
        self,
        api: AsyncApi,
        resource: Resource,
        namespace: str,
        sink: Sink,
        *,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        renew: Callable[[], Awaitable[None]] | None = None,
        leaves: bool = False,
    ) -> None:
        self._api, self._resource, self._namespace, self._sink = api, resource, namespace, sink
        self._pace, self._patience = pace, Patience(pace)
        self._renew, self._leaves = renew, leaves
        self._version = ""
        self._listed_at = 0.0
        self._lists = 0
        self._to_list = True  # what is stored may differ from what is there
        self._response: Response | None = None  # the watch that was opened last
        self._damaged = False  # something that came could not be read
        self._unknown = 0  # how often in a row the server did not accept who we are

    async def run(self) -> None:
        """Until cancelled. Raises Refused (403) when it `leaves`."""
        comparing = asyncio.create_task(self._compare_on())
        try:
            while True:
                pause = await self._once()
                self._sink.closed()
                await asyncio.sleep(pause)
        finally:
            comparing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await comparing

    async def _once(self) -> float:
        """List where it is needed, watch until that ends; the pause that is due then."""
        try:
            if self._to_list or (self._damaged and self._may_list()):
                await self._list()
            await self._watch()
        except Expired:
            calm, self._to_list = self._may_list(), True
            return self._patience.after_cut() if calm else self._patience.after_failure()
        except Refused as no:
            return await self._heed(no)
        except Unavailable as error:
            if not self._patience.is_open:  # one that was cut is opened anew before anybody is told
                self._sink.down(error.sentence)
                return self._patience.after_failure()
        return self._patience.after_cut()

    async def _heed(self, no: Refused) -> float:
        if no.status == 403 and self._leaves:
            raise no
        if no.status == 401:
            self._unknown += 1
            if self._renew is not None:
                await self._renew()
            if self._unknown < ENOUGH_MISSED:  # a token that was rotated is accepted the next time
                return self._patience.after_failure()
        self._sink.down(no.sentence)
        if no.status not in PASSING:  # such as a version that a restored etcd does not know yet
            self._to_list = True
        if no.status in {429, 401} or no.status >= 500:
            return self._patience.after_failure(no.retry_s)
        return self._patience.after_no()

    # -- the list -----------------------------------------------------------------------------------------------------

    async def _list(self) -> None:
        """Tell what differs from what is stored, and what is there no more."""
        began = time.monotonic()
        known = await self._sink.known()
        listed: set[Key] = set()
        told: set[Key] = set()
        version = ""
        async for items, version in whole(self._api, self._resource, self._namespace, self._pace.page):
            self._unknown = 0
            if not version:
                listed.clear()  # it begins again
            for number, item in enumerate(items):
                if number % STEP == STEP - 1:
                    await asyncio.sleep(0)
                seen = self._read(item)
                if seen is None:
                    continue
                listed.add(seen.key)
                before = known.get(seen.key)
                if before is None or before.gone or (before.uid, before.version) != (seen.uid, seen.version):
                    told.add(seen.key)
                    self._sink.change(seen)
            await self._sink.room()
        left = {key for key, one in known.items() if not one.gone} | told
        for key in left - listed:
            self._sink.change(gone(self._resource.key, key, version))
        self._version, self._listed_at = version, time.monotonic()
        self._to_list = self._damaged = False
        self._lists += 1
        if self._lists > 1:
            self._sink.count("relists")
        self._sink.synced(version, began)

    def _read(self, item: Any) -> Seen | None:
        """None: unreadable, or an Event that nobody wants any more."""
        try:
            seen = read(self._resource, item)
        except Unreadable:
            logger.warning("an object of %s cannot be read and is left out", self._resource.key)
            return None
        return None if self._is_old(seen, EVENTS_KEPT_S) else seen

    def _is_old(self, seen: Seen, seconds: float) -> bool:
        return self._resource is EVENTS and seen.at is not None and time.time() - seen.at > seconds

    # -- the watch ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Returns when the stream ends. Raises Expired, Refused, Unavailable."""
        query: dict[str, str | int] = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": max(1, round(random.uniform(*self._pace.watch))),  # noqa: S311
        }
        path = self._resource.path(self._namespace)
        async with self._api.open(path, query, silence_s=self._pace.silence) as response:
            if response.status == 410:
                raise Expired
            if response.status != 200:
                raise await refused(response)
            self._unknown, self._response = 0, response
            self._patience.opened()
            self._sink.opened()
            lines = Lines()
            async for chunk in response.content.iter_any():
                self._sink.alive()
                for line in lines.feed(chunk):
                    self._take(line)
                self._damaged = self._damaged or lines.passed_over > 0
                self._sink.reached(self._version)
                if self._to_list or (self._damaged and self._may_list()):
                    return

    def _may_list(self) -> bool:
        return time.monotonic() - self._listed_at >= self._pace.between_lists

    def _take(self, line: bytes) -> None:
        """One event. One that cannot be read is a hole, which a list will fill. Raises Expired, Refused."""
        try:
            event = orjson.loads(line)
            kind, item = event["type"], event["object"]
            if kind == "BOOKMARK":
                self._version = version_of(item) or self._version
                return
            if kind == "ERROR":
                raise _error(item)
            if kind not in {"ADDED", "MODIFIED", "DELETED"}:
                return
            seen = read(self._resource, item, deleted=kind == "DELETED")
        except (ValueError, TypeError, KeyError):
            logger.warning("an event of %s cannot be read: a list will tell", self._resource.key)
            self._damaged = True
            return
        self._version = seen.version
        if seen.gone or not self._is_old(seen, EVENTS_KEPT_S):
            self._sink.change(seen)

    # -- the comparison -----------------------------------------------------------------------------------------------

    async def _compare_on(self) -> None:
        """Now and then compare everything with what is stored; what differs is counted and mended by a list."""
        while True:
            await asyncio.sleep(self._pace.compare * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                wrong = await self._compare()
            except (Expired, Refused, Unavailable) as error:
                logger.info("%s could not be compared: %s", self._resource.key, error)
                continue
            if wrong:
                logger.error("%s: %s objects were stored otherwise than they are", self._resource.key, wrong)
                self._sink.count("drift", wrong)
                self._to_list = True
                if self._response is not None:
                    self._response.close()
                while self._to_list:
                    await asyncio.sleep(STEP_S)

    async def _compare(self) -> int:
        """How many objects are stored otherwise than they are, the watch having come as far as the list."""
        listed: dict[Key, str] = {}
        version = ""
        async for items, version in whole(self._api, self._resource, self._namespace, self._pace.page):
            if not version:
                listed.clear()
            for number, item in enumerate(items):
                if number % STEP == STEP - 1:
                    await asyncio.sleep(0)
                try:
                    seen = read(self._resource, item)
                except Unreadable:
                    continue
                if not self._is_old(seen, EVENTS_COMPARED_S):
                    listed[seen.key] = seen.version
        until = time.monotonic() + self._pace.settle
        while True:
            reached = self._version  # before what is stored is read, which then is at least so new
            wrong = differing(listed, version, await self._sink.known(), strict=self._resource is not EVENTS)
            if not wrong or not newer(version, reached):
                return wrong
            if time.monotonic() > until:  # an open watch that was silent so long has missed it
                return wrong if self._patience.is_open else 0
            await asyncio.sleep(min(1.0, self._pace.settle / 10))


def _error(status: Any) -> Exception:
    """What an ERROR event means."""
    code = status.get("code") if isinstance(status, dict) else None
    if code == 410:
        return Expired()
    message = str(status.get("message") or "")[:300] if isinstance(status, dict) else ""
    return Refused(
        code if isinstance(code, int) else 500, S("The API server ended a watch: %(reason)s", reason=message)
    )
