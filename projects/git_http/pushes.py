"""The push desk: hears from the hook that refs moved, tells the portal once, and hands its words back.

The hook's note lies on disk before we hear of it and goes only after `on_push` has returned, so `kill -9` at any moment
leaves either a note (found by `pending`) or, in the instant between git's ref update and the note, a tip that the
source's `poll` finds. It must not know what a push starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shlex
import socket
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from projects.drivers.source.base import ZERO

logger = logging.getLogger(__name__)

_HOOK = Path(__file__).with_name("post_receive.py")
_MAX_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A ref that a push moved; `old` or `new` is ZERO for a created or deleted one. `key` as `PushEvent.key`."""

    ref: str
    old: str
    new: str

    @property
    def key(self) -> str:
        return f"{self.ref}:{self.old}:{self.new}"

    @property
    def deleted(self) -> bool:
        return self.new == ZERO


OnPush = Callable[[str, Any, Sequence[RefUpdate]], Awaitable[None]]
PushMessage = Callable[[str, Any, Sequence[RefUpdate]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class SpooledPush:
    """A push whose note still lies in the spool: nobody has taken it over yet. `actor` is the actor's key."""

    note: Path
    slug: str
    actor: str
    at: float
    updates: tuple[RefUpdate, ...]

    def settle(self) -> None:
        """Forget it; call after what it starts is committed. Harmless when somebody else did."""
        self.note.unlink(missing_ok=True)


def pending(spool: Path, *, older_than: float = 15.0) -> list[SpooledPush]:
    """Notes of pushes that were accepted at least `older_than` seconds ago and never settled, oldest first."""
    found = []
    for note in (spool / "pushes").glob("*.json"):
        push = _read(note)
        if push and time.time() - push.at >= older_than:
            found.append(push)
    return sorted(found, key=lambda push: push.at)


@dataclass(slots=True)
class Ticket:
    """One push that is under way."""

    id: str
    slug: str
    actor: Any
    env: dict[str, str]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    done: bool = False
    message: str = ""


class PushDesk:
    """Lives in the web process's event loop; `open` is called before each push and does its work once."""

    def __init__(
        self,
        spool: Path,
        on_push: OnPush,
        push_message: PushMessage | None,
        actor_key: Callable[[Any], str],
        wait: float,
    ) -> None:
        self.hooks = spool / "hooks"
        self._folder = spool / "pushes"
        self._on_push, self._push_message, self._actor_key, self._wait = on_push, push_message, actor_key, wait
        self._live: dict[str, Ticket] = {}
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._socket = f"web-{os.getpid()}-{uuid.uuid4().hex[:8]}.sock"

    async def open(self) -> None:
        """Put the hook into place and listen for it."""
        async with self._opening:
            if self._server is None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                _install(self.hooks)
                _sweep(self._folder)
                self._server = await asyncio.start_unix_server(self._hear, sock=_bind(self._folder, self._socket))

    async def close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
            (self._folder / self._socket).unlink(missing_ok=True)

    def begin(self, slug: str, actor: Any) -> Ticket:
        """A ticket whose `env` tells the hook where to leave its note."""
        name = uuid.uuid4().hex
        env = {
            "FDD_PUSH_ID": name,
            "FDD_PUSH_SPOOL": str(self._folder.resolve()),
            "FDD_PUSH_SOCKET": self._socket,
            "FDD_PUSH_SLUG": slug,
            "FDD_PUSH_ACTOR": self._actor_key(actor),
            "FDD_PUSH_WAIT": str(self._wait),
        }
        ticket = self._live[name] = Ticket(name, slug, actor, env)
        return ticket

    async def finish(self, ticket: Ticket) -> None:
        """The backend is gone: whatever the hook noted and nobody took over yet is taken over now."""
        try:
            async with asyncio.timeout(self._wait):
                await self._deliver(ticket)
        except TimeoutError:
            logger.warning("push %s to %s is left to the spool: its takeover takes too long", ticket.id, ticket.slug)
        finally:
            self._live.pop(ticket.id, None)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                name = (await reader.readline()).decode("ascii", "replace").strip()
            ticket = self._live.get(name)
            if ticket:
                await self._deliver(ticket)
                writer.write(_printable(ticket.message).encode())
                await writer.drain()
        except (TimeoutError, ConnectionError):
            logger.debug("a hook went away before it was heard")
        finally:
            writer.close()

    async def _deliver(self, ticket: Ticket) -> None:
        async with ticket.lock:
            push = _read(self._folder / f"{ticket.id}.json")
            if ticket.done or push is None:
                return
            try:
                await self._on_push(push.slug, ticket.actor, push.updates)
            except Exception:  # whatever the portal's side raises, git has moved the refs: the note stays for `pending`
                logger.exception("push %s to %s could not be taken over; its note stays", ticket.id, ticket.slug)
                return
            ticket.done = True
            push.settle()
            if self._push_message:
                try:
                    ticket.message = await self._push_message(push.slug, ticket.actor, push.updates)
                except Exception:  # a friendly word must not fail a push that is already taken over
                    logger.exception("no message for push %s to %s", ticket.id, ticket.slug)


def _read(note: Path) -> SpooledPush | None:
    try:
        data = json.loads(note.read_text(encoding="utf-8", errors="surrogateescape"))
        updates = tuple(RefUpdate(ref, old, new) for old, new, ref in data["updates"])
        return SpooledPush(note, str(data["slug"]), str(data["actor"]), float(data["at"]), updates)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        logger.warning("the note %s cannot be read and is left alone", note.name)
        return None


def _install(hooks: Path) -> None:
    """Write the hook's starter; replaced in one step, so that a push of another process never sees half of it."""
    hooks.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = hooks / f".{uuid.uuid4().hex}"
    half.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(str(_HOOK))}\n")
    half.chmod(0o700)
    half.replace(hooks / "post-receive")


def _bind(folder: Path, name: str) -> socket.socket:
    """A listening address inside `folder`, however long its path is: a socket's own path may have only 107 bytes."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/{name}" if sys.platform == "linux" else str(folder / name))
        listener.setblocking(False)
    finally:
        os.close(descriptor)
    return listener


def _sweep(folder: Path) -> None:
    """Remove sockets of web processes that are gone, and half notes of hooks that were killed long ago."""
    for path in folder.glob("web-*.sock"):
        pid = path.name.split("-")[1]
        if pid.isdigit() and not _alive(int(pid)):
            path.unlink(missing_ok=True)
    for path in folder.glob("*.half"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > 86_400:
                path.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _printable(text: str) -> str:
    """Only what a terminal can show: no control characters but line breaks."""
    clean = "".join(c for c in text[:_MAX_MESSAGE] if c.isprintable() or c == "\n").strip("\n")
    return f"{clean}\n" if clean else ""
