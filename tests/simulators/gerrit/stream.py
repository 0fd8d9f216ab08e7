"""Where events go: to every listener that wants them, unless a fault holds, repeats or spoils them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

Write = Callable[[bytes], None]


class Listener:
    """One `gerrit stream-events`. `kinds` empty: everything."""

    def __init__(self, loop: asyncio.AbstractEventLoop, write: Write, kinds: Iterable[str], username: str) -> None:
        self.kinds = frozenset(kinds)
        self.username = username
        self.silent = False
        self._loop = loop
        self._write = write

    def wants(self, kind: str) -> bool:
        return not self.silent and (not self.kinds or not kind or kind in self.kinds)

    def send(self, data: bytes) -> None:
        """From any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._write, data)


class Stream:
    """`gerrit.stream`. Whoever does not listen when an event happens never hears of it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._held: list[dict[str, Any]] | None = None
        self._repeats = 0
        self.past: list[dict[str, Any]] = []
        self.keep = True  # whether `past` grows

    def join(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    @property
    def listeners(self) -> list[Listener]:
        with self._lock:
            return list(self._listeners)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The past events of a type."""
        with self._lock:
            return [event for event in self.past if event["type"] == kind]

    def publish(self, event: dict[str, Any]) -> None:
        whole = {**event, "eventCreatedOn": int(self._clock())}
        with self._lock:
            if self.keep:
                self.past.append(whole)
            if self._held is not None:
                self._held.append(whole)
                return
            times = 1
            if self._repeats:
                self._repeats -= 1
                times = 2
            for _ in range(times):
                self._send(whole)

    def line(self, data: bytes, kind: str = "") -> None:
        """Write bytes as they are."""
        with self._lock:
            for listener in self._listeners:
                if listener.wants(kind):
                    listener.send(data)

    def hold(self) -> None:
        with self._lock:
            self._held = self._held or []

    def release(self, order: Callable[[list[dict[str, Any]]], Iterable[dict[str, Any]]] = reversed) -> int:
        """Send what was held, last first unless told otherwise; how many."""
        with self._lock:
            held, self._held = self._held or [], None
            for event in order(held):
                self._send(event)
        return len(held)

    def forget(self) -> int:
        """Never send what was held."""
        with self._lock:
            held, self._held = self._held or [], None
        return len(held)

    def twice(self, count: int = 1) -> None:
        """The next events come two times."""
        with self._lock:
            self._repeats += count

    def _send(self, event: dict[str, Any]) -> None:
        self.line(encode(event), event["type"])


def encode(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
