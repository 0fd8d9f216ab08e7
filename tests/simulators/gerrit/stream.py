"""Where events go: to every listener that wants them, unless a fault holds, repeats or spoils them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .answers import gson

Write = Callable[[bytes], None]


class Listener:
    """One `gerrit stream-events`. `kinds` empty: everything of the projects that are `seen`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, write: Write, kinds: Iterable[str], seen: Callable[[str], bool]
    ) -> None:
        self.kinds = frozenset(kinds)
        self.seen = seen
        self.silent = False
        self._loop = loop
        self._write = write

    def wants(self, kind: str, project: str) -> bool:
        if self.silent or (self.kinds and kind and kind not in self.kinds):
            return False
        return not project or self.seen(project)

    def send(self, data: bytes) -> None:
        """From any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._write, data)


class Stream:
    """`gerrit.stream`. Whoever does not listen when an event happens never hears of it."""

    def __init__(self, clock: Callable[[], float], also: Callable[[dict[str, Any]], None]) -> None:
        self._clock = clock
        self._also = also
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

    def line(self, data: bytes, kind: str = "", project: str = "") -> None:
        """Write bytes as they are."""
        with self._lock:
            for listener in self._listeners:
                if listener.wants(kind, project):
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
        self._also(event)
        self.line(encode(event), event["type"], project_of(event))


def project_of(event: dict[str, Any]) -> str:
    return str(event.get("project") or event.get("projectName") or event.get("refUpdate", {}).get("project") or "")


def encode(event: dict[str, Any]) -> bytes:
    return gson(event) + b"\n"
