"""One storing transaction of a log: totals by compare-and-set, the fence, then blocks and marks.

The totals are the lock: whoever moves them from `before` to `after` owns that piece of the log, so two writers can
never mix, and a commit whose answer was lost is recognised when it is tried again.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from django.db import transaction

from builds.models import BuildLog, LogChunk, LogMark
from fangduoduo_release.common.runs import LostClaim

from .plan import Plan, Totals


class BatchStore:
    """Stores plans for one build. Raises LostClaim when somebody else wrote to or sealed the log."""

    def __init__(self, build_id: int, fence: Callable[[], None]) -> None:
        self.build_id = build_id
        self.fence = fence
        self.stored_at = 0.0  # monotonic

    def open(self) -> Totals:
        """The log as it is, created when absent. Raises LostClaim when it is sealed."""
        log, _ = BuildLog.objects.get_or_create(build_id=self.build_id)
        if log.complete:
            raise LostClaim(f"the log of build {self.build_id} is complete")
        marks = LogMark.objects.filter(build_id=self.build_id).count()
        return Totals(log.size, log.lines, log.chunks, log.stored_size, log.first_error_line, marks)

    def store(self, plan: Plan) -> None:
        before, after = plan.before, plan.after
        with transaction.atomic():
            moved = BuildLog.objects.filter(
                build_id=self.build_id, complete=False, size=before.size, chunks=before.rows
            ).update(
                size=after.size,
                lines=after.lines,
                chunks=after.rows,
                stored_size=after.stored,
                first_error_line=after.first_error,
            )
            self.fence()
            if moved:
                self._write(plan)
            elif not self._is_ours(plan):
                raise LostClaim(f"another process wrote to the log of build {self.build_id}")
        self.stored_at = time.monotonic()

    def write_first_error(self, line: int | None) -> None:
        BuildLog.objects.filter(build_id=self.build_id, complete=False).update(first_error_line=line)

    def _write(self, plan: Plan) -> None:
        if plan.replace_from is not None:
            LogChunk.objects.filter(build_id=self.build_id, offset__gte=plan.replace_from).delete()
        LogChunk.objects.bulk_create(
            LogChunk(
                build_id=self.build_id,
                offset=row.offset,
                size=row.size,
                first_line=row.first_line,
                lines=row.lines,
                data=row.data,
            )
            for row in plan.rows
        )
        LogMark.objects.bulk_create(
            LogMark(
                build_id=self.build_id,
                line=mark.line,
                offset=mark.offset,
                at_ms=mark.at_ms,
                stage=mark.stage,
                step=mark.step,
                label=mark.label,
            )
            for mark in plan.marks
        )

    def _is_ours(self, plan: Plan) -> bool:
        """Was this very plan stored by an earlier try whose answer got lost?"""
        log = BuildLog.objects.filter(build_id=self.build_id, complete=False).first()
        if log is None or (log.size, log.chunks) != (plan.after.size, plan.after.rows):
            return False
        last = plan.rows[-1]
        kept = LogChunk.objects.filter(build_id=self.build_id, offset=last.offset, size=last.size).first()
        return kept is not None and bytes(kept.data) == last.data


def disk_full(error: Exception) -> OSError | None:
    """The ENOSPC behind a database error, or None when it is another trouble."""
    full = "disk is full" in str(error) or getattr(error.__cause__, "sqlstate", "") == "53100"
    return OSError(errno.ENOSPC, "The disk of the database is full; the log cannot be kept.") if full else None
