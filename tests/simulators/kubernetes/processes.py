"""Pods as real processes: each an HTTP server on a port of loopback, asked to end by SIGTERM, killed by SIGKILL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .images import Image, repository
from .kinds import Object
from .logs import Log
from .podstatus import Container
from .programs import Played, Program

if TYPE_CHECKING:
    from .server import Kubernetes

SCRIPT = Path(__file__).with_name("podserver.py")


class Programs:
    """Makes them, and sees to it that none is left."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self._running: set[Running] = set()
        self._over = False

    def make(self, obj: Object, each: Container) -> Program:
        image = self.kubernetes.images.find(each.image)
        log = self.kubernetes.logs.current[obj["metadata"]["uid"], each.name]
        if image.exit_code is not None:
            return Played(image, each.image, log, self.kubernetes.pace)
        program = Running(image, each.image, obj["metadata"]["name"], log)
        self._running.add(program)
        program.ended.add_done_callback(lambda _: self._running.discard(program))
        if self._over:
            program.kill()
        return program

    async def stop(self) -> None:
        self._over = True  # a kubelet that starts again what is killed here starts nothing any more
        left = list(self._running)
        for program in left:
            program.kill()
        await asyncio.gather(*(program.ended for program in left))


class Running:
    def __init__(self, image: Image, reference: str, pod: str, log: Log) -> None:
        self.image, self.reference, self.pod, self.log = image, reference, pod, log
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._killed = False

    async def start(self) -> None:
        if self._killed:
            self.ended.set_result(137)
            return
        version = self.reference.removeprefix(repository(self.reference)).lstrip(":@")
        words = [version or "latest", *(["--deaf"] if self.image.deaf else [])]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-P", str(SCRIPT), *words, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", ""), "HOSTNAME": self.pod}, start_new_session=True,
        )  # fmt: skip
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._wait())]
        if self._killed:
            self.kill()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode().rstrip("\n")
            if text.startswith("listening on "):
                self.port = int(text.rpartition(" ")[2])
            self.log.write(text)

    async def _wait(self) -> None:
        assert self._process is not None
        code = await self._process.wait()
        if not self.ended.done():
            self.ended.set_result(code if code >= 0 else 128 - code)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self, code: int = 137) -> None:
        """The code is what the kernel makes of it."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ready(self) -> str:
        if not self.image.ready:
            return self.image.probe
        for _ in range(200):
            if self.port or self.ended.done():
                break
            await asyncio.sleep(0.02)
        return "" if self.port and not self.ended.done() else "dial tcp: connect: connection refused"
