"""`python -m benchmarks.terminals`: a web process, a simulated cluster whose exec runs real programs, and both ways to it.

On the migrated database that the settings name. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import django
from asgiref.sync import sync_to_async

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
django.setup()

from websockets.asyncio.client import ClientConnection, connect  # noqa: E402 - what follows wants the apps to be known
from websockets.typing import Subprotocol  # noqa: E402

from clusters.drivers.runtime.streams import SHELL  # noqa: E402
from tests.common.sockets.serving import Server, bearer  # noqa: E402
from tests.deployments.streams.ground import NAMESPACE, Ground, ground  # noqa: E402
from tests.simulators.kubernetes_rig import Rig  # noqa: E402

from .measure import percentile  # noqa: E402

ROUNDS, KEYS, OPEN = 15, 300, 200
BIG = 10_000_000
call = sync_to_async(thread_sensitive=False)


class Straight:
    """A program's socket as the cluster has it: what any client could do at best."""

    def __init__(self, at: Ground) -> None:
        query = [
            *(("command", word) for word in SHELL),
            ("stdin", "true"),
            ("stdout", "true"),
            ("tty", "true"),
            ("container", "app"),
        ]
        rig = at.rig
        self._url = f"wss{rig.url.removeprefix('https')}/api/v1/namespaces/{NAMESPACE}/pods/{at.pods[0]}/exec?{urlencode(query)}"
        self._headers = rig.headers
        self._tls = ssl.create_default_context(cadata=rig.ca)
        self.socket: ClientConnection

    async def open(self) -> None:
        self.socket = await connect(
            self._url, additional_headers=self._headers, subprotocols=[Subprotocol("v5.channel.k8s.io")],
            ssl=self._tls, compression=None, proxy=None, max_size=None,
        )  # fmt: skip

    async def output(self) -> bytes:
        """The next bytes of output."""
        while True:
            message = await self.socket.recv(decode=False)
            if message[:1] == b"\x01" and len(message) > 1:
                return message[1:]

    async def type(self, text: bytes) -> None:
        await self.socket.send(b"\x00" + text)

    async def close(self) -> None:
        await self.socket.close()


class Ours(Straight):
    """The same through the portal."""

    def __init__(self, at: Ground, server: Server, headers: dict[str, str]) -> None:
        super().__init__(at)
        self._url = f"ws://{server.address}/ws/services/{at.service.pk}/terminal/?instance={at.pods[0]}"
        self._headers = headers
        self._shown = 0

    async def open(self) -> None:
        self._shown = 0
        self.socket = await connect(
            self._url, additional_headers=self._headers, compression=None, proxy=None, max_size=None
        )

    async def output(self) -> bytes:
        data = await super().output()
        self._shown += len(data)
        await self.socket.send(b"\x05" + json.dumps({"ack": self._shown}).encode())
        return data


async def opening(way: Straight) -> float:
    began = time.perf_counter()
    await way.open()
    await way.output()
    took = time.perf_counter() - began
    await way.close()
    return took * 1000


async def until(way: Straight, mark: bytes) -> None:
    tail = b""
    while mark not in tail:
        tail = tail[-len(mark) :] + await way.output()


async def echoes(way: Straight) -> float:
    """p95 in ms of a key that a program sends back."""
    await way.open()
    await way.type(b"stty raw -echo; printf 're''ady'; cat\n")
    await until(way, b"ready")
    took = []
    for _ in range(KEYS):
        began = time.perf_counter()
        await way.type(b"k")
        await way.output()
        took.append((time.perf_counter() - began) * 1000)
    await way.close()
    return percentile(took, 0.95)


async def reading(way: Straight, file: Path) -> float:
    """MB/s."""
    await way.open()
    await way.type(b"stty raw -echo; printf 're''ady'; cat %s; printf 'do''ne'\n" % str(file).encode())
    await until(way, b"ready")
    began = time.perf_counter()
    await until(way, b"done")
    rate = BIG / 1e6 / (time.perf_counter() - began)
    await way.close()
    return rate


async def crowd(at: Ground, server: Server, headers: dict[str, str]) -> list[Ours]:
    """Many terminals, each with a shell that has said something."""
    made = [Ours(at, server, headers) for _ in range(OPEN)]
    turn = asyncio.Semaphore(8)

    async def one(way: Ours) -> None:
        async with turn:
            await way.open()
            await way.output()

    await asyncio.gather(*(one(way) for way in made))
    return made


async def main(at: Ground, server: Server) -> dict[str, Any]:
    headers = await call(bearer)(await call(at.member)("developer"))
    straight, ours = Straight(at), Ours(at, server, headers)
    for way in (straight, ours):
        await opening(way)  # the first warms up
    opened: dict[str, list[float]] = {"direct": [], "ours": []}
    for _ in range(ROUNDS):
        opened["direct"].append(await opening(straight))
        opened["ours"].append(await opening(ours))
    found: dict[str, Any] = {"rounds": ROUNDS, "keys": KEYS, "open": OPEN}
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"0123456789abcde\n" * (BIG // 16))
        file.flush()
        for name, way in (("direct", straight), ("ours", ours)):
            found[name] = {"open_ms": percentile(opened[name], 0.5), "echo_ms": await echoes(way)}
            rates = [await reading(way, Path(file.name)) for _ in range(3)]
            found[name]["cat_mb_s"] = percentile(rates, 0.5)
    found["rss_before_mb"] = server.memory()
    ways = await crowd(at, server, headers)
    found["rss_mb"] = server.memory()
    await asyncio.gather(*(way.close() for way in ways))
    return found


if __name__ == "__main__":
    with Rig() as rig:
        rig.namespace(NAMESPACE)
        web = Server("daphne")
        try:
            with ground(rig) as place:
                told = json.dumps(asyncio.run(main(place, web)))
        finally:
            web.stop()
    sys.stdout.write(f"{told}\n")
