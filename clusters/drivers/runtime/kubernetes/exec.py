"""Programs in pods over a WebSocket, for whoever waits in an event loop: no thread each, nothing kept beyond a few frames.

The official client's own way patches a shared object and keeps all output in memory. Speaks `v5.channel.k8s.io` and
`v4.channel.k8s.io`: the first byte of a message is its channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConcurrencyError, ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from clusters.drivers.runtime.base import ExecResult
from clusters.drivers.runtime.streams import SHELL, Ended, Output
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .access import Access, judge_reach
from .exec_answers import ended, lost, refused
from .names import MANAGER, PODS

PROTOCOLS = (Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io"))
STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
CLOSE = 255
OPEN_S = 10.0
CLOSE_S = 2.0
PING_S = 20.0
DEAF_S = 60.0  # without a pong, while nothing of ours is in its way
PIECE = 16 * 1024  # of what is typed
JOINED = 64 * 1024  # of output that waits here
FRAMES = 4  # that wait unread; a server's frame has 32 KiB
READ_AT_ONCE = 64 * 1024
MESSAGE_MAX = 256 * 1024
WRITE_MAX = 64 * 1024
RESULT_MAX = 1024 * 1024
HANG_UP = b"\x03\x04"  # Ctrl-C, Ctrl-D: a cluster leaves a program running whose caller has gone


class _Connect(connect):
    """A redirect would lead our token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class _Held(ClientConnection):
    """Connected, it asks for nothing before `after` is done, however long that takes, and for nothing if it fails."""

    def __init__(self, *args: Any, after: asyncio.Future[None], opening: asyncio.Timeout, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._after, self._opening = after, opening

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        self._opening.reschedule(None)
        await asyncio.shield(self._after)
        self._opening.reschedule(asyncio.get_running_loop().time() + OPEN_S)
        await super().handshake(*args, **kwargs)


class Pods:
    """Starts programs in the pods of one API server. May be kept; holds no connection."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._tls: ssl.SSLContext | None = None
        self._ready = False

    async def start(
        self,
        namespace: str,
        pod: str,
        argv: Sequence[str] = SHELL,
        *,
        container: str = "",
        tty: bool = True,
        stdin: bool = True,
        size: tuple[int, int] | None = None,
        after: asyncio.Future[None] | None = None,
    ) -> Program:
        """`size`: columns and rows, sent before anything is typed. `after`: see `Start`. Raises NotFound,
        Unavailable, Rejected, Invalid."""
        if not self._ready:
            self._tls = await asyncio.to_thread(self._prepare)
            self._ready = True
        query: list[tuple[str, str]] = [("command", word) for word in argv]
        query += [("container", container)] if container else []
        query += [("stdin", "true")] if stdin else []
        query += [("stdout", "true"), ("tty" if tty else "stderr", "true")]
        socket = await self._open(f"{PODS.path(namespace, pod, 'exec')}?{urlencode(query)}", after)
        program = Program(socket, tty=tty)
        if size is not None:
            await program.resize(*size)
        return program

    async def run(
        self, namespace: str, pod: str, argv: Sequence[str], *, container: str = "", timeout_s: float = 8.0
    ) -> ExecResult:
        """One program to its end, its output kept. Raises as `start`, and Unavailable when the connection is lost."""
        program = await self.start(namespace, pod, argv, container=container, tty=False, stdin=False)
        found: dict[bool, bytearray] = {False: bytearray(), True: bytearray()}
        truncated = False
        try:
            async with asyncio.timeout(timeout_s):
                while isinstance(said := await program.receive(), Output):
                    room = RESULT_MAX - len(found[said.error])
                    found[said.error] += said.data[:room]
                    truncated = truncated or len(said.data) > room
        except TimeoutError:
            return ExecResult(-9, bytes(found[False]), bytes(found[True]), truncated, timed_out=True)
        finally:
            await program.close()
        if said.exit_code is None:
            raise Unavailable(said.sentence or S("The connection to the program was lost."))
        return ExecResult(said.exit_code, bytes(found[False]), bytes(found[True]), truncated)

    def _prepare(self) -> ssl.SSLContext | None:
        judge_reach(self.access.server)
        return self.access.tls()

    async def _open(self, path: str, after: asyncio.Future[None] | None) -> ClientConnection:
        headers = {"User-Agent": MANAGER}
        if bearer := self.access.bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        more: dict[str, Any] = {"ssl": self._tls} if self._tls is not None else {}
        if self._tls is not None and self.access.server_name:
            more["server_hostname"] = self.access.server_name
        try:
            async with asyncio.timeout(OPEN_S) as opening:
                if after is not None:
                    more["create_connection"] = partial(_Held, after=after, opening=opening)
                socket = await _Connect(
                    "ws" + self.access.server.removeprefix("http") + path,
                    additional_headers=headers,
                    user_agent_header=None,
                    subprotocols=PROTOCOLS,
                    compression=None,
                    proxy=None,
                    open_timeout=None,  # the one around this may be held; see _Held
                    close_timeout=CLOSE_S,
                    ping_interval=None,  # a pong stands behind output that nobody has taken yet; see Program
                    max_size=MESSAGE_MAX,
                    max_queue=(FRAMES, 1),
                    write_limit=WRITE_MAX,
                    **more,
                )
        except InvalidStatus as error:
            raise refused(error) from error
        except (InvalidHandshake, InvalidURI, ConnectionClosed, TimeoutError, OSError, EOFError) as error:
            raise Unavailable(
                S("The API server does not answer."), evidence=f"{type(error).__name__}: {error}"[:500]
            ) from error
        if socket.subprotocol is None:
            await socket.close()
            raise Rejected(S("The API server speaks no protocol for terminals that the portal knows."))
        _read_little(socket)
        return socket


def _read_little(socket: ClientConnection) -> None:
    """asyncio takes 256 KiB from a socket at once, which would all be frames in memory however few may wait."""
    with contextlib.suppress(AttributeError):
        socket.transport.max_size = READ_AT_ONCE  # type: ignore[attr-defined]


class Program:
    """One running program; a `Terminal` (see `clusters/drivers/runtime/streams.py`) when it has a TTY."""

    def __init__(self, socket: ClientConnection, *, tty: bool) -> None:
        self._socket = socket
        self._tty = tty
        self._heard: deque[Output] = deque()  # what nobody has taken yet
        self._size = 0
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._end: Ended | None = None
        self._hungry = False  # whatever the server sends is read
        self._stuck = False  # the server has not taken yet what was typed
        loop = asyncio.get_running_loop()
        self._hands = [loop.create_task(work) for work in (self._listen(), self._keep_alive())]

    @property
    def protocol(self) -> str:
        return str(self._socket.subprotocol)

    async def send(self, data: bytes) -> None:
        """Waits while the server takes nothing. After the end it does nothing: `receive` tells of that."""
        self._stuck = True
        try:
            for at in range(0, len(data), PIECE):
                await self._socket.send(bytes((STDIN,)) + data[at : at + PIECE])
        except ConnectionClosed:
            return
        finally:
            self._stuck = False

    async def end_input(self) -> None:
        """No more input will come; the older protocol has no word for it."""
        if self._socket.subprotocol == PROTOCOLS[0]:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(bytes((CLOSE, STDIN)))

    async def resize(self, cols: int, rows: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(bytes((RESIZE,)) + json.dumps({"Width": cols, "Height": rows}).encode())

    async def receive(self) -> Output | Ended:
        """What has come meanwhile, joined: small pieces cost whoever hands them on as much as large ones."""
        while not self._heard:
            if self._end is not None:
                await self._leave()
                return self._end
            self._news.clear()
            await self._news.wait()
        first = self._heard.popleft()
        pieces, size = [first.data], len(first.data)
        while self._heard and self._heard[0].error == first.error and size < JOINED:
            pieces.append(self._heard.popleft().data)
            size += len(pieces[-1])
        self._size -= size
        self._room.set()
        return Output(b"".join(pieces), first.error) if len(pieces) > 1 else first

    async def _listen(self) -> None:
        """Take what the server sends, as long as there is room for it."""
        while self._end is None:
            while self._size >= JOINED:
                self._room.clear()
                await self._room.wait()
            self._hungry = True
            try:
                message = await self._socket.recv(decode=False)
            except ConnectionClosed as closed:
                self._end = self._end or Ended(sentence=lost(closed))
                break
            finally:
                self._hungry = False
            channel = message[0] if message else CLOSE
            if channel in (STDOUT, STDERR) and len(message) > 1:
                self._heard.append(Output(message[1:], channel == STDERR))
                self._size += len(message) - 1
            elif channel == STATUS:
                self._end = ended(message[1:])
            self._news.set()
        self._news.set()

    async def close(self) -> None:
        if self._end is None:
            self._end = Ended(sentence=S("The terminal was closed."))
            self._news.set()
            if self._tty:
                with contextlib.suppress(ConnectionClosed, TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self._socket.send(bytes((STDIN,)) + HANG_UP)
        await self._leave()

    async def _leave(self) -> None:
        """Say goodbye, and take what still comes, because the server's own goodbye is behind it; not for long."""
        for hand in self._hands:
            hand.cancel()
        await asyncio.gather(*self._hands, return_exceptions=True)
        goodbye = asyncio.get_running_loop().create_task(self._socket.close())
        try:
            async with asyncio.timeout(CLOSE_S):
                with contextlib.suppress(ConnectionClosed, ConcurrencyError):
                    while True:
                        await self._socket.recv(decode=False)
                await goodbye
        except TimeoutError:
            self._socket.transport.abort()
        finally:
            goodbye.cancel()

    async def _keep_alive(self) -> None:
        """Ping, so that nobody between hangs up on a silent terminal, and leave a server that answers no more.

        A pong is behind all output in the same stream: one that is missing says nothing while nobody takes output."""
        heard = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(PING_S)
            try:
                async with asyncio.timeout(PING_S):
                    await asyncio.shield(await self._socket.ping())
                heard = asyncio.get_running_loop().time()
            except TimeoutError:
                if self._stuck or not self._hungry:
                    heard = asyncio.get_running_loop().time()
                elif asyncio.get_running_loop().time() - heard > DEAF_S:
                    self._socket.transport.abort()
                    return
            except ConnectionClosed:
                return
