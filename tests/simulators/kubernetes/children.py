"""Processes that exec starts: with pipes, or with a terminal of their own. They are read only as fast as somebody reads."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from typing import Protocol

PIECE = 32 * 1024


def own_terminal() -> None:
    """In the child, which leads a session: its input is the session's terminal. Whoever started us in the background had
    interrupts ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Child(Protocol):
    async def start(self, command: list[str], folder: str, environment: dict[str, str], *, stdin: bool) -> None: ...

    async def out(self) -> bytes: ...

    async def err(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def close_input(self) -> None: ...

    def resize(self, width: int, height: int) -> None: ...

    async def wait(self) -> int: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


class _Process:
    process: asyncio.subprocess.Process

    async def wait(self) -> int:
        code = await self.process.wait()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """With all it has started: it leads a session."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Piped(_Process):
    async def start(self, command: list[str], folder: str, environment: dict[str, str], *, stdin: bool) -> None:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdin=pipe if stdin else asyncio.subprocess.DEVNULL, stdout=pipe,
            stderr=pipe, start_new_session=True, limit=PIECE,
        )  # fmt: skip

    async def out(self) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.read(PIECE)

    async def err(self) -> bytes:
        assert self.process.stderr is not None
        return await self.process.stderr.read(PIECE)

    async def write(self, data: bytes) -> None:
        if self.process.stdin is None:
            return
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(data)
            await self.process.stdin.drain()

    def close_input(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    def resize(self, width: int, height: int) -> None:
        """There is no terminal."""

    def close(self) -> None:
        self.close_input()


class Terminal(_Process):
    """The terminal is the process's own, so that Ctrl-C and job control work; also one that is killed at once leads a
    session by then."""

    async def start(self, command: list[str], folder: str, environment: dict[str, str], *, stdin: bool) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.resize(80, 24)
        try:
            self.process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=environment,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=own_terminal,
            )
        finally:
            os.close(slave)

    async def out(self) -> bytes:
        while True:
            try:
                return os.read(self.master, PIECE)
            except BlockingIOError:
                await self._until(reading=True)
            except OSError:  # the other side is closed
                return b""

    async def err(self) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self.master, data) :]
            except BlockingIOError:
                await self._until(reading=False)
            except OSError:
                return

    async def _until(self, *, reading: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
        add(self.master, _done, ready)
        try:
            await ready
        finally:
            remove(self.master)

    def close_input(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self.master, b"\x04")

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)


def _done(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
