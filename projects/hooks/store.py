"""Where deliveries are kept: those that wait are stored together in one transaction, and then all are answered.

Connections are read as a whole every few seconds, so that strangers who guess names cost no question to the database and
learn nothing from the time an answer takes. Lives on the event loop of a web process; the database is asked in threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sockets.pool import DatabasePool
from projects.models import HookDelivery

logger = logging.getLogger(__name__)
T = TypeVar("T")
ENGINE = "hook"
KINDS = ("git", "gerrit")
FRESH_S = 3.0  # how old what we know of connections may be
PATIENCE_S = 10.0  # of a sender, for its delivery to be stored
AT_ONCE, BYTES_AT_ONCE = 100, 8 << 20  # of one transaction
RING_EVERY_S = 0.05  # one ring does: who answers it takes what else waits


class Away(Exception):
    """The database cannot be reached, or is too slow."""


class Gone(Exception):
    """The connection was deleted while the delivery was on its way."""


@dataclass(frozen=True, slots=True)
class Door:
    """What is known of a connection. `secrets`: the first two lines, so that one can be changed while both count."""

    pk: int
    name: str
    kind: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery that was let in. `packed` is its body, deflated."""

    connection: int
    kind: str
    event: str
    delivery: str
    key: str
    packed: bytes = field(repr=False)
    size: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Under which number it is kept, and whether it was already."""

    pk: int
    known: bool


def secrets_of(stored: Mapping[str, object]) -> tuple[str, ...]:
    """The webhook secrets of a connection: one, or the new and the old one on a line each."""
    lines = [line.strip() for line in str(stored.get("webhook_secret") or "").splitlines()]
    return tuple([line for line in lines if line][:2])


def pack(body: bytes) -> bytes:
    return zlib.compress(body, 1)


def unpack(packed: bytes, size: int) -> bytes:
    """The body as it came. Raises zlib.error."""
    return zlib.decompressobj().decompress(packed, size + 1)


class Store:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._pool = DatabasePool("hooks", hands=2)
        self._doors: Mapping[str, Door] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Letter, asyncio.Future[Kept]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._rung_at = float("-inf")
        self._ringing: asyncio.Task[None] | None = None

    async def door(self, name: str) -> Door | None:
        """The connection of this name. Raises Away."""
        if time.monotonic() - self._read_at > FRESH_S:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read())
            await _patiently(self._reading)
        return self._doors.get(name)

    async def _read(self) -> None:
        began = time.monotonic()
        self._doors = await self._pool.run(_doors)
        self._read_at = began

    async def keep(self, letter: Letter) -> Kept:
        """Store it; returns after the commit. Raises Away (nothing is stored, or it is known when it comes again), Gone."""
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._waiting.append((letter, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await _patiently(future)

    async def _write(self) -> None:
        while self._waiting:
            batch = self._batch()
            try:
                found: Sequence[Kept | Exception] = await self._pool.run(keep_all, [letter for letter, _ in batch])
            except Exception as error:  # whatever it is, everybody who waits must be answered
                if not isinstance(error, OperationalError | InterfaceError):
                    logger.exception("webhook deliveries could not be stored")
                else:
                    logger.warning("the database is away; %s webhook deliveries are answered with 503", len(batch))
                found = [Away(str(error))] * len(batch)
            for (_, future), answer in zip(batch, found, strict=True):
                if future.done():
                    continue  # it waits no longer
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
            self._ring([one.pk for one in found if isinstance(one, Kept) and not one.known])

    def _batch(self) -> list[tuple[Letter, asyncio.Future[Kept]]]:
        """Those that waited longest, without those whose sender was answered already."""
        taken: list[tuple[Letter, asyncio.Future[Kept]]] = []
        size = 0
        while self._waiting and len(taken) < AT_ONCE and size < BYTES_AT_ONCE:
            letter, future = self._waiting.pop(0)
            if not future.done():
                taken.append((letter, future))
                size += len(letter.packed)
        return taken

    def _ring(self, new: list[int]) -> None:
        """Once for all that came in a short while, after they were answered."""
        if new and (self._ringing is None or self._ringing.done()):
            self._ringing = asyncio.create_task(self._ring_soon(new[0]))

    async def _ring_soon(self, pk: int) -> None:
        await asyncio.sleep(max(0.0, self._rung_at + RING_EVERY_S - time.monotonic()))
        self._rung_at = time.monotonic()
        await self._pool.run(ring, ENGINE, pk)


async def _patiently(waiting: asyncio.Future[T]) -> T:
    """Its result, within a sender's patience. Raises Away."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(waiting) if isinstance(waiting, asyncio.Task) else await waiting
    except TimeoutError as error:
        raise Away("too slow") from error
    except (OperationalError, InterfaceError) as error:
        raise Away(str(error)) from error


def _doors() -> dict[str, Door]:
    found: dict[str, Door] = {}
    for pk, name, kind in Connection.objects.filter(kind__in=KINDS).values_list("pk", "name", "kind"):
        try:
            stored = Connection.objects.values_list("secrets", flat=True).get(pk=pk)
        except AppError:  # a key was lost: this connection lets nobody in, the others are not concerned
            logger.warning("the secrets of connection %s cannot be opened", name)
            stored = {}
        except Connection.DoesNotExist:
            continue
        found[name] = Door(pk, name, kind, secrets_of(stored or {}))
    return found


def keep_all(letters: Sequence[Letter]) -> list[Kept | Exception]:
    """Store them all in one transaction; one by one only where one of them spoils it. Raises OperationalError."""
    try:
        return list(_keep(letters))
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError as error:
        if len(letters) == 1:
            logger.warning("a webhook delivery for connection %s is not stored: %s", letters[0].connection, error)
            return [Gone()]
        return [one for letter in letters for one in keep_all([letter])]


def _keep(letters: Sequence[Letter]) -> list[Kept]:
    keys = [letter.key for letter in letters]
    with transaction.atomic():
        rows = HookDelivery.objects.filter(dedupe_key__in=keys)
        stored = list(rows.values_list("dedupe_key", "pk", "state"))
        before = {key: pk for key, pk, _ in stored}
        again = {key for key, _, state in stored if state == HookDelivery.State.FAILED}
        if again:  # its sender was asked to send it once more, by somebody who mended what ailed it
            work_again(rows.filter(state=HookDelivery.State.FAILED))
        fresh = {letter.key: letter for letter in reversed(letters) if letter.key not in before}
        new = [
            HookDelivery(
                connection_id=letter.connection,
                kind=letter.kind,
                event=letter.event,
                delivery_id=letter.delivery,
                dedupe_key=letter.key,
                body=letter.packed,
                size=letter.size,
                next_at=Now(),
            )
            for letter in letters
            if fresh.get(letter.key) is letter
        ]
        if new:
            HookDelivery.objects.bulk_create(new, ignore_conflicts=True)
        after = dict(rows.all().values_list("dedupe_key", "pk")) if new else before
    return [
        Kept(after[letter.key], fresh.get(letter.key) is not letter and letter.key not in again) for letter in letters
    ]


def work_again(ended: QuerySet[HookDelivery]) -> int:
    """Let these be worked on once more; how many."""
    return ended.update(
        state=HookDelivery.State.NEW,
        next_at=Now(),
        needs_ops=False,
        attempts=0,
        fence=F("fence") + 1,
        pokes=F("pokes") + 1,
        replays=F("replays") + 1,
        error=None,
        result=None,
        handled_at=None,
    )
