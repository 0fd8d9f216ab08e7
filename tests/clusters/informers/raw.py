"""A small API server on a real socket that only lists and watches, and can be told to answer anything at all, byte by byte.

The simulated cluster is the server for whole stories; this one is for the edges of the protocol, where every byte counts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import orjson

from clusters.drivers.runtime.kubernetes.names import BY_KEY, NODES, PODS, Resource
from tests.portal import free_port

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)

    @property
    def watches(self) -> bool:
        return "watch" in self.query


class Stream:
    """One answer under way."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._chunked = False

    async def head(self, status: int = 200, **headers: str) -> None:
        """The head of an answer that comes in chunks."""
        self._chunked = True
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
        self._writer.write(head.encode())
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        self._writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self._writer.drain()

    async def event(self, kind: str, item: Item) -> None:
        await self.send(orjson.dumps({"type": kind, "object": item}) + b"\n")

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def json(self, status: int, body: Any, **headers: str) -> None:
        data = orjson.dumps(body)
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{more}\r\n".encode()
            + data
        )
        await self._writer.drain()

    async def raw(self, status: int, data: bytes) -> None:
        self._writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        await self._writer.drain()

    @property
    def closed(self) -> bool:
        """The other side has gone."""
        return self._writer.transport.is_closing()

    async def tick(self) -> None:
        await asyncio.sleep(0.02)

    def cut(self) -> None:
        """As when a host dies: no end of the answer, the connection reset."""
        self._writer.transport.abort()


Script = Callable[[Request, Stream], Awaitable[None]]


def status(code: int, message: str = "no", reason: str = "X") -> Item:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}  # fmt: skip


def answer(code: int, message: str = "no", **headers: str) -> Script:
    """A Status of this code."""

    async def told(request: Request, stream: Stream) -> None:
        await stream.json(code, status(code, message), **headers)

    return told


def bookmark(version: int | str) -> Item:
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(version), "creationTimestamp": None}}


def pod(name: str, version: int, namespace: str = "shop", **more: Any) -> Item:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)}
    metadata |= more.pop("metadata", {})
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, **more}


@dataclass
class _Kept:
    """What the server has of one resource."""

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    log: list[tuple[int, str, Item]] = field(default_factory=list)


