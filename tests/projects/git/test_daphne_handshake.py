"""A WebSocket that a busy machine is slow to open is opened all the same."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.portal import ROOT, free_port
from tests.waiting import until

SLOW = """
import asyncio, pathlib, sys
async def application(scope, receive, send):
    await receive()
    await asyncio.sleep(7)  # longer than daphne itself would wait
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome"})
    await receive()
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "slow.py").write_text(SLOW)
    chosen, output = free_port(), tmp_path / "output"
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, '.']; from projects.git_http import daphne_server; daphne_server.main()"
    command = [sys.executable, "-c", code, "-b", "127.0.0.1", "-p", str(chosen), "slow:application"]
    with output.open("wb") as said:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=said, stderr=said)
    try:
        until(lambda: b"Listening on TCP" in output.read_bytes(), what="daphne to listen")
        yield chosen
    finally:
        process.kill()
        process.wait()


async def test_a_socket_that_is_slow_to_open_is_not_hung_up_on(port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/", open_timeout=60, proxy=None) as socket:
        assert await asyncio.wait_for(socket.recv(), 60) == "welcome"
