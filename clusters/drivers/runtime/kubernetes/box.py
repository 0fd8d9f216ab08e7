"""Between many that read and one that takes: bounded by bytes, so that a slow taker holds all readers back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
LIMIT = 256 * 1024
A_LINE = 100  # what a line costs beside its text


class Box(Generic[T]):
    """`put` waits while more than LIMIT bytes are in it; one after the other, so that only one steps over."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._items: list[T] = []
        self._size = 0
        self._door = asyncio.Lock()
        self._room = asyncio.Event()
        self._filled = asyncio.Event()
        self._error: BaseException | None = None

    async def put(self, items: Sequence[T], size: int) -> None:
        async with self._door:
            while self._size >= self._limit:
                self._room.clear()
                await self._room.wait()
            self._items += items
            self._size += size + A_LINE * len(items)
            self._filled.set()

    async def take(self) -> list[T]:
        """All there is, at least one. Raises what `fail` was given, once everything before it was taken."""
        while not self._items:
            if self._error is not None:
                raise self._error
            self._filled.clear()
            await self._filled.wait()
        await asyncio.sleep(0)  # whoever takes all the time still lets others have their turn
        items, self._items = self._items, []
        self._size = 0
        self._room.set()
        return items

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._filled.set()
