"""What a pipeline's run is made of: stages and steps with their node ids, states and times."""

from __future__ import annotations

from dataclasses import dataclass, field

ABORT = "hudson.AbortException"
INTERRUPTED = "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException"


@dataclass
class StepNode:
    """One step, as `wfapi` lists it under its stage."""

    id: str
    name: str
    description: str
    started: int
    log_from: int
    ended: int | None = None
    log_to: int = 0
    status: str = "IN_PROGRESS"


@dataclass
class StageNode:
    """One stage. `error`: message and Java class."""

    id: str
    name: str
    started: int
    status: str = "IN_PROGRESS"
    ended: int | None = None
    paused_ms: int = 0
    paused_since: int | None = None
    error: tuple[str | None, str] | None = None
    steps: list[StepNode] = field(default_factory=list)

    def pause(self, now: int) -> None:
        self.status = "PAUSED_PENDING_INPUT"
        self.paused_since = self.paused_since or now

    def resume(self, now: int) -> None:
        if self.paused_since is not None:
            self.paused_ms += now - self.paused_since
            self.paused_since = None
        self.status = "IN_PROGRESS"

    def end(self, status: str, now: int, error: tuple[str | None, str] | None = None) -> None:
        self.resume(now)
        self.status, self.ended, self.error = status, now, error

    def lasted(self, now: int) -> int:
        return (now if self.ended is None else self.ended) - self.started

    def waited(self, now: int) -> int:
        return self.paused_ms + (now - self.paused_since if self.paused_since is not None else 0)


class Flow:
    """The nodes of one run. Ids count up from 2, as Jenkins'."""

    def __init__(self) -> None:
        self.begun = False  # the pipeline's text was read and its first node made
        self.stages: list[StageNode] = []
        self._last = 1

    def next_id(self) -> str:
        self._last += 1
        return str(self._last)

    def skip_ids(self, count: int) -> None:
        self._last += count

    def stage(self, identity: str) -> StageNode | None:
        return next((stage for stage in self.stages if stage.id == identity), None)

    def step(self, identity: str) -> StepNode | None:
        return next((step for stage in self.stages for step in stage.steps if step.id == identity), None)

    def failed_before(self) -> StageNode | None:
        """The stage whose error the skipped ones repeat."""
        return next((stage for stage in self.stages if stage.error is not None), None)
