"""One `git http-backend` process: fed from the client, streamed to the client, ended as a whole group.

At most a few pipe buffers of a pack are in memory at any time, in both directions. It must not know who asks or why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from projects.drivers.source.git_command import clean_env

from .request import PUSH, GitRequest, Refusal, body_limit, too_large

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CHUNK = 64 * 1024
_STDERR = 8 * 1024
_PASSED_ON = {b"content-type", b"cache-control", b"expires", b"pragma"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that hold for every request.

    `stall`: nothing moves from or to the client; `finish`: a push whose pack has arrived may still take after its
    client went away; `total`: a whole request; `queue`: waiting for one of `backends` places.
    """

    backends: int = 16
    queue: float = 30.0
    stall: float = 120.0
    finish: float = 60.0
    total: float = 3600.0
    max_push: int = 2 << 30


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


def environment(
    request: GitRequest, repository: Path, user: str, max_push: int, hooks: Path | None, extra: Mapping[str, str]
) -> dict[str, str]:
    """Everything the backend gets to know. Its configuration here is binding, whatever the repository's own says."""
    config = [
        ("http.receivepack", "true"),
        ("http.uploadpack", "true"),
        ("http.getanyfile", "false"),
        ("core.hooksPath", str(hooks) if hooks else os.devnull),
        ("core.logAllRefUpdates", "always"),
        ("receive.fsckObjects", "true"),
        ("receive.denyNonFastForwards", "false"),
        ("receive.denyDeletes", "false"),
        ("receive.autogc", "false"),
        ("receive.updateServerInfo", "false"),
        ("receive.maxInputSize", str(max_push)),
        ("transfer.hideRefs", "refs/fdd"),
        ("uploadpack.allowFilter", "true"),
        ("pack.windowMemory", "64m"),
        ("pack.threads", "2"),
    ]
    cgi = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "GIT_PROJECT_ROOT": str(repository.parent),
        "PATH_INFO": f"/{repository.name}/{request.endpoint}",
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query(),
        "CONTENT_TYPE": request.content_type,
        "REMOTE_USER": user or "unknown",
        "REMOTE_ADDR": request.address,
        **({"HTTP_CONTENT_ENCODING": request.encoding} if request.encoding else {}),
        **({"GIT_PROTOCOL": request.protocol} if request.protocol else {}),
        **extra,
    }
    # Without CONTENT_LENGTH the pack goes straight into git's own process instead of through one more copy.
    return clean_env(config, extra=cgi)


@dataclass(slots=True)
class Backend:
    """A running backend. `started` says that the client has the beginning of an answer."""

    process: asyncio.subprocess.Process
    request: GitRequest
    limits: Limits
    started: bool = False
    _whole: asyncio.Event = field(default_factory=asyncio.Event)
    _stderr: bytearray = field(default_factory=bytearray)

    @classmethod
    async def start(
        cls, program: str, env: Mapping[str, str], request: GitRequest, limits: Limits, inherited: tuple[int, ...] = ()
    ) -> Backend:
        """Start it; `inherited` are descriptors that its processes keep open as long as any of them lives."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            program,
            "http-backend",
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=env,
            start_new_session=True,
            limit=_CHUNK,
            pass_fds=inherited,
        )
        return cls(process, request, limits)

    async def serve(self, receive: Receive, send: Send, before_end: Callable[[], Awaitable[None]]) -> None:
        """Stream both ways until the answer is out. Raises Refusal while none has begun, TimeoutError, ClientGoneError.

        `before_end` is awaited after the backend's last byte and before the answer is declared whole.
        """
        errors = asyncio.create_task(self._keep_errors())
        up = asyncio.create_task(self._upload(receive))
        down = asyncio.create_task(self._download(send, before_end))
        try:
            async with asyncio.timeout(self.limits.total):
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                if not down.done():
                    up.result()  # what went wrong with the request, if anything did; else the client has hung up
                    if self.request.verb == PUSH:
                        async with asyncio.timeout(self.limits.finish):
                            await down
                    raise ClientGoneError
                down.result()
        finally:
            for task in (up, down, errors):
                task.cancel()
            await self._stop()
            await asyncio.gather(up, down, errors, return_exceptions=True)

    async def _upload(self, receive: Receive) -> None:
        """Feed the body to git, then wait for the client to hang up. ClientGoneError when that comes first."""
        stdin = self.process.stdin
        assert stdin
        seen, most, listening = 0, body_limit(self.request.verb, self.limits.max_push), True
        while not self._whole.is_set():
            async with asyncio.timeout(self.limits.stall):
                message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            body = message.get("body", b"")
            seen += len(body)
            if seen > most:
                raise Refusal(413, too_large(self.request.verb, self.limits.max_push))
            if body and listening:
                # A git that has made up its mind reads no further; the rest is taken and dropped, as a client that
                # cannot finish sending never reads its answer.
                listening = await self._write(stdin, body)
            if not message.get("more_body", False):
                self._whole.set()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.close()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _write(self, stdin: asyncio.StreamWriter, body: bytes) -> bool:
        try:
            stdin.write(body)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    async def _download(self, send: Send, before_end: Callable[[], Awaitable[None]]) -> None:
        stdout = self.process.stdout
        assert stdout
        try:
            head = await stdout.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            await self.process.wait()
            raise Refusal(500, "Git could not answer; the portal's log says why.") from error
        status, headers = _parse_head(head)
        await self._send(send, {"type": "http.response.start", "status": status, "headers": headers})
        self.started = True
        while chunk := await stdout.read(_CHUNK):
            await self._send(send, {"type": "http.response.body", "body": chunk, "more_body": True})
        await self.process.wait()
        await before_end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.limits.stall):
                await self._whole.wait()
        await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, message: Message) -> None:
        async with asyncio.timeout(self.limits.stall):
            await send(message)

    async def _keep_errors(self) -> None:
        stderr = self.process.stderr
        assert stderr
        while chunk := await stderr.read(4096):
            self._stderr += chunk
            del self._stderr[:-_STDERR]

    async def _stop(self) -> None:
        """End the whole group: SIGTERM first, at which git removes its locks and half packs, then SIGKILL."""
        if self.process.returncode is None:
            group = self.process.pid
            for wanted, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
                if not _signal(group, wanted):
                    break
                await _until_gone(group, patience)
            await self.process.wait()
        if self._stderr:
            text = self._stderr.decode(errors="replace").strip()
            logger.warning(
                "%s of %s ended with %s: %s", self.request.service, self.request.slug, self.process.returncode, text
            )


def _signal(group: int, wanted: int) -> bool:
    try:
        os.killpg(group, wanted)
    except ProcessLookupError:
        return False
    return True


async def _until_gone(group: int, patience: float) -> None:
    waited = 0.0
    while waited < patience and _signal(group, 0):
        await asyncio.sleep(0.02)
        waited += 0.02


def _parse_head(head: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """A CGI answer's head: its status and the headers worth passing on."""
    status = 200
    headers = [(b"x-content-type-options", b"nosniff")]
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if name == b"status" and value[:3].isdigit():
            status = int(value[:3])
        elif name in _PASSED_ON:
            headers.append((name, value))
    return status, headers
