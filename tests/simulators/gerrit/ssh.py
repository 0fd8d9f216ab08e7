"""The SSH daemon of a Gerrit, by asyncssh: commands of Gerrit, git's two programs, no shell."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncssh

from tests.simulators.sockets import held

from .accounts import Account
from .events import dropped_output
from .repository import environment, identity
from .stream import Listener, encode

if TYPE_CHECKING:
    from .server import Gerrit

Process = asyncssh.SSHServerProcess[bytes]


class _Door(asyncssh.SSHServer):
    """One connection: only public keys of known accounts come in."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._user = ""
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._daemon.connections.append(conn)
        if self._daemon.mute:
            pause(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection in self._daemon.connections:
            self._daemon.connections.remove(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._daemon.gerrit.accounts.by_key(username, key) is not None


class Daemon:
    """Runs in a loop and a thread of its own. Its key may be changed, it may stop listening and begin again."""

    def __init__(self, gerrit: Gerrit, port: int) -> None:
        self.gerrit = gerrit
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.mute = False
        self.output_limit = 0  # in bytes that wait for a slow listener, before what more comes is dropped
        self.commands: list[str] = []
        self.refusals: dict[str, str] = {}  # what is said of a repository instead of its refs
        self.loop = asyncio.new_event_loop()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._held = held(port)
        self.port: int = self._held.getsockname()[1]
        self._thread = threading.Thread(target=self.loop.run_forever, name="gerrit ssh", daemon=True)

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.key.export_public_key('openssh').decode().strip()}"

    # -- its life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()
        self.listen()

    def stop(self) -> None:
        self.refuse()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._held.close()

    def listen(self) -> None:
        self._do(self._listen())

    def refuse(self) -> None:
        """Listen no more, and end all connections."""
        self._do(self._refuse())

    def change_key(self) -> None:
        self.refuse()
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.listen()

    def drop(self) -> None:
        """End all connections, without a word."""
        self._do(self._drop())

    def pause(self) -> None:
        """Read nothing more from any connection: no answer to anything, also not to a keepalive."""

        async def all_of_them() -> None:
            for connection in self.connections:
                pause(connection)

        self._do(all_of_them())

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    async def _listen(self) -> None:
        self._acceptor = await asyncssh.create_server(
            lambda: _Door(self), "127.0.0.1", self.port, server_host_keys=[self.key], process_factory=self._run,
            encoding=None, allow_scp=False, reuse_address=True, server_version="GerritCodeReview_3.10.2",
            login_timeout=120,
        )  # fmt: skip

    async def _refuse(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None
        await self._drop()

    async def _drop(self) -> None:
        for connection in list(self.connections):
            connection.abort()
        self.connections.clear()

    # -- commands -------------------------------------------------------------------------------------------------------

    async def _run(self, process: Process) -> None:
        account = self.gerrit.accounts.named(process.get_extra_info("username"))
        assert account is not None
        command = process.command or ""
        self.commands.append(command)
        try:
            words = shlex.split(command)
            status = await self._command(process, account, words)
        except (OSError, asyncssh.Error, ValueError) as failed:
            with suppress(OSError, asyncssh.Error):
                process.stderr.write(f"fatal: {failed}\n".encode())
            status = 1
        with suppress(OSError, asyncssh.Error):
            process.exit(status)
            await process.wait_closed()

    async def _command(self, process: Process, account: Account, words: list[str]) -> int:
        if not words:
            process.stderr.write(
                f"\r\n  ****    Welcome to Gerrit Code Review    ****\r\n\r\n  Hi {account.name}, you have successfully "
                "connected over SSH.\r\n\r\n  Unfortunately, interactive shells are disabled.\r\n\r\n".encode()
            )
            return 127
        if words[0].startswith("git-") and words[0] in ("git-upload-pack", "git-receive-pack"):
            return await self._git(process, account, words)
        if words[:2] == ["git", "upload-pack"] or words[:2] == ["git", "receive-pack"]:
            return await self._git(process, account, [f"git-{words[1]}", *words[2:]])
        if words[:2] == ["gerrit", "version"]:
            process.stdout.write(f"gerrit version {self.gerrit.version}\n".encode())
            return 0
        if words[:2] == ["gerrit", "ls-projects"]:
            return self._ls_projects(process, account, words[2:])
        if words[:2] == ["gerrit", "stream-events"]:
            return await self._stream(process, account, words[2:])
        process.stderr.write(f"fatal: {' '.join(words[:2])}: not found\n".encode())
        return 127

    def _ls_projects(self, process: Process, account: Account, words: list[str]) -> int:
        names = [project.name for project in self.gerrit.projects.visible(account.username)]
        if "--format" in words and "json" in words[words.index("--format") + 1]:
            data = {name: {"id": name.replace("/", "%2F"), "state": "ACTIVE"} for name in names}
            process.stdout.write(json.dumps(data).encode() + b"\n")
        else:
            process.stdout.write("".join(f"{name}\n" for name in names).encode())
        return 0

    async def _stream(self, process: Process, account: Account, words: list[str]) -> int:
        """Until the other side goes: one line an event."""
        if not account.may("streamEvents"):
            process.stderr.write(b"fatal: stream events not permitted\n")
            return 1
        kinds = [words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-s", "--subscribe")]
        kinds += [word.partition("=")[2] for word in words if word.startswith("--subscribe=")]

        dropped = False

        def write(data: bytes) -> None:
            nonlocal dropped
            if process.is_closing():
                return
            if self.output_limit and process.channel.get_write_buffer_size() > self.output_limit:
                dropped = True
                return
            if dropped:
                process.stdout.write(encode({**dropped_output(), "eventCreatedOn": int(self.gerrit.clock.now())}))
                dropped = False
            process.stdout.write(data)

        listener = Listener(self.loop, write, kinds, lambda name: account.username not in self.gerrit.hidden_from(name))
        self.gerrit.stream.join(listener)
        try:
            while not process.stdin.at_eof():
                with suppress(asyncssh.BreakReceived, asyncssh.SignalReceived, asyncssh.TerminalSizeChanged):
                    await process.stdin.read(1024)
            await process.wait_closed()
        finally:
            self.gerrit.stream.leave(listener)
        return 0

    async def _git(self, process: Process, account: Account, words: list[str]) -> int:
        name = words[-1].lstrip("/")
        project = self.gerrit.projects.named(name, account.username) if len(words) > 1 else None
        if project is None:
            process.stderr.write(f"fatal: Project not found: {name}\n".encode())
            return 128
        if project.name in self.refusals:
            process.stderr.write(self.refusals[project.name].encode())
            return 128
        extra = {"GIT_PROTOCOL": process.env.get("GIT_PROTOCOL", "")}
        extra |= identity(account, self.gerrit.clock.now()) | self.gerrit.hook_environment(project.name, account)
        child = await asyncio.create_subprocess_exec(
            "git", words[0].removeprefix("git-"), str(project.repository.path), env=environment(**extra),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        status = await child.wait()
        await process.stdout.drain()
        return status


def pause(connection: asyncssh.SSHServerConnection) -> None:
    # asyncssh has no word for it: what comes stays in the kernel, so nothing is answered and nobody sees the end.
    transport = connection.get_extra_info("transport") or connection._transport
    if transport is not None:
        transport.pause_reading()