class RawServer:
    """In a thread of its own. Everything public may be called from any thread."""

    def __init__(self, port: int = 0) -> None:
        """`port`: of one that has ended, to be found again."""
        self.requests: list[Request] = []
        self.version = 100
        self.compacted = 0  # from older versions nobody may watch
        self.token = ""  # when it is set, only who has it is answered
        self.forbidden: Callable[[Request], bool] = lambda _request: False
        self.bookmark_s = 0.5
        self.silent = False  # takes requests and says nothing at all
        self.frozen = False  # says nothing any more, in answers under way either
        self.watch_s: float | None = None  # so long a watch lasts at most, then it is cut
        self._scripts: dict[str, deque[Script]] = defaultdict(deque)
        self._kept: dict[str, _Kept] = defaultdict(_Kept)
        self._snapshots: dict[tuple[str, str], list[Item]] = {}
        self._port = port or free_port()
        self._ready = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    # -- what tests say -----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def next(self, kind: str, *scripts: Script) -> None:
        """How the next requests are answered: `list`, `watch` or a path."""
        self._scripts[kind].extend(scripts)

    def put(self, item: Item, resource: Resource = PODS) -> Item:
        """Make or change an object; its version is the cluster's next."""
        return self._call(lambda: self._put(item, resource))

    def put_many(self, items: Iterable[Item], resource: Resource = PODS) -> None:
        self._call(lambda: [self._put(item, resource) for item in items])

    def remove(self, name: str, namespace: str = "shop", resource: Resource = PODS, silently: bool = False) -> None:
        """`silently`: nobody who watches is told, as by a server that is broken."""
        self._call(lambda: self._remove(name, namespace, resource, silently))

    def compact(self) -> None:
        """What happened until now is known to nobody any more."""
        self._call(self._compact)

    def cut(self) -> int:
        """Cut every connection; how many."""
        return self._call(self._cut)

    def versions(self, resource: Resource = PODS) -> dict[str, str]:
        """The names and versions of what is there."""
        found = self._call(lambda: list(self._kept[resource.key].items.values()))
        return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in found}

    def watches(self, path: str = "/api/v1/pods") -> list[Request]:
        return [one for one in list(self.requests) if one.watches and one.path == path]

    def lists(self, path: str = "/api/v1/pods") -> list[Request]:
        return [one for one in list(self.requests) if not one.watches and one.path == path]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._thread.is_alive():  # stopped before
            return
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    def _call(self, work: Callable[[], Any]) -> Any:
        done: Future[Any] = Future()

        def do() -> None:
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - the caller's
                done.set_exception(error)

        self._loop.call_soon_threadsafe(do)
        return done.result(60)

    # -- objects ------------------------------------------------------------------------------------------------------

    def _put(self, item: Item, resource: Resource) -> Item:
        self.version += 1
        metadata = item["metadata"]
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(self.version)
        kept = self._kept[resource.key]
        key = (metadata.get("namespace", ""), metadata["name"])
        self._log(kept, "MODIFIED" if key in kept.items else "ADDED", item)
        kept.items[key] = item
        return item

    def _remove(self, name: str, namespace: str, resource: Resource, silently: bool) -> None:
        self.version += 1
        kept = self._kept[resource.key]
        item = kept.items.pop((namespace if resource is not NODES else "", name))
        last = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        if not silently:
            self._log(kept, "DELETED", last)

    def _log(self, kept: _Kept, kind: str, item: Item) -> None:
        kept.log.append((self.version, kind, item))
        self._changed.set()
        self._changed: asyncio.Event = asyncio.Event()

    def _compact(self) -> None:
        self.compacted = self.version  # who watches already is still told everything

    def _cut(self) -> int:
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers)

    # -- serving ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop, self._over, self._changed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._ready.set()
        await self._over.wait()
        server.close()
        self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while request := await _request(reader):
                self.requests.append(request)
                while self.silent or self.frozen:
                    await asyncio.sleep(0.05)
                await self._answer(request, Stream(writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, request: Request, stream: Stream) -> None:
        waiting = self._scripts[request.path] or self._scripts["watch" if request.watches else "list"]
        if request.path == "/version":
            await stream.json(200, {"major": "1", "minor": "33"})
        elif waiting:
            await waiting.popleft()(request, stream)
        elif self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            await stream.json(401, status(401, "Unauthorized", "Unauthorized"))
        elif self.forbidden(request):
            await stream.json(403, status(403, f"{request.path} is forbidden", "Forbidden"))
        elif request.watches:
            await self._watch(request, stream)
        else:
            await self._list(request, stream)

    async def _list(self, request: Request, stream: Stream) -> None:
        resource, namespace = _resource(request.path)
        version, _, start = request.query.get("continue", f"{self.version}:0").partition(":")
        if start == "0":
            kept = self._kept[resource.key].items
            self._snapshots[request.path, version] = [
                item for key, item in sorted(kept.items()) if namespace in {"", key[0]}
            ]  # fmt: skip
        items = self._snapshots[request.path, version]
        end = int(start) + int(request.query.get("limit", len(items)) or len(items))
        metadata = {"resourceVersion": version}
        if end < len(items):
            metadata["continue"] = f"{version}:{end}"
        else:
            del self._snapshots[request.path, version]
        page = [{k: v for k, v in item.items() if k not in {"kind", "apiVersion"}} for item in items[int(start) : end]]
        await stream.json(
            200, {"kind": f"{resource.kind}List", "apiVersion": "v1", "metadata": metadata, "items": page}
        )

    async def _watch(self, request: Request, stream: Stream) -> None:
        resource, namespace = _resource(request.path)
        at = int(request.query["resourceVersion"])
        await stream.head()
        if at < self.compacted:
            await stream.event("ERROR", status(410, f"too old resource version: {at}", "Expired"))
            await stream.end()
            return
        until = self._loop.time() + float(request.query.get("timeoutSeconds", 300))
        cut = self._loop.time() + self.watch_s if self.watch_s is not None else None
        while self._loop.time() < until:
            while self.frozen:
                await asyncio.sleep(0.05)
            changed = self._changed
            log = self._kept[resource.key].log
            for version, kind, item in log[_first_after(log, at) :]:
                at = version
                if namespace in {"", item["metadata"].get("namespace", "")}:
                    await stream.event(kind, item)
            if cut is not None and self._loop.time() >= cut:
                stream.cut()
                return
            try:
                left = min(
                    x for x in (self.bookmark_s, until - self._loop.time(), cut and cut - self._loop.time()) if x
                )
                await asyncio.wait_for(changed.wait(), max(0.001, left))
            except TimeoutError:
                if log and log[-1][0] > at:
                    continue  # no bookmark may come before what it covers
                at = max(at, self.version)
                await stream.event("BOOKMARK", bookmark(at))
        await stream.end()


def _first_after(log: list[tuple[int, str, Item]], version: int) -> int:
    at = len(log)
    while at and log[at - 1][0] > version:
        at -= 1
    return at


def _resource(path: str) -> tuple[Resource, str]:
    parts = path.strip("/").split("/")
    namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-1] else ""
    group = parts[1] if parts[0] == "apis" else ""
    return BY_KEY[f"{parts[-1]}.{group}" if group else parts[-1]], namespace


async def _request(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    target = urlsplit(first.split(" ")[1])
    return Request(target.path, dict(parse_qsl(target.query)), headers)
