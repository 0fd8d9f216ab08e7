"""Wake-ups for browsers: a socket per topic that says only {"topic", "seq"}, "look again".

At most one every MIN_S, never any content: what changed is fetched by an authorised request. What a browser sends is
ignored. Without Redis the poller tells; with Redis the channel layer does, and the poller is the net below it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from functools import partial
from typing import Any, ClassVar

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.utils import await_many_dispatch
from django.conf import settings

from fangduoduo_release.common.events import group_of

from .guards import Check, Guard, anybody, may_see
from .identity import Scope, is_our_origin
from .poller import HOME, poller, pool

logger = logging.getLogger(__name__)


class WakeConsumer(AsyncWebsocketConsumer):
    """`/ws/<kind>/<pk>/`: wakes for the topic `<kind>/<pk>`."""

    MIN_S: ClassVar[float] = 0.25
    topic = ""

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """As Channels' own, which refuses everybody while its layer's broker is away."""
        self.scope, self.base_send = scope, send
        self.channel_layer, heard = get_channel_layer(), [receive]
        try:
            self.channel_name = await self.channel_layer.new_channel()
            heard.append(partial(self.channel_layer.receive, self.channel_name))
        except Exception:  # any broker trouble: the poller below tells a little later
            logger.warning("no channel layer for %s", scope["path"], exc_info=True)
            self.channel_layer = None
        with contextlib.suppress(StopConsumer):
            await await_many_dispatch(heard, self.dispatch)

    async def connect(self) -> None:
        if not is_our_origin(self.scope):
            await self.close()
            return
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told = self._told_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._newest = 0
        self.topic, check = self.subject()
        guard = Guard(self.scope, check, pool)
        refused = await guard.admit()
        if refused is None:
            await self._join()
        await self.accept()
        if refused is not None:
            await self.close(refused)
            return
        self._start(self._watch(guard))

    def subject(self) -> tuple[str, Check]:
        """The topic, and who may listen to it."""
        kind, pk = self.scope["url_route"]["kwargs"].values()
        return f"{kind}/{pk}", may_see(kind, pk)

    async def disconnect(self, code: int) -> None:
        if not self.topic:
            return
        poller.leave(self.topic, self.offer)
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if settings.REDIS_URL and self.channel_layer is not None:
            await self._leave_group()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is expected from the browser, and nothing it sends may hurt."""

    async def wake(self, message: dict[str, Any]) -> None:
        """From the channel layer (events.publish)."""
        self.offer(int(message["seq"]))

    def offer(self, seq: int) -> None:
        """Tell the browser soon, once for all that comes until then."""
        if seq <= self._newest:
            return
        self._newest = seq
        if self._timer is None:
            rest = self._told_at + self.MIN_S - self._loop.time()
            self._timer = self._loop.call_later(max(0.0, rest), self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._told_at = self._loop.time()
        self._start(self.send(json.dumps({"topic": self.topic, "seq": self._newest})))

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, guard: Guard) -> None:
        await self.close(await guard.watch())

    async def _join(self) -> None:
        await poller.listen(self.topic, self.offer)
        if settings.REDIS_URL and self.channel_layer is not None:
            try:
                await self.channel_layer.group_add(group_of(self.topic), self.channel_name)
            except Exception:  # any broker trouble: the poller below tells a little later
                logger.warning("no channel layer for %s", self.topic, exc_info=True)

    async def _leave_group(self) -> None:
        try:
            await self.channel_layer.group_discard(group_of(self.topic), self.channel_name)
        except Exception:  # the broker forgets the channel by itself
            logger.debug("could not leave the group of %s", self.topic, exc_info=True)


class HomeConsumer(WakeConsumer):
    """`/ws/home/`: wakes when anything happened anywhere; pages then show what their reader may see."""

    MIN_S = 1.0

    def subject(self) -> tuple[str, Check]:
        return HOME, anybody
