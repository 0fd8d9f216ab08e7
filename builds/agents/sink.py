"""What an executor reports, written to rows. Every write is fenced: a build that lost its claim writes nothing more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from django.db import transaction
from django.db.models import F

from builds.drivers.builder.base import (
    ArtifactFile,
    FinalState,
    InputRequest,
    StageUpdate,
    TestReport,
)
from builds.logs.store import LogWriter
from builds.models import Artifact, Build, Stage, TestResult
from builds.models import InputRequest as InputRow
from fangduoduo_release.common import events
from fangduoduo_release.common.outages import through_outages
from fangduoduo_release.common.runs import LostClaim
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

logger = logging.getLogger(__name__)
STAGE_STATES = {"paused": "waiting"}
MAX_LISTED_TESTS = 20_000


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
        def write() -> None:
            listed = TestResult.objects.filter(build=self.build).count()
            TestResult.objects.bulk_create(
                [
                    TestResult(
                        build=self.build,
                        suite=storable(case.suite[:300]),
                        name=storable(case.name[:300]),
                        state=case.state,
                        duration_ms=int(case.seconds * 1000),
                        message=storable(case.text.partition("\n")[0][:1000]),
                        details=storable(case.text),
                    )
                    for case in report.cases[: max(0, MAX_LISTED_TESTS - listed)]
                ],
                batch_size=500,
            )
            Build.objects.filter(pk=self.build.pk, tests_passed=None).update(
                tests_passed=0, tests_failed=0, tests_skipped=0
            )
            Build.objects.filter(pk=self.build.pk).update(
                tests_passed=F("tests_passed") + report.passed,
                tests_failed=F("tests_failed") + report.failed,
                tests_skipped=F("tests_skipped") + report.skipped,
            )
            events.record(self.build, "tests", passed=report.passed, failed=report.failed, skipped=report.skipped)

        self._fenced(write)

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
