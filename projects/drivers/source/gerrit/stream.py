"""The SSH side of a Gerrit server: its stream of events, what it says of itself, and where its branches are.

Only a pinned host key is ever believed. It must not know what the lines mean, nor who wants them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from fangduoduo_release.common.errors import NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from . import ssh_troubles
from .host_keys import Judge, pinned_keys, prints, private_key
from .lines import Half, Heard, Lines, Oversize
from .tips import read_tips

__all__ = ["Facts", "Half", "Heard", "Oversize", "Patience", "Session", "StreamAddress", "connected"]

PORT = 29418
CHUNK = 1 << 16
MOST_SAID = 4096  # bytes of what a command says on its other channel


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. A server that says nothing at all is noticed after three keepalives; one whose transport lives but
    whose commands do not, after `check_s` + `answer_s` without an event."""

    connect_s: float = 10.0
    keepalive_s: float = 15.0
    check_s: float = 30.0
    answer_s: float = 20.0
    tips_s: float = 120.0


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a server listens for SSH and how to come in. `known_hosts`: lines as in OpenSSH's file."""

    host: str
    port: int = PORT
    user: str = ""
    key: str = field(default="", repr=False)
    known_hosts: str = ""
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def of(cls, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> StreamAddress:
        """From what a connection of kind gerrit holds; `host` is empty where nobody is to listen."""
        return cls(
            host=str(config.get("ssh_host") or ""),
            port=int(config.get("ssh_port") or PORT),
            user=str(config.get("ssh_user") or config.get("username") or ""),
            key=str(secrets.get("ssh_key") or ""),
            known_hosts=str(config.get("known_hosts") or ""),
        )

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a look at the server found."""

    version: str
    streams: bool
    fingerprint: str


class Session:
    """One connection that is up."""

    def __init__(self, connection: asyncssh.SSHClientConnection, address: StreamAddress, fingerprint: str) -> None:
        self._connection = connection
        self._address = address
        self._stream: asyncssh.SSHClientProcess[bytes] | None = None
        self._said = bytearray()
        self.fingerprint = fingerprint

    @property
    def lost(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._connection.is_closed()

    async def run(self, command: str, *, limit_s: float = 0) -> str:
        """What a short command answers. Rejected when it fails."""
        with ssh_troubles.told(self._address.place, self._address.user):
            async with asyncio.timeout(limit_s or self._address.patience.answer_s):
                done = await self._connection.run(command, encoding="utf-8", errors="replace")
        if done.exit_status != 0:
            raise ssh_troubles.refused(command, str(done.stderr or ""), self._address.user)
        return str(done.stdout or "")

    async def version(self) -> str:
        """It also proves that the server still does what it is asked."""
        return (await self.run("gerrit version")).strip().removeprefix("gerrit version").strip()

    async def repositories(self) -> list[str]:
        """The names of all that this account sees."""
        return (await self.run("gerrit ls-projects", limit_s=self._address.patience.tips_s)).split("\n")[:-1]

    async def begin(self) -> None:
        """Listen from now on. It returns when the server has taken the command, and answered another after it: what is
        pushed from here on is heard. Rejected `no_stream` when the account may not listen."""
        with ssh_troubles.told(self._address.place, self._address.user):
            async with asyncio.timeout(self._address.patience.answer_s):
                self._stream = await self._connection.create_process("gerrit stream-events", encoding=None)
        await self.version()
        if self._stream.exit_status is not None:
            raise await self._ended()

    async def heard(self) -> AsyncIterator[list[Heard]]:
        """Lines as they come, each once, several at a time when several came; ends only by an error. What was cut off
        by the end comes as a Half before it."""
        assert self._stream is not None, "begin first"
        lines = Lines()
        talk = asyncio.create_task(self._listen_aside(self._stream))
        try:
            async for chunk in self._chunks(self._stream):
                if batch := list(lines.feed(chunk)):
                    yield batch
            if rest := list(lines.close()):
                yield rest
            raise await self._ended()
        finally:
            talk.cancel()

    async def _chunks(self, stream: asyncssh.SSHClientProcess[bytes]) -> AsyncIterator[bytes]:
        """Up to the end, however it comes. In silence the server is asked whether it still works."""
        checking: asyncio.Task[str] | None = None
        reading: asyncio.Task[bytes] | None = None
        try:
            while True:
                reading = reading or asyncio.create_task(stream.stdout.read(CHUNK))
                tasks = {task for task in (reading, checking) if task is not None}
                done, _ = await asyncio.wait(
                    tasks, timeout=self._address.patience.check_s, return_when=asyncio.FIRST_COMPLETED
                )
                if reading in done:
                    chunk = b""
                    with suppress(asyncssh.Error, OSError):  # why it ended is told after what is left
                        chunk = reading.result()
                    if not chunk:
                        return
                    yield chunk
                    reading = None
                elif checking is not None and checking in done:
                    checking.result()
                    checking = None
                elif checking is None:
                    checking = asyncio.create_task(self.version())
        finally:
            for task in (reading, checking):
                if task is not None:
                    task.cancel()

    async def _listen_aside(self, stream: asyncssh.SSHClientProcess[bytes]) -> None:
        with suppress(asyncssh.Error, OSError):
            while said := await stream.stderr.read(1024):
                self._said += said[: MOST_SAID - len(self._said)]

    async def _ended(self) -> Exception:
        """Why the stream is over."""
        assert self._stream is not None
        with suppress(asyncssh.Error, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._listen_aside(self._stream)
                await self._stream.wait_closed()
        said = self._said.decode(errors="replace").strip()
        if said or self._stream.exit_status not in (None, 0):
            return ssh_troubles.refused("gerrit stream-events", said, self._address.user)
        sentence = S("%(server)s ended the connection; perhaps it restarts.", server=self._address.place)
        return Unavailable(sentence, code="ended")

    async def tips(self, repository: str) -> dict[str, str]:
        """Where its branches and tags are. NotFound, Rejected, Unavailable."""
        if not repository or any(c in "'\\" or not c.isprintable() for c in repository):
            raise NotFound(S("There is no repository of this name."), code="unknown_repository")
        place, patience = self._address.place, self._address.patience
        with ssh_troubles.told(place, self._address.user):
            async with asyncio.timeout(patience.tips_s):
                process = await self._connection.create_process(
                    f"git-upload-pack '{repository}'", encoding=None, env={"GIT_PROTOCOL": "version=2"}
                )
                async with process:
                    try:
                        tips = await read_tips(process.stdout, process.stdin)
                        process.stdin.write_eof()
                        with suppress(TimeoutError):  # some servers take a channel that just closes for a fault
                            await process.wait(timeout=patience.answer_s)
                        return tips
                    except EOFError:
                        said = (await process.stderr.read(MOST_SAID)).decode(errors="replace").strip()
        if said:
            raise ssh_troubles.repository_refused(said)
        raise Unavailable(S("%(server)s ended the connection; perhaps it restarts.", server=place), code="ended")


@asynccontextmanager
async def connected(address: StreamAddress) -> AsyncIterator[Session]:
    """A connection that ends with the block. Rejected: `host_key`, `key_refused`, `key_unreadable`; Unavailable."""
    judge = Judge(pinned_keys(address.host, address.port, address.known_hosts))
    key, patience = private_key(address.key), address.patience
    with ssh_troubles.told(address.place, address.user):
        try:
            async with asyncio.timeout(patience.connect_s):
                connection, _ = await asyncssh.create_connection(
                    lambda: judge,
                    address.host,
                    address.port,
                    username=address.user,
                    client_keys=[key],
                    known_hosts=([], [], []),  # so that the judge is asked
                    server_host_key_algs=judge.algorithms(),
                    preferred_auth="publickey",
                    agent_path=None,
                    config=None,
                    keepalive_interval=patience.keepalive_s,
                    keepalive_count_max=3,
                    login_timeout=patience.connect_s,
                )
        except asyncssh.HostKeyNotVerifiable as error:
            raise ssh_troubles.wrong_host_key(address.place, prints(judge.pinned), prints(judge.offered)) from error
    try:
        yield Session(connection, address, prints(judge.offered))
    finally:
        connection.abort()
        with suppress(asyncssh.Error, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await connection.wait_closed()


def look(address: StreamAddress) -> Facts:
    """Connect once: what the server is, and whether this account may listen. Not from within a loop."""

    async def ask() -> Facts:
        async with connected(address) as session:
            version = await session.version()
            try:
                await session.begin()
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await anext(session.heard())
            except Rejected as error:
                if error.code != "no_stream":
                    raise
                return Facts(version, False, session.fingerprint)
            return Facts(version, True, session.fingerprint)

    return asyncio.run(ask())
