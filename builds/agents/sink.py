"""What an executor reports, written to rows. Every write is fenced: a build that lost its claim writes nothing more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from django.db import transaction

from builds import test_results
from builds.drivers.builder.base import (
    ArtifactFile,
    FinalState,
    InputRequest,
    StageUpdate,
    TestReport,
)
from builds.logs.store import LogWriter
from builds.models import Artifact, Build, Stage
from builds.models import InputRequest as InputRow
from fangduoduo_release.common import events
from fangduoduo_release.common.outages import through_outages
from fangduoduo_release.common.runs import LostClaim
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

logger = logging.getLogger(__name__)
STAGE_STATES = {"paused": "waiting"}


class DatabaseSink:
    """Implements builds.drivers.builder.base.Sink over one claimed build."""

    def __init__(self, build: Build, log: LogWriter) -> None:
        self.build = build
        self.writer = log
        self._order = 0

    def log(self, data: bytes, *, stage: str | None, step: int | None) -> None:
        self.writer.append(data, stage=stage or "", step=step or 0, at_ms=int(time.time() * 1000))

    def stage(self, update: StageUpdate) -> None:
        if update.state == "failed":
            self.writer.step_failed(stage=update.id)

        def write() -> None:
            self._order += 1
            changes = {
                "parent": update.parent or "",
                "name": storable(update.name[:200]),
                "kind": update.kind,
                "state": STAGE_STATES.get(update.state, update.state),
                "started_at": update.started_at,
                "finished_at": update.finished_at,
                "note": update.sentence.as_json() if update.sentence else None,
            }
            Stage.objects.update_or_create(
                build=self.build,
                ident=update.id[:80],
                defaults=changes,
                create_defaults={**changes, "order": 10_000 + self._order},
            )
            events.record(self.build, "stage", stage=update.id, name=update.name, state=update.state)

        self._fenced(write)

    def input_requested(self, request: InputRequest) -> None:
        def write() -> None:
            InputRow.objects.update_or_create(
                build=self.build,
                ident=request.id,
                defaults={
                    "stage": request.stage or "",
                    "message": storable(request.message[:500]),
                    "ok_label": storable(request.ok[:80]),
                    "submitters": list(request.submitters),
                    "parameters": [
                        {
                            "name": p.name,
                            "kind": p.kind,
                            "default": p.default,
                            "choices": list(p.choices),
                            "description": p.description,
                        }
                        for p in request.parameters
                    ],
                },
            )
            events.record(
                self.build, "input_asked", S("Waiting for an answer: %(message)s", message=request.message[:200])
            )

        self._fenced(write)

    def input_closed(self, request_id: str, outcome: Literal["approved", "rejected", "stopped"], who: str) -> None:
        def write() -> None:
            word = "proceed" if outcome == "approved" else "abort"
            InputRow.objects.filter(build=self.build, ident=request_id, answer="").update(answer=word, answered_by=who)
            events.record(self.build, "input_closed", outcome=outcome)

        self._fenced(write)

    def tests(self, report: TestReport) -> None:
        self._fenced(lambda: test_results.keep(self.build, report))

    def artifact(self, artifact: ArtifactFile) -> None:
        def write() -> None:
            Artifact.objects.update_or_create(
                build=self.build, path=artifact.path[:500], defaults={"size": artifact.size, "sha256": artifact.sha256}
            )

        self._fenced(write)

    def result_changed(self, state: FinalState) -> None:
        self._fenced(lambda: events.record(self.build, "result", state=state))

    def described(self, *, display_name: str, description: str) -> None:
        self._fenced(lambda: events.record(self.build, "described", display_name=display_name, description=description))

    def _fenced(self, write: Callable[[], Any]) -> None:
        def once() -> None:
            with transaction.atomic():
                held = Build.objects.select_for_update().filter(pk=self.build.pk, fence=self.build.fence)
                if not held.exists():
                    raise LostClaim(str(self.build))
                write()

        through_outages(once)
