"""Writes a running build's log: clean lines in, blocks and marks in the database, at most 100 ms later.

`LogWriter` belongs to the one process that holds the build. Its own thread stores, so that a database that is away
for a while delays and then slows the build (bounded buffer), and loses nothing. Knows no builder and no stage tree.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from builds.drivers.builder.base import LogFull

from .plan import Piece, Planner
from .rows import BatchStore, disk_full
from .seal import seal

logger = logging.getLogger(__name__)
T = TypeVar("T")
FLUSH_S = 0.1
FLUSH_BYTES = 256 * 1024
BATCH_BYTES = 1024 * 1024
BUFFER_BYTES = 4 * 1024 * 1024
MIB = 1024 * 1024


class LogAway(OSError):
    """The database could not be reached for longer than the writer's patience; what was not stored is lost."""


def nothing() -> None:
    """The fence of a log that nobody else could claim."""


class LogWriter:
    """Appends to the log of one build; picks up where a dead writer stopped. Thread-safe, one append at a time.

    `fence` is called inside every storing transaction and raises (LostClaim) when the build is no longer ours;
    whatever it raises is raised again by the next call here. `limit` in raw bytes; `patience_s` is how long a
    database may be away.
    """

    def __init__(
        self, build_id: int, *, fence: Callable[[], None] = nothing, limit: int = 200 * MIB, patience_s: float = 90.0
    ) -> None:
        self.build_id = build_id
        self._limit = limit
        self._patience_s = patience_s
        self._store = BatchStore(build_id, fence)
        self._planner = self._with_patience(lambda: Planner(build_id, self._store.open()))
        self._accepted = self._planner.size
        self._pieces: deque[Piece] = deque()
        self._buffered = 0
        self._full: LogFull | None = None
        self._error: BaseException | None = None
        self._closing = self._hurry = False
        self._busy = False
        self._turn = threading.Lock()  # one append at a time
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"log-{build_id}", daemon=True)
        self._thread.start()

    @property
    def stored(self) -> int:
        """Raw bytes that are safe in the database."""
        return self._planner.size

    def append(
        self, data: bytes, *, stage: str | None = "", step: int | None = 0, label: str = "", at_ms: int | None = None
    ) -> None:
        """Take complete lines (a missing last newline is added). Blocks while too much waits to be stored.

        Raises LogFull once the limit is reached, LostClaim, LogAway, OSError (ENOSPC)."""
        if not data:
            return
        if not data.endswith(b"\n"):
            data += b"\n"
        now_ms = int(time.time() * 1000) if at_ms is None else at_ms
        with self._turn:
            self._check()
            if self._full is not None:
                raise self._full
            if self._accepted + len(data) > self._limit:
                self._overflow(data, stage or "", step or 0, label, now_ms)
            self._push(data, stage or "", step or 0, label, now_ms)

    def step_failed(self, *, stage: str | None = "", step: int | None = None) -> None:
        """This step (None: the stage's last one) failed: its first line that looks like an error, else its last line,
        is the log's first error. The first call that names a step with lines decides."""
        self.flush()
        with self._turn:
            self._planner.blame((stage or "")[:80], step)
            self._with_patience(lambda: self._store.write_first_error(self._planner.first_error))

    def flush(self) -> None:
        """Return when everything taken so far is stored."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            while (self._pieces or self._busy) and self._error is None:
                self._changed.wait()
            self._hurry = False
        self._check()

    def close(self) -> None:
        """Store what is left and end the thread. Raises what storing raised."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._check()

    def finish(self) -> None:
        """Close, then seal the log: one stored object, complete, no chunk rows."""
        self.close()
        seal(self.build_id, fence=self._store.fence)

    # -- the caller's side ---------------------------------------------------------------------------------------

    def _push(self, data: bytes, stage: str, step: int, label: str, at_ms: int) -> None:
        for start in range(0, len(data), FLUSH_BYTES):
            part = data[start : start + FLUSH_BYTES]
            with self._changed:
                while self._buffered >= BUFFER_BYTES and self._error is None:
                    self._changed.wait()
                self._check()
                self._pieces.append(Piece(part, stage[:80], step, label[:120], at_ms, begins_line=start == 0))
                self._buffered += len(part)
                self._accepted += len(part)
                self._changed.notify_all()

    def _overflow(self, data: bytes, stage: str, step: int, label: str, at_ms: int) -> None:
        room = max(0, self._limit - self._accepted)
        fits = data[: data.rfind(b"\n", 0, room) + 1]
        sentence = f"The log reached its limit of {self._limit / MIB:g} MiB; nothing more of it is kept."
        self._push(fits + sentence.encode() + b"\n", stage, step, label, at_ms)
        self._full = LogFull(sentence)
        self.flush()
        raise self._full

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    # -- the thread's side ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while batch := self._take():
                self._keep(batch)
        except BaseException as error:  # noqa: BLE001 - handed to whoever appends next
            with self._changed:
                self._error = error
                self._pieces.clear()
                self._changed.notify_all()
        finally:
            connection.close()

    def _take(self) -> list[Piece]:
        """The next batch, not sooner than FLUSH_S after the last one unless there is much or somebody waits."""
        with self._changed:
            while not self._pieces and not self._closing:
                self._changed.wait()
            due = self._store.stored_at + FLUSH_S
            while (
                (rest := due - time.monotonic()) > 0
                and self._buffered < FLUSH_BYTES
                and not (self._hurry or self._closing)
            ):
                self._changed.wait(rest)
            batch: list[Piece] = []
            taken = 0
            while self._pieces and taken < BATCH_BYTES:
                batch.append(self._pieces.popleft())
                taken += len(batch[-1].data)
            self._busy = bool(batch)
            return batch

    def _keep(self, batch: list[Piece]) -> None:
        plan = self._planner.plan(batch)
        self._with_patience(lambda: self._store.store(plan))
        with self._changed:
            self._planner.accept(plan)
            self._buffered -= sum(len(piece.data) for piece in batch)
            self._busy = False
            self._changed.notify_all()

    def _with_patience(self, call: Callable[[], T]) -> T:
        """Try again while the database is away. A full disk is final at once, the rest after `patience_s`."""
        began = time.monotonic()
        wait = 0.1
        while True:
            try:
                return call()
            except (OperationalError, InterfaceError) as error:
                connection.close()
                if full := disk_full(error):
                    raise full from error
                if time.monotonic() - began > self._patience_s:
                    raise LogAway("The database was away for too long to keep the log.") from error
                logger.warning("the log of build %s waits for the database: %s", self.build_id, error)
                time.sleep(wait)
                wait = min(2.0, wait * 2)
            except DatabaseError:
                connection.close()
                raise
