"""What the engine reports, turned into what Jenkins would have: log lines, stages, questions, results."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from typing import Literal

from builds.drivers.builder.base import ArtifactFile, FinalState, InputRequest, StageUpdate, TestReport

from .flow import ABORT, INTERRUPTED, StageNode
from .runs import Question, Run

_STATES = {"succeeded": "SUCCESS", "unstable": "UNSTABLE", "failed": "FAILED", "cancelled": "ABORTED"}
_SKIPPED = {
    "Skipped because its “when” does not hold.": "skipped due to when conditional",
    "Skipped because an earlier stage failed.": "skipped due to earlier failure(s)",
    "Skipped because the build was stopped.": "skipped due to earlier failure(s)",
    "Skipped because an earlier stage made the build unstable.": "skipped due to earlier stage(s) marking the build as unstable",
}  # fmt: skip
_ENGINES_OWN = re.compile(rb"(\[[^\]]*\] )*(Stage: |Stage .*: Skipped because |Post: |ERROR: |Finished: )")
_ASKS = re.compile(rb"(\[[^\]]*\] )*(Waiting for a person: |Tests: \d+ passed, )")
_CHECKS_OUT = re.compile(rb"(\[[^\]]*\] )*Checking out [0-9a-f]{12} \(")


class RunSink:
    """Implements builds.drivers.builder.base.Sink over one run. `node_of` is the id of the step that runs now."""

    def __init__(self, run: Run, node_of: Callable[[], str]) -> None:
        self.run = run
        self._node_of = node_of
        self._stages: dict[str, StageNode] = {}
        self._lock = threading.RLock()

    def log(self, data: bytes, *, stage: str | None, step: int | None) -> None:
        if (step is None and _ENGINES_OWN.match(data)) or _ASKS.match(data):
            return  # Jenkins has words of its own for these, see below
        if _CHECKS_OUT.match(data) and self.run.checkouts:
            done = self.run.checkouts[-1]
            data = f"Checking out Revision {done.commit} ({done.ref})\n".encode()
        self.run.log.write(data)

    def stage(self, update: StageUpdate) -> None:
        with self._lock:
            node = self._stages.get(update.id)
            if node is None:
                node = self._begin(update)
            self._follow(node, update)
        self.run.forget()

    def node_for(self, stage: str | None) -> StageNode | None:
        return self._stages.get(stage or "")

    def _begin(self, update: StageUpdate) -> StageNode:
        run = self.run
        run.log.line("[Pipeline] stage")
        run.log.line(f"[Pipeline] {{ ({update.name})")
        run.flow.skip_ids(1)  # the stage step itself; `wfapi` names the block within
        node = StageNode(run.flow.next_id(), update.name, run.clock.millis())
        self._stages[update.id] = node
        run.flow.stages.append(node)
        return node

    def _follow(self, node: StageNode, update: StageUpdate) -> None:
        now = self.run.clock.millis()
        if update.state == "paused":
            node.pause(now)
        elif update.state == "running":
            node.resume(now)
        else:
            status, error = self._end_of(update)
            if update.state == "skipped":
                words = _SKIPPED.get(update.sentence.msgid if update.sentence else "", "skipped")
                self.run.log.line(f'Stage "{update.name}" {words}', annotated=False)
            self.run.log.line("[Pipeline] }")
            self.run.log.line("[Pipeline] // stage")
            self.run.flow.skip_ids(2)
            node.end(status, now, error)

    def _end_of(self, update: StageUpdate) -> tuple[str, tuple[str | None, str] | None]:
        said = str(update.sentence) if update.sentence else None
        if update.state == "failed":
            return "FAILED", (said, ABORT)
        if update.state == "cancelled":
            return "ABORTED", (None, INTERRUPTED)
        if update.state == "skipped":
            # Jenkins runs an empty stage: after a failure it repeats the error, else it seems to have gone well.
            before = self.run.flow.failed_before()
            if before is not None and said in list(_SKIPPED)[1:3]:
                return before.status, before.error
            return "SUCCESS", None
        return _STATES[update.state], None

    def input_requested(self, request: InputRequest) -> None:
        identity = hashlib.md5(request.id.encode(), usedforsecurity=False).hexdigest()
        self.run.change(asked=True, questions=[*self.run.questions, Question(identity, request)])
        self.run.log.line(request.message, annotated=False)
        self.run.log.line(f"{request.ok} or Abort", annotated=False)

    def input_closed(self, request_id: str, outcome: Literal["approved", "rejected", "stopped"], who: str) -> None:
        if outcome == "rejected":
            self.run.log.line(f"Rejected by {who}", annotated=False)
        self.run.change(
            stopped=self.run.stopped or outcome == "rejected",
            questions=[q for q in self.run.questions if q.request.id != request_id],
        )

    def tests(self, report: TestReport) -> None:
        self.run.log.line("Recording test results", annotated=False)
        self.run.change(reports=[*self.run.reports, (report, self._node_of())])

    def artifact(self, artifact: ArtifactFile) -> None:
        if artifact.path not in self.run.artifacts:
            self.run.change(artifacts=[*self.run.artifacts, artifact.path])

    def result_changed(self, state: FinalState) -> None:
        """Jenkins tells the result of a running build only in its stages."""

    def described(self, *, display_name: str, description: str) -> None:
        self.run.change(display_name=display_name or self.run.display_name, description=description or None)
