"""The log door of an API server: what containers wrote, run by run, served and followed as the kubelet does.

`pods()` is what informers would have seen. Nothing happens by itself: a test writes, restarts, replaces, cuts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from clusters.drivers.runtime.base import ServiceRef
from clusters.drivers.runtime.kubernetes.access import Access

START = 1_700_000_000 * 10**9


@dataclass
class Run:
    """One run of a container: (ns, text) in the order written."""

    id: str
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    over: bool = False
    begun: bool = True


@dataclass
class Kubelet:
    """All containers. `clock` grows by a millisecond a line, so that many share a second."""

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    clock: int = START
    step: int = 1_000_000
    refuse: int = 0  # answer everything with this status
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""
    sent: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _streams: list[web.Request] = field(default_factory=list)

    # -- what a test does ---------------------------------------------------------------------------------------------

    def start(self, pod: str, *containers: str, begun: bool = True) -> None:
        """A pod comes, and is seen to."""
        for name in containers or ("app",):
            self.runs[pod, name] = [Run(f"containerd://{pod}-{name}-0", begun=begun)]
        self.see(pod)

    def write(self, pod: str, *texts: str, container: str = "app") -> None:
        for text in texts:
            self.clock += self.step
            self.runs[pod, container][-1].lines.append((self.clock, text.encode()))
        self.wake()

    def restart(self, pod: str, container: str = "app", *, seen: bool = True) -> None:
        runs = self.runs[pod, container]
        runs[-1].over = True
        runs.append(Run(f"containerd://{pod}-{container}-{len(runs)}"))
        if seen:
            self.see(pod)
        self.wake()

    def end(self, pod: str, container: str = "app") -> None:
        self.runs[pod, container][-1].over = True
        self.see(pod)
        self.wake()

    def remove(self, pod: str) -> None:
        for (name, _), runs in self.runs.items():
            if name == pod:
                runs[-1].over = True
        self.rows.pop(pod)
        self.runs = {key: runs for key, runs in self.runs.items() if key[0] != pod}
        self.wake()

    def see(self, pod: str) -> None:
        """The rows as they become true."""
        statuses = []
        for (name, container), runs in self.runs.items():
            if name == pod:
                last = runs[-1]
                state = {"terminated": {}} if last.over else ({"running": {}} if last.begun else {"waiting": {}})
                statuses.append(
                    {"name": container, "state": state, "containerID": last.id, "restartCount": len(runs) - 1}
                )
        self.rows[pod] = {
            "metadata": {"name": pod, "namespace": "shop", "creationTimestamp": f"{len(self.rows):03d}"},
            "spec": {"containers": [{"name": one["name"]} for one in statuses]},
            "status": {"containerStatuses": statuses},
        }

    def wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def cut(self) -> None:
        """Every connection, in the middle of whatever it does."""
        for request in list(self._streams):
            if request.transport is not None:
                request.transport.abort()

    @property
    def following(self) -> int:
        """How many read now."""
        return len(self._streams)

    async def pods(self, service: ServiceRef) -> list[dict[str, Any]]:
        return list(self.rows.values())

    @property
    def access(self) -> Access:
        return Access(server=self.address, token="t")

    # -- what it answers ----------------------------------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        pod, asked = request.match_info["pod"], dict(request.query)
        self.requests.append((pod, asked))
        if self.refuse:
            return status(self.refuse, "it is refused")
        if (pod, "app") not in self.runs:
            return status(404, f'pods "{pod}" not found')
        runs = self.runs.get((pod, asked.get("container", "app")))
        if runs is None:
            return status(400, f"container {asked.get('container')} is not valid for pod {pod}")
        if asked.get("previous") == "true":
            if len(runs) < 2:
                return status(400, f'previous terminated container "app" in pod "{pod}" not found')
            return await self._send(request, runs[-2], asked, follow=False)
        if not runs[-1].begun:
            return status(400, f'container "app" in pod "{pod}" is waiting to start: ContainerCreating')
        return await self._send(request, runs[-1], asked, follow=asked.get("follow") == "true")

    async def _send(self, request: web.Request, run: Run, asked: dict[str, str], *, follow: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        self._streams.append(request)
        limit = int(asked.get("limitBytes", 1 << 60))
        at = max(0, len(run.lines) - int(asked["tailLines"])) if "tailLines" in asked else 0
        since = 0
        if "sinceTime" in asked:
            since = int(datetime.strptime(asked["sinceTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
        try:
            while True:
                while at < len(run.lines) and limit > 0:
                    ns, text = run.lines[at]
                    at += 1
                    if ns >= since * 10**9:
                        data = (stamp(ns) + b" " + text + b"\n")[:limit]
                        limit -= len(data)
                        await response.write(data)
                        self.sent += len(data)
                if not follow or run.over:
                    break
                await self._news.wait()
            await response.write_eof()
        except (ConnectionError, RuntimeError):
            pass
        finally:
            self._streams.remove(request)
        return response


def stamp(ns: int) -> bytes:
    """RFC3339Nano: without the zeros at the end."""
    second = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{ns % 10**9:09d}".rstrip("0")
    return f"{second}{'.' if fraction else ''}{fraction}Z".encode()


def status(code: int, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return web.json_response(body, status=code)


@contextlib.asynccontextmanager
async def kubelet() -> AsyncIterator[Kubelet]:
    """A log door on a port of its own."""
    made = Kubelet()
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/shop/pods/{pod}/log", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        made.cut()
        await runner.cleanup()
