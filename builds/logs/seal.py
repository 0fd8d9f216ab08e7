"""Turns a finished log's rows into one stored object of gzip members with its index. May be called by anybody, twice.

Every step can be the last before a crash: an object nobody names is removed by the next seal, `complete` is set in
one compare-and-set that names the object, and rows are deleted only after it. Never holds more than a few blocks.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import IO, Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from builds.models import Build, BuildLog, LogChunk

from . import lines as text
from .plan import LEVEL

BIG_ENOUGH = text.BLOCK // 2  # a stored block of this size is taken over as it is
IN_MEMORY = 2 * 1024 * 1024
ROWS_AT_ONCE = 8


class LogGap(Exception):
    """Rows of a log are missing or were changed while they were read; nothing was sealed."""


def seal(build_id: int, *, fence: Callable[[], None] | None = None) -> BuildLog:
    """Make the log complete: one object, its index, the sha256 of all raw bytes. Harmless when it is already.

    Raises LogGap, what `fence` raises, OSError, DatabaseError; after any of them call it again."""
    log, _ = BuildLog.objects.get_or_create(build_id=build_id)
    if not log.complete:
        try:
            _seal(log, fence)
        except (FileNotFoundError, LogGap):
            # Another sealer was done first: it removed the rows we read, and our half-written object as a stray.
            if not BuildLog.objects.filter(pk=log.pk, complete=True).exists():
                raise
        log.refresh_from_db()
    LogChunk.objects.filter(build_id=build_id).delete()
    _remove_strays(log)
    return log


def unsealed() -> QuerySet[BuildLog]:
    """Logs that a crash left open: their build has ended, or they are complete and still have rows."""
    rows = LogChunk.objects.filter(build_id=OuterRef("build_id"))
    return BuildLog.objects.filter(
        Q(complete=False, build__state__in=Build.STATES.final) | (Q(complete=True) & Exists(rows))
    )


def folder_of(build_id: int) -> str:
    return f"logs/{build_id % 1000:03d}/{build_id}"


def _seal(log: BuildLog, fence: Callable[[], None] | None) -> None:
    name = f"{folder_of(log.build_id)}/{uuid.uuid4().hex}.log.gz"
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        packed = _Packed(file)
        for row in _rows(log.build_id):
            packed.add(row)
        packed.end()
        if packed.size != log.size:
            raise LogGap(f"the log of build {log.build_id} has {packed.size} of {log.size} bytes")
        size = file.tell()
        file.seek(0)
        name = default_storage.save(name, File(file))
    with transaction.atomic():
        won = BuildLog.objects.filter(pk=log.pk, complete=False, size=log.size).update(
            complete=True,
            stored_name=name,
            stored_size=size,
            index=packed.index,
            sha256=packed.sha256.hexdigest(),
            chunks=len(packed.index),
        )
        if fence is not None:
            fence()
    if not won and not BuildLog.objects.filter(pk=log.pk, complete=True).exists():
        raise LogGap(f"the log of build {log.build_id} still grows")


def _rows(build_id: int) -> Iterator[LogChunk]:
    """All chunk rows in order, a few at a time and outside of any transaction."""
    offset = 0
    while True:
        rows = list(LogChunk.objects.filter(build_id=build_id, offset__gte=offset).order_by("offset")[:ROWS_AT_ONCE])
        for row in rows:
            if row.offset != offset:
                raise LogGap(f"the log of build {build_id} has no byte {offset}")
            yield row
            offset += row.size
        if len(rows) < ROWS_AT_ONCE:
            return


class _Packed:
    """The object being written: members, index, hash."""

    def __init__(self, file: IO[bytes] | Any) -> None:
        self.file = file
        self.index: list[list[int]] = []
        self.sha256 = hashlib.sha256()
        self.size = 0
        self._lines = 0
        self._loose = b""

    def add(self, row: LogChunk) -> None:
        data = bytes(row.data)
        raw = gzip.decompress(data)
        if len(raw) != row.size:
            raise LogGap(f"the log of build {row.build_id} is damaged at byte {row.offset}")
        self.sha256.update(raw)
        if row.size >= BIG_ENOUGH:
            self.end()
            self._member(data, raw)
            return
        self._loose += raw
        while len(self._loose) >= text.BLOCK:
            end = text.cut(self._loose)
            head, self._loose = self._loose[:end], self._loose[end:]
            self._member(gzip.compress(head, LEVEL, mtime=0), head)

    def end(self) -> None:
        """Write what is left over as a member of its own."""
        if self._loose:
            self._member(gzip.compress(self._loose, LEVEL, mtime=0), self._loose)
            self._loose = b""

    def _member(self, data: bytes, raw: bytes) -> None:
        self.index.append([self.size, self._lines + 1, self.file.tell()])
        self.file.write(data)
        self.size += len(raw)
        self._lines += raw.count(b"\n")


def _remove_strays(log: BuildLog) -> None:
    """Objects of attempts that died between storing and naming; only after ours is named for good."""
    folder = folder_of(log.build_id)
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        if f"{folder}/{name}" != log.stored_name:
            default_storage.delete(f"{folder}/{name}")
