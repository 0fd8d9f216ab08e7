"""Daphne with flow control serves any application: bodies both ways, many requests on one connection, and a hang-up."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.projects.git.conftest import ROOT
from tests.waiting import until

APPLICATION = """
import asyncio, hashlib

async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"].upper()})
        await receive()
        return
    digest, size, pieces, more = hashlib.sha256(), 0, 0, True
    while more and scope["path"] != "/deaf":
        message = await receive()
        digest.update(message["body"])
        size, pieces, more = size + len(message["body"]), pieces + 1, message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-digest", digest.hexdigest().encode())]})
    if scope["path"] == "/endless":
        gone = asyncio.ensure_future(receive())
        sent = 0
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536
            await asyncio.sleep(0)
        with open(scope["query_string"].decode(), "w") as note:
            note.write(f"{gone.result()['type']} {sent}")
        return
    await send({"type": "http.response.body", "body": f"{size} {pieces}".encode(), "more_body": False})
    if scope["path"] == "/deaf":
        return
    assert (await receive())["type"] == "http.disconnect"
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The server started by its own command line, as `make run` does."""
    folder = tmp_path_factory.mktemp("daphne")
    (folder / "echo_application.py").write_text(APPLICATION)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "projects.git_http.daphne_server",
            "-b",
            "127.0.0.1",
            "-p",
            "0",
            "echo_application:application",
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{folder}"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr
    port = 0
    while not port:
        line = process.stderr.readline()
        assert line, "the server ended"
        found = re.search(r"Listening on TCP address 127\.0\.0\.1:(\d+)", line)
        port = int(found[1]) if found else 0
    yield "127.0.0.1", port
    process.terminate()
    process.wait(60)
    process.stderr.close()


def test_bodies_of_every_size_arrive_whole_on_one_connection(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=60) as client:
        for size in (0, 1, 65535, 65536, 65537, 131072, 3_000_000):
            body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            answer = client.post("/", content=body)
            assert answer.headers["x-digest"] == sha256(body).hexdigest()
            assert int(answer.text.split()[0]) == size
            assert int(answer.text.split()[1]) == size // 65536 + 1, "in pieces, not at once"


def test_an_application_that_does_not_read_leaves_the_connection_usable(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=60) as client:
        for _ in range(3):
            assert client.post("/deaf", content=b"x" * 500_000).text == "0 0"
            assert client.post("/", content=b"abc").text == "3 1"


def test_a_reader_that_stops_stops_the_writer_and_its_leaving_is_told(address: tuple[str, int], tmp_path: Path) -> None:
    note = tmp_path / "note"
    with socket.create_connection(address) as raw:
        raw.sendall(f"GET /endless?{note} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert raw.recv(100)
        time.sleep(0.5)  # an application that nobody holds back would make hundreds of megabytes in this time
    kind, sent = until(lambda: note.exists() and note.read_text().split(), what="the application to hear of it")
    assert kind == "http.disconnect"
    assert int(sent) < 16 << 20, "what the kernel takes, not what the application could make"


def test_web_sockets_pass_as_before(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=60) as raw:
        raw.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(1)
        assert b" 101 " in head
        raw.sendall(b"\x81\x83\0\0\0\0abc")
        answer = b""
        while len(answer) < 5:
            answer += raw.recv(5 - len(answer)) or b"the end"
        assert answer == b"\x81\x03ABC"
