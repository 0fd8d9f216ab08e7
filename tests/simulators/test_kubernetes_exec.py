"""Exec in the simulated cluster, beyond what was recorded: real processes, real terminals, both ways as fast as wanted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.waiting import until

from .kubernetes_ground import PODS, SPACE, Caller, deployment
from .kubernetes_rig import Rig


@pytest.fixture
def pod(caller: Caller) -> str:
    caller.applied(deployment(replicas=1))
    caller.rig.rolled_out(SPACE, "web")
    return str(caller.rig.pods(SPACE)[0]["metadata"]["name"])


def _connect(rig: Rig, pod: str, query: str, **more: object) -> connect:
    return connect(
        f"{rig.url.replace('https', 'wss')}{PODS}/{pod}/exec?{query}",
        ssl=ssl.create_default_context(cadata=rig.ca), additional_headers=rig.headers, proxy=None,
        open_timeout=60, ping_interval=None,
        subprotocols=[Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")], **more,  # type: ignore[arg-type]
    )  # fmt: skip


async def _until(socket: ClientConnection, text: bytes) -> bytes:
    said = b""
    async with asyncio.timeout(60):
        while text not in said:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            said += frame[1:]
    return said


async def _frames(socket: ClientConnection) -> AsyncIterator[bytes]:
    """However it ends."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield bytes(await socket.recv(decode=False))


async def test_a_terminal_is_a_real_one(caller: Caller, pod: str) -> None:
    async with _connect(caller.rig, pod, "command=sh&stdin=true&stdout=true&tty=true") as socket:
        assert socket.subprotocol == "v5.channel.k8s.io"
        await socket.send(b"\x00tty; test -t 0 && echo yes-tty\n")
        assert b"/dev/pts/" in await _until(socket, b"\nyes-tty")
        await socket.send(b"\x00sh -c 'echo be\"\"gun; exec sleep 100'\n")
        await _until(socket, b"begun")  # only who is in front gets the Ctrl-C
        await socket.send(b"\x00\x03")  # Ctrl-C ends it, not the shell
        await socket.send(b"\x00echo al''ive\n")
        await _until(socket, b"alive")
        await socket.send(b'\x04{"Width":70,"Height":20}')
        await socket.send(b"\x00stty size\n")
        await _until(socket, b"20 70")


async def test_the_process_ends_with_its_client(caller: Caller, pod: str, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    command = f"command=sh&command=-c&command=echo+$$+>{mark}%3B+sleep+100&stdout=true"
    async with _connect(caller.rig, pod, command):
        await asyncio.to_thread(until, lambda: mark.exists() and mark.read_text().strip(), what="the process")
        number = int(mark.read_text())
        os.kill(number, 0)

    def gone() -> bool:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        return False

    await asyncio.to_thread(until, gone, what="its end")


async def test_a_terminal_that_is_left_at_once_leaves_nothing(caller: Caller, pod: str) -> None:
    def begun() -> int:
        return caller.rig.call(lambda: sum(map(len, caller.rig.execs.running.values())))

    for number in range(1, 6):
        async with _connect(
            caller.rig, pod, f"command=sleep&command={86_000 + number}&stdin=true&stdout=true&tty=true"
        ):
            pass
    await asyncio.to_thread(
        until, lambda: len(caller.rig.requests.lines("/exec")) == 5 and not begun(), what="the ends"
    )
    await asyncio.to_thread(until, lambda: not _sleeping(), what="the end of every process")


def _sleeping() -> list[list[str]]:
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found += [each.cmdline()]
    return [words for words in found if words[-1:] and words[-1].startswith("860")]


async def test_output_waits_for_who_reads_it(caller: Caller, pod: str, tmp_path: Path) -> None:
    """A process that says much is held up when nobody reads, and nothing is lost."""
    mark = tmp_path / "done"
    script = f"head -c 30000000 /dev/zero; touch {mark}"
    query = f"command=sh&command=-c&command={script.replace(';', '%3B').replace(' ', '+')}&stdout=true"
    little = socket.socket()
    little.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)  # else the kernel may take all of it for us
    little.connect(("127.0.0.1", urlsplit(caller.rig.url).port))
    async with _connect(caller.rig, pod, query, max_queue=2, sock=little) as stream:
        await stream.recv()
        await asyncio.sleep(0.3)
        assert not mark.exists()
        size = 0
        async for frame in stream:
            if frame[0] == 1:
                size += len(frame) - 1
        assert size == 30_000_000
    assert mark.exists()


async def test_input_waits_for_who_takes_it(caller: Caller, pod: str) -> None:
    data = os.urandom(1024) * 1024
    async with _connect(caller.rig, pod, "command=sha256sum&stdin=true&stdout=true") as socket:
        for _ in range(8):
            await socket.send(b"\x00" + data)
        await socket.send(b"\xff\x00")
        said = await _until(socket, b"-\n")
    assert hashlib.sha256(data * 8).hexdigest().encode() in said


async def test_the_end_of_the_pod_is_the_end_of_what_runs_in_it(caller: Caller, pod: str) -> None:
    async with _connect(caller.rig, pod, "command=sleep&command=100&stdout=true") as socket:
        await socket.recv()
        await asyncio.to_thread(caller.rig.delete, "pods", SPACE, pod, gracePeriodSeconds=0)
        status = await asyncio.wait_for(socket.recv(), 60)
        assert isinstance(status, bytes)
        assert json.loads(status[1:])["details"]["causes"] == [{"reason": "ExitCode", "message": "137"}]


async def test_it_may_be_cut(caller: Caller, pod: str) -> None:
    caller.rig.faults.cut_watches(0.1, "/exec")
    async with _connect(caller.rig, pod, "command=sleep&command=1000&stdout=true") as socket, asyncio.timeout(60):
        async for frame in _frames(socket):  # its first one may come, or the cut be sooner
            assert frame == b"\x01"
    assert socket.close_code == 1006, "without a goodbye"


def test_a_container_that_does_not_run(caller: Caller) -> None:
    caller.applied(deployment("rig.local/nosuch:v1", replicas=1))
    until(lambda: caller.rig.pods(SPACE) and "containerStatuses" in caller.rig.pods(SPACE)[0]["status"], what="a pod")
    name = caller.rig.pods(SPACE)[0]["metadata"]["name"]
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "v5.channel.k8s.io"}
    refused = caller.refused("GET", f"{PODS}/{name}/exec?command=true", headers=headers)
    assert refused["code"] == 500
    assert 'container not found ("app")' in refused["message"]
