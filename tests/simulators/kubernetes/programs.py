"""The program in a container that is only played: it says its lines, may end by itself, and ends when asked to."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .images import Image, repository
from .logs import Log
from .pace import Pace


class Program(Protocol):
    """`ended`: its exit code, when it has one."""

    ended: asyncio.Future[int]
    image: Image

    async def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self, code: int = 137) -> None: ...

    async def ready(self) -> str:
        """Why it is not; empty when it is."""
        ...


class Played:
    def __init__(self, image: Image, reference: str, log: Log, pace: Pace) -> None:
        self.image, self.reference, self.log, self.pace = image, reference, log, pace
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for line in self.image.lines:
            self.log.write(line)
        if self.image.exit_code is not None:
            if not self.image.lives:
                self.kill(self.image.exit_code)
            else:
                asyncio.get_running_loop().call_later(self.image.lives, self.kill, self.image.exit_code)
        if self.image.tick:
            self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        word = self.reference.partition("@")[0].removeprefix(repository(self.reference)).lstrip(":") or "latest"
        number = 0
        while not self.ended.done():
            number += 1
            self.log.write(f"{word} tick {number}")
            await asyncio.sleep(self.image.tick)

    def stop(self) -> None:
        if not self.image.deaf:
            asyncio.get_running_loop().call_later(self.pace.stop, self.kill, 0)

    def kill(self, code: int = 137) -> None:
        if self._task is not None:
            self._task.cancel()
        if not self.ended.done():
            self.ended.set_result(code)

    async def ready(self) -> str:
        return "" if self.image.ready else self.image.probe
