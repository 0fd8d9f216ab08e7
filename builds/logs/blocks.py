"""Blocks of raw log bytes, from rows while a log runs and from its stored object afterwards; a small cache of them.

Bytes of a log never change, so a cached block stays true whatever happens to the rows around it. Knows how a log is
kept (this and `store.py`, `seal.py` alone do); everything above asks for offsets and lines.
"""

from __future__ import annotations

import bisect
import gzip
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from django.core.files.storage import default_storage

from builds.models import BuildLog, LogChunk

CACHE_BYTES = 16 * 1024 * 1024
CACHE_BLOCKS = 512
CACHED_HEADS = 64


@dataclass(frozen=True, slots=True)
class Head:
    """A log's totals. `size` in raw bytes; `sha256` of them once `complete`; `first_error` is a line from 1."""

    build_id: int
    size: int = 0
    lines: int = 0
    complete: bool = False
    sha256: str = ""
    first_error: int | None = None
    stored_name: str = ""
    stored_size: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Raw bytes from `offset`; `first_line` is the number (from 1) of the line that holds the first of them."""

    offset: int
    first_line: int
    data: bytes = field(repr=False)

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


class BlockCache:
    """The last used blocks of all logs, found by any byte they hold. Thread-safe."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, int], Block] = OrderedDict()
        self._offsets: dict[int, list[int]] = {}
        self._size = 0

    def find(self, build_id: int, offset: int) -> Block | None:
        with self._lock:
            offsets = self._offsets.get(build_id, [])
            at = bisect.bisect_right(offsets, offset) - 1
            if at < 0:
                return None
            key = (build_id, offsets[at])
            block = self._blocks[key]
            if offset >= block.end:
                return None
            self._blocks.move_to_end(key)
            return block

    def put(self, build_id: int, block: Block) -> None:
        with self._lock:
            offsets = self._offsets.setdefault(build_id, [])
            first = bisect.bisect_left(offsets, block.offset)
            last = bisect.bisect_left(offsets, block.end)
            for offset in offsets[first:last]:  # smaller ones that this one replaces
                self._size -= len(self._blocks.pop((build_id, offset)).data)
            offsets[first:last] = [block.offset]
            self._blocks[build_id, block.offset] = block
            self._size += len(block.data)
            while (self._size > self._limit or len(self._blocks) > CACHE_BLOCKS) and len(self._blocks) > 1:
                self._evict()

    def _evict(self) -> None:
        (build_id, offset), block = self._blocks.popitem(last=False)
        self._size -= len(block.data)
        offsets = self._offsets[build_id]
        del offsets[bisect.bisect_left(offsets, offset)]
        if not offsets:
            del self._offsets[build_id]


cache = BlockCache()
_indexes: OrderedDict[int, tuple[str, list[list[int]]]] = OrderedDict()
_indexes_lock = threading.Lock()


def head(build_id: int) -> Head:
    """The totals as they are now; all zero for a log that has not begun."""
    names = ("size", "lines", "complete", "sha256", "first_error_line", "stored_name", "stored_size")
    row = BuildLog.objects.filter(pk=build_id).values_list(*names).first()
    return Head(build_id, *row) if row else Head(build_id)


def block_at(now: Head, offset: int, *, keep: bool = True) -> Block | None:
    """The block that holds the byte at `offset`; None past the end. `keep=False` leaves the cache as it is."""
    if not 0 <= offset < now.size:
        return None
    block = cache.find(now.build_id, offset)
    if block is None:
        block = _load(now, offset)
        if keep:
            cache.put(now.build_id, block)
    return block


def block_before_line(now: Head, line: int) -> Block | None:
    """The last block that begins before line `line` does (or the first one): the line begins there or right after."""
    if now.complete:
        index = _index(now)
        at = max(0, bisect.bisect_left(index, line, key=lambda entry: entry[1]) - 1)
        return block_at(now, index[at][0]) if index else None
    rows = LogChunk.objects.filter(build_id=now.build_id)
    offset = rows.filter(first_line__lt=line).order_by("-offset").values_list("offset", flat=True).first()
    if offset is None and not rows.exists():
        fresh = head(now.build_id)
        return block_before_line(fresh, line) if fresh.complete else None
    return block_at(now, offset or 0)


def _load(now: Head, offset: int) -> Block:
    if not now.complete:
        row: Any = (
            LogChunk.objects.filter(build_id=now.build_id, offset__lte=offset)
            .order_by("-offset")
            .values_list("offset", "size", "first_line", "data")
            .first()
        )
        if row is not None and offset < row[0] + row[1]:
            return Block(row[0], row[2], gzip.decompress(bytes(row[3])))
        now = head(now.build_id)  # sealed since: its rows are gone
        if not now.complete:
            raise LookupError(f"the log of build {now.build_id} has no byte {offset}")
    index = _index(now)
    at = bisect.bisect_right(index, offset, key=lambda entry: entry[0]) - 1
    begin, line, place = index[at]
    end = index[at + 1][2] if at + 1 < len(index) else now.stored_size
    with default_storage.open(now.stored_name) as file:
        file.seek(place)
        data = file.read(end - place)
    return Block(begin, line, gzip.decompress(data))


def _index(now: Head) -> list[list[int]]:
    """The index of a complete log, remembered: it never changes."""
    with _indexes_lock:
        known = _indexes.get(now.build_id)
        if known is not None and known[0] == now.stored_name:
            _indexes.move_to_end(now.build_id)
            return known[1]
    index: list[list[int]] = BuildLog.objects.values_list("index", flat=True).get(pk=now.build_id)
    with _indexes_lock:
        _indexes[now.build_id] = (now.stored_name, index)
        while len(_indexes) > CACHED_HEADS:
            _indexes.popitem(last=False)
    return index
