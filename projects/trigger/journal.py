"""Lines on disk, in order, until they are taken: append-only files and a cursor. Survives being killed at any moment.

A line counts once it is written and synced. After a crash some may be given out again; none is left out.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

SEGMENT_BYTES = 8 << 20


class Full(Exception):
    """No more lines are kept until some are taken."""


class InUse(Exception):
    """Another process works in this folder."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines to be taken; `end` is where the next ones begin. `name` is the same whenever the same lines are asked for."""

    lines: tuple[bytes, ...]
    name: str
    end: tuple[int, int]


class Journal:
    """One folder, one process. `limit`: bytes that may wait at most."""

    def __init__(self, folder: Path, *, limit: int, segment: int = SEGMENT_BYTES) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._limit = limit
        self._segment = segment
        self._lock = (folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InUse(f"another trigger works in {folder}") from error
        self._id = self._identity()
        self._cursor = self._read_cursor()
        self._drop_taken()
        self._file, self._number = self._open_last()
        self._size = self._file.tell()

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    @property
    def waiting(self) -> int:
        """Bytes that were not taken yet."""
        return sum(self._path(number).stat().st_size for number in self._numbers()) - self._cursor[1]

    def append(self, lines: Sequence[bytes]) -> None:
        """Return when the lines are safe. Raises Full, OSError; then none of them counts."""
        data = b"".join(line + b"\n" for line in lines)
        if self.waiting + len(data) > self._limit:
            raise Full
        if self._size >= self._segment:
            self._begin(self._number + 1)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file.fileno(), left) :]
            os.fdatasync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(data)

    def read(self, most: int, most_bytes: int) -> Batch | None:
        """The next lines that were not taken: at most so many and so much, but at least one. None: there are none."""
        number, offset = self._cursor
        while number < self._number and offset >= self._path(number).stat().st_size:
            number, offset = number + 1, 0
        lines: list[bytes] = []
        at = offset
        with self._path(number).open("rb") as file:
            file.seek(offset)
            while len(lines) < most and at < self._end_of(number):
                line = file.readline()
                if not line.endswith(b"\n") or (lines and at + len(line) - offset > most_bytes):
                    break
                lines.append(line[:-1])
                at += len(line)
        if not lines:
            return None
        return Batch(tuple(lines), f"{self._id}-{number}-{offset}-{at}", (number, at))

    def taken(self, batch: Batch) -> None:
        """The lines up to the end of this batch need not be kept."""
        self._cursor = batch.end
        new = self._folder / "cursor.new"
        new.write_text(f"{batch.end[0]} {batch.end[1]}\n")
        new.replace(self._folder / "cursor")
        self._drop_taken()

    # -- files --------------------------------------------------------------------------------------------------------

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010}.lines"

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("[0-9]*.lines"))

    def _end_of(self, number: int) -> int:
        """What was written later by an append that failed does not count."""
        return self._size if number == self._number else self._path(number).stat().st_size

    def _identity(self) -> str:
        path = self._folder / "id"
        if not path.exists():
            new = self._folder / "id.new"
            new.write_text(secrets.token_hex(8))
            new.replace(path)
        return path.read_text().strip()

    def _read_cursor(self) -> tuple[int, int]:
        """Without one, from the first line that is there."""
        first = (self._numbers() or [1])[0]
        try:
            number, offset = map(int, (self._folder / "cursor").read_text().split())
        except (FileNotFoundError, ValueError):
            return first, 0
        return (number, offset) if number >= first else (first, 0)

    def _open_last(self) -> tuple[FileIO, int]:
        """Half a line, left by a crash, was never counted: it is cut off."""
        number = max([self._cursor[0], *self._numbers()])
        path = self._path(number)
        file = path.open("a+b", buffering=0)
        file.seek(0)
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        self._cursor = (
            (self._cursor[0], min(self._cursor[1], file.tell())) if self._cursor[0] == number else self._cursor
        )
        self._sync_folder()
        return file, number

    def _begin(self, number: int) -> None:
        self._file.close()
        self._file, self._number, self._size = self._path(number).open("a+b", buffering=0), number, 0
        self._sync_folder()

    def _drop_taken(self) -> None:
        for number in self._numbers():
            if number < self._cursor[0]:
                self._path(number).unlink()

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
