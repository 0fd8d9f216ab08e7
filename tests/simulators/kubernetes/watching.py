"""Watches: every change from a revision on, one JSON a line, until the time is up."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from . import status
from .kinds import Kind
from .selectors import Test
from .store import Change

if TYPE_CHECKING:
    from .server import Kubernetes

_BATCH = 256 * 1024


@dataclass(eq=False)
class Watch:
    """One who watches. `lines` wait for being sent; `ended` when the backlog was too long, as the real one does."""

    kind: Kind
    namespace: str
    test: Test | None
    lines: deque[bytes] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    revision: int = 0
    ended: bool = False
    backlog: int = 10_000

    def hear(self, change: Change) -> None:
        if self.namespace and change.key[0] != self.namespace:
            return
        line = self.line(change)
        if line is None:
            return
        if len(self.lines) >= self.backlog:
            self.ended = True
        else:
            self.lines.append(line)
        self.news.set()

    def line(self, change: Change) -> bytes | None:
        """What leaves the selector is deleted for this watch; what enters it is added."""
        if self.test is None:
            return change.line()
        now = change.type != "DELETED" and self.test(change.stored.obj)
        before = change.before is not None and self.test(change.before.obj)
        if now:
            return change.line("MODIFIED" if before else "ADDED")
        return change.line("DELETED") if before else None


class Watching:
    """All watches; follows the store."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.watches: dict[Kind, set[Watch]] = {}
        self.bookmark_every = 60.0
        self.backlog = 10_000
        kubernetes.store.listeners.append(self.heard)

    def heard(self, change: Change) -> None:
        for watch in self.watches.get(change.kind, ()):
            watch.hear(change)

    async def serve(
        self, request: web.Request, kind: Kind, namespace: str, test: Test | None, line: str
    ) -> web.StreamResponse:
        query = request.query
        if query.get("sendInitialEvents"):
            causes = [
                status.cause("FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled", "sendInitialEvents")
            ]  # fmt: skip
            raise status.Refused(
                422, "Invalid", f"ListOptions.meta.k8s.io \"\" is invalid: {causes[0]['field']}: {causes[0]['message']}",
                {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes},
            )  # fmt: skip
        watch = Watch(kind, namespace, test, backlog=self.backlog)
        gone = self._begin(watch, query.get("resourceVersion", ""))
        if gone is not None and self.kubernetes.faults.meet("gone", line):
            raise gone
        response = web.StreamResponse(headers=self.kubernetes.front.headers())
        response.content_type = "application/json"
        response.enable_chunked_encoding()
        await response.prepare(request)
        if gone is not None:
            await response.write(b'{"type":"ERROR","object":%b}\n' % orjson.dumps(gone.body))
            return response
        seconds = float(query.get("timeoutSeconds") or random.uniform(1800, 3600))
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self.watches.setdefault(kind, set()).add(watch)
        stream = _Stream(self.kubernetes, request, response, line)
        try:
            await self._stream(watch, stream, seconds, bookmarks)
        except (ConnectionError, asyncio.CancelledError):
            stream.cut()
        finally:
            self.watches[kind].discard(watch)
        return response

    def _begin(self, watch: Watch, wanted: str) -> status.Refused | None:
        store = self.kubernetes.store
        if wanted in ("", "0"):
            for stored in store.all(watch.kind, watch.namespace):
                if watch.test is None or watch.test(stored.obj):
                    watch.lines.append(b'{"type":"ADDED","object":%b}\n' % stored.raw)
            watch.backlog += len(watch.lines)
            return None
        if not wanted.isdigit():
            raise status.bad_request(
                f'Invalid value: "{wanted}": strconv.ParseUint: parsing "{wanted}": invalid syntax'
            )
        if int(wanted) < store.gone_before[watch.kind]:
            return status.expired(wanted, store.gone_before[watch.kind])
        for change in store.since(watch.kind, int(wanted)):
            watch.hear(change)
        return None

    async def _stream(self, watch: Watch, stream: _Stream, seconds: float, bookmarks: bool) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        marked = loop.time()
        while not watch.ended and not stream.ended:
            while watch.lines:
                batch = bytearray()
                while watch.lines and len(batch) < _BATCH:
                    batch += watch.lines.popleft()
                await stream.send(bytes(batch))
            watch.news.clear()
            now = loop.time()
            if now >= end:
                break
            due = marked + self.bookmark_every if bookmarks else end
            if bookmarks and now >= due:
                marked = now
                await self._mark(watch, stream)
                continue
            try:
                async with asyncio.timeout(max(0.001, min(end, due, now + 1, stream.deadline) - now)):
                    await watch.news.wait()
            except TimeoutError:
                pass
        if bookmarks and not stream.ended and not watch.ended:
            await self._mark(watch, stream)

    async def _mark(self, watch: Watch, stream: _Stream) -> None:
        if self.kubernetes.faults.no_bookmarks or watch.lines:
            return
        metadata = {"resourceVersion": str(self.kubernetes.store.revision), "creationTimestamp": None}
        blank = {"kind": watch.kind.name, "apiVersion": watch.kind.api_version, "metadata": metadata}
        if watch.kind.name == "Pod":
            blank |= {"spec": {"containers": None}, "status": {}}
        elif watch.kind.name in ("Deployment", "ReplicaSet"):
            template = {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}}
            spec = {"selector": None, "template": template}
            blank |= {"spec": spec | ({"strategy": {}} if watch.kind.name == "Deployment" else {})}
            blank |= {"status": {} if watch.kind.name == "Deployment" else {"replicas": 0}}
        await stream.send(b'{"type":"BOOKMARK","object":%b}\n' % orjson.dumps(blank))


class _Stream:
    """Sends lines, but for what faults make of them."""

    def __init__(self, kubernetes: Kubernetes, request: web.Request, response: web.StreamResponse, line: str) -> None:
        self.kubernetes, self.request, self.response, self.line = kubernetes, request, response, line
        self.rule = kubernetes.faults.meet("cut", line)
        self.deadline = float("inf")
        if self.rule is not None and self.rule.bytes is None:
            self.deadline = asyncio.get_running_loop().time() + self.rule.value
        self.sent = 0
        self._dumb = False

    @property
    def ended(self) -> bool:
        if self.rule is not None and self.rule.bytes is None:
            return asyncio.get_running_loop().time() >= self.deadline
        return self.request.transport is None or self.request.transport.is_closing()

    async def send(self, data: bytes) -> None:
        if self._dumb or self.kubernetes.faults.silent(self.line):
            self._dumb = True
            return
        if self.rule is not None and self.rule.bytes is not None and self.sent + len(data) > self.rule.bytes:
            await self.response.write(data[: max(1, self.rule.bytes - self.sent)])
            await asyncio.sleep(0.02)
            self.cut()
            raise ConnectionResetError
        self.sent += len(data)
        await self.response.write(data)

    def cut(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()
