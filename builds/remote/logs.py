"""A log on the server becomes the build's log here: each line once, masked and clean, whoever reads and whoever dies.

The server's offset (of the answer being read, and how many of its bytes are stored) moves in the transaction that stores
the bytes, so a reader that was killed goes on exactly where its last stored line ended. Whoever begins to read raises
`log_fence`; the reader before it then fails at its next store and lets go. A half line is kept in memory only: unmasked
bytes are never stored.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.db.models import F

from builds.drivers.builder.base import LogFull
from builds.drivers.builder.remote import RemoteBuilder
from builds.logs.plan import Piece, Planner
from builds.logs.rows import BatchStore
from builds.models import LogMark, RemoteBuild, Stage
from builds.remote.shaping import Shaper
from builds.remote.values import secrets_of
from fangduoduo_release.common.runs import LostClaim

BATCH = 256 * 1024
LONGEST_LINE = 1024 * 1024  # one without end is cut
MIB = 1024 * 1024


class LogReader:
    """Reads one build's log, while somebody watches or to its end. Belongs to one thread; forget it after an error."""

    def __init__(self, row: RemoteBuild) -> None:
        self.build_id = row.pk
        self._job, self._number = row.job, row.number or 0
        RemoteBuild.objects.filter(pk=row.pk).update(log_fence=F("log_fence") + 1)
        fresh = RemoteBuild.objects.get(pk=row.pk)
        self._fence = fresh.log_fence
        self._offset, self._skip = fresh.log_offset, fresh.log_skip
        self._place = (self._offset, self._skip)  # what the next store writes down
        self._rest = b""
        self._limit = settings.BUILD_LIMITS["log_mib"] * MIB
        self._store = BatchStore(row.pk, self._keep_place)
        self._planner = Planner(row.pk, self._store.open())
        names = Stage.objects.filter(build_id=row.pk).order_by("-order").values_list("name", "ident")
        last = LogMark.objects.filter(build_id=row.pk).order_by("-line").values_list("stage", flat=True).first()
        self._shaper = Shaper(secrets_of(row.build), dict(names), last or "")

    def read(self, builder: RemoteBuilder, *, until: float = float("inf")) -> bool:
        """Take what the server has, until the monotonic time `until`; True when it will write nothing more.

        Raises LostClaim (another reader took over), Unavailable, Rejected (`build_gone`), DatabaseError."""
        with builder.log(self._job, self._number, self._offset) as answer:
            if answer.restarted:
                self._offset = self._skip = 0
                self._rest = b""
                self._place = (0, 0)
                self._keep(b"--- Jenkins replaced this log; from here on it begins again ---\n")
            got = 0  # of this answer's bytes
            held = bytearray(self._rest)
            try:
                for block in answer.data:
                    held += block[max(0, self._skip - got) :]
                    got += len(block)
                    if len(held) >= BATCH and self._take(held, got) and time.monotonic() > until:
                        self._skip, self._rest = got - len(held), b""
                        return False
                self._take(held, got)
            except LogFull:
                return True
        self._settle(bytes(held), answer.next_offset, more=answer.more)
        return not answer.more

    def _take(self, held: bytearray, got: int) -> int:
        """Store the whole lines of `held` and drop them there; how many bytes. Raises LogFull."""
        end = held.rfind(b"\n") + 1
        if not end and len(held) > LONGEST_LINE:
            end = len(held)
        if end:
            data = bytes(held[:end])
            del held[:end]
            self._place = (self._offset, got - len(held))
            self._keep(data if data.endswith(b"\n") else data + b"\n")
        return end

    def _settle(self, rest: bytes, next_offset: int, *, more: bool) -> None:
        """The answer was read to its end: the next question starts where it ended."""
        self._offset, self._skip, self._rest = next_offset, 0, rest
        if rest and more:
            return  # what is stored ends before the half line; its end comes with the next answer
        moved, self._place = self._place != (next_offset, 0), (next_offset, 0)
        if rest:  # the last line of a log may have no end
            self._rest = b""
            self._keep(rest + b"\n")
        elif moved:
            self._keep_place()

    def _keep(self, data: bytes) -> None:
        """Store whole lines, with the place they end at, in one transaction. Raises LogFull when the limit is reached."""
        full = self._planner.size + len(data) > self._limit
        pieces = self._shaper.shape(data) if not full else self._limited(data)
        plan = self._planner.plan(pieces)
        self._store.store(plan)
        self._planner.accept(plan)
        if full:
            raise LogFull(str(self.build_id))

    def _limited(self, data: bytes) -> list[Piece]:
        room = max(0, self._limit - self._planner.size)
        fits = data[: data.rfind(b"\n", 0, room) + 1]
        words = f"The log reached its limit of {self._limit / MIB:g} MiB; nothing more of it is kept.\n"
        return self._shaper.shape(fits + words.encode())

    def _keep_place(self) -> None:
        """Called inside every storing transaction. Raises LostClaim when another reader began."""
        offset, skip = self._place
        ours = RemoteBuild.objects.filter(pk=self.build_id, log_fence=self._fence)
        if not ours.update(log_offset=offset, log_skip=skip):
            raise LostClaim(f"another process reads the log of build {self.build_id}")


def read_to_end(row: RemoteBuild, builder: RemoteBuilder, *, budget_s: float) -> bool:
    """Read an ended build's log for at most about `budget_s`; True when all of it is here."""
    if row.log_complete:
        return True
    until = time.monotonic() + budget_s
    reader = LogReader(row)
    while not (done := reader.read(builder, until=until)) and time.monotonic() < until:
        time.sleep(0.2)  # the server says that it has more to come, though the build has ended: it is flushing
    if done:
        RemoteBuild.objects.filter(pk=row.pk).update(log_complete=True)
        row.log_complete = True
    return done
