"""Engines that write lines into one file; the file tells afterwards what really happened, and how often."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from fangduoduo_release.common import runs, steps
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.sentence import S

from .models import Job


def effects_file() -> Path:
    return Path(settings.VAR) / "effects"


def effects() -> list[str]:
    path = effects_file()
    return path.read_text().split() if path.exists() else []


def write_effect(line: str) -> dict[str, Any]:
    with effects_file().open("a") as file:  # O_APPEND: whole lines, whoever else writes
        file.write(line + "\n")
    return {"line": line}


class JobEngine:
    kind = "job"
    model = Job

    def mine(self, rows: Any) -> Any:
        return rows

    def advance(self, job: Job) -> Again | None:
        if job.cancel_requested_at is not None:
            runs.transition(job, "cancelled", S("Cancelled."))
            return None
        if job.state == "queued":
            runs.transition(job, "running", S("Begun."))
            return Again(0)
        getattr(self, f"_{job.behaviour}", self._good)(job)
        return self._effect(job)

    def _effect(self, job: Job) -> Again | None:
        number = int(job.phase or 0)
        if number < job.size:
            line = f"{job.key}:{number}"
            steps.once(
                job,
                f"effect{number}",
                lambda: write_effect(line),
                observe=lambda: {"line": line} if line in effects() else None,
            )
            runs.write(job, phase=str(number + 1))
            return Again(0)
        runs.transition(job, "done", S("Done."))
        return None

    def _good(self, job: Job) -> None:
        pass

    def _slow(self, job: Job) -> None:
        time.sleep(0.05)

    def _sleepy(self, job: Job) -> None:
        time.sleep(3600)

    def _buggy(self, job: Job) -> None:
        raise ZeroDivisionError("a bug\x00 in the engine")

    def _refused(self, job: Job) -> None:
        raise Rejected(S("The other side said no."))

    def _away(self, job: Job) -> None:
        if not (Path(settings.VAR) / "open").exists():
            raise Unavailable(S("The other side is away."))

    def _deadly(self, job: Job) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _mortal(self, job: Job) -> None:
        """Dies at every third effect, the first time it comes there."""
        died = Path(settings.VAR) / f"died-{job.key}-{job.phase}"
        if int(job.phase or 0) % 3 == 2 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class LetterEngine:
    """Over inbox items: leaves the time of its work, so that the way from the bell to the engine can be measured."""

    kind = "letter"
    model = InboxItem

    def mine(self, rows: Any) -> Any:
        return rows.filter(kind="letter", state=InboxItem.State.NEW)

    def advance(self, item: InboxItem) -> Again | None:
        runs.write(
            item,
            state=InboxItem.State.DONE,
            result={"at": time.monotonic(), "pid": os.getpid()},
            next_at=None,
            lease_until=None,
        )
        return None
