"""Recorded talks over the exec WebSocket, and how to have them again."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from .kubernetes_play import plain, unlike
from .kubernetes_rig import Rig

_BANNER = "BusyBox"


@dataclass
class Exchange:
    """`sent` and `said` are frames; `refused` the status and body instead of an upgrade."""

    name: str
    target: str
    protocol: str
    sent: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    refused: tuple[int, dict[str, str], str] | None = None


def exchanges(folder: Path) -> dict[str, Exchange]:
    found = {}
    for file in sorted(folder.glob("exec-*.txt")):
        text = file.read_text()
        if "(WebSocket" in text:
            found[file.stem] = _read(file.stem, text)
    return found


def _read(name: str, text: str) -> Exchange:
    head = re.search(r"^> GET (\S+)  \(WebSocket, Sec-WebSocket-Protocol: (\S+)\)$", text, re.MULTILINE)
    assert head is not None
    exchange = Exchange(name, head.group(1), head.group(2))
    for line in text.splitlines():
        if line.startswith("> binary "):
            exchange.sent.append(ast.literal_eval(line.removeprefix("> binary ")))
        elif line.startswith("< opcode 2 "):
            exchange.said.append(ast.literal_eval(line.removeprefix("< opcode 2 ")))
        elif line.startswith("< refused: "):
            status, headers, body = line.partition("Handshake status ")[2].split(" -+-+- ")
            exchange.refused = (int(status.split()[0]), ast.literal_eval(headers), body)
    return exchange


def replay(rig: Rig, pod: str, exchange: Exchange) -> list[str]:
    return asyncio.run(asyncio.wait_for(_replay(rig, pod, exchange), 120))


async def _replay(rig: Rig, pod: str, exchange: Exchange) -> list[str]:
    target = exchange.target.replace("hello-84f5fdbb-cr5jd", pod)
    context = ssl.create_default_context(cadata=rig.ca)
    try:
        async with connect(
            f"{rig.url.replace('https', 'wss')}{target}", ssl=context, additional_headers=rig.headers,
            subprotocols=[exchange.protocol], proxy=None, open_timeout=60,  # type: ignore[list-item]
        ) as socket:  # fmt: skip
            if exchange.refused:
                return ["refused when it was recorded, not now"]
            if socket.subprotocol != exchange.protocol:
                return [f"{socket.subprotocol} was chosen"]
            said = await _talk(socket, exchange)
            found = [*_unlike(exchange, said)]
            return found + ([] if socket.close_code == 1000 else [f"closed with {socket.close_code}"])
    except InvalidStatus as refused:
        return [*_unlike_refusal(exchange, refused, pod)]


async def _talk(socket: ClientConnection, exchange: Exchange) -> list[bytes]:
    """At a terminal a line is typed when the shell asks for one, lest its echo stand amid what the one before it says."""
    said: list[bytes] = []
    typed = 0
    for frame in exchange.sent:
        if frame[0] == 0 and "tty=true" in exchange.target:
            while _by_channel(said).get(1, "").count("$ ") <= typed:
                said.append(await socket.recv(decode=False))
            typed += 1
        await socket.send(frame)
    return said + [bytes(frame) async for frame in socket if isinstance(frame, bytes)]


def _unlike(exchange: Exchange, said: list[bytes]) -> Iterator[str]:
    """The first frame, what was said on each channel, and the last."""
    if said[:1] != exchange.said[:1]:
        yield f"it began with {said[:1]}"
    wanted, found = (_by_channel(frames) for frames in (exchange.said, said))
    if wanted.keys() != found.keys():
        yield f"channels {wanted.keys()} were recorded, {found.keys()} are used"
    yield from unlike(plain(json.loads(wanted[3])), plain(json.loads(found[3])))
    if said[-1][0] != 3:
        yield "the status is not the last frame"
    if _BANNER in wanted.get(1, ""):
        # The recorded shell was BusyBox's; the terminal's size and kind are what it shows.
        if "30 100\r\nxterm\r\n" not in found[1]:
            yield f"{found[1]!r} shows no terminal of 30 rows and 100 columns"
    elif wanted.get(1) != found.get(1):
        yield f"{wanted.get(1)!r} was recorded, {found.get(1)!r} is said"
    # Shells word their complaints differently.
    if bool(wanted.get(2)) != bool(found.get(2)):
        yield f"stderr: {wanted.get(2)!r} was recorded, {found.get(2)!r} is said"


def _by_channel(frames: list[bytes]) -> dict[int, str]:
    found: dict[int, str] = {}
    for frame in frames:
        found[frame[0]] = found.get(frame[0], "") + frame[1:].decode()
    return found


def _unlike_refusal(exchange: Exchange, refused: InvalidStatus, pod: str) -> Iterator[str]:
    if exchange.refused is None:
        yield f"refused now: {refused.response.status_code}"
        return
    status, headers, body = exchange.refused
    if refused.response.status_code != status:
        yield f"status {status} was recorded, {refused.response.status_code} is answered"
    for name in ("cache-control", "content-type", "connection"):
        if headers.get(name) != refused.response.headers.get(name):
            yield f"{name}: {headers.get(name)} was recorded, {refused.response.headers.get(name)} is answered"
    wanted: Any = None if body.strip() == "None" else plain(json.loads(body))
    found: Any = plain(json.loads(refused.response.body)) if refused.response.body else None
    yield from unlike(wanted, found)
