"""Builds that run nothing, by the thousand: they cost no thread, only what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .flow import StageNode
from .runs import Run
from .values import Value

if TYPE_CHECKING:
    from .server import Jenkins

_XML = "<flow-definition><properties/></flow-definition>"


class Synthetic:
    """`jenkins.synthetic`."""

    def __init__(self, jenkins: Jenkins) -> None:
        self._jenkins = jenkins
        self._jobs: set[str] = set()

    def takes(self, run: Run) -> bool:
        """True when it is one of these; what runs nothing ends at once when it is stopped."""
        if not self._jobs & {"", run.job.full_name}:
            return False
        self._begin(run)
        return True

    def adopt(self, job: str = "") -> None:
        """From now on what is triggered in that job ("": in any) begins and waits for `end` instead of running."""
        self._jobs.add(job)

    def running(self, job: str, count: int = 1, values: Mapping[str, str] | None = None) -> list[Run]:
        """So many more builds that run; the job is made when there is none. `{n}` in a value is the build's number."""
        names = job.split("/")
        if self._jenkins.root.find(names) is None:
            self._jenkins.add_job(job, _XML)
        found, runs = self._jenkins.job(job), []
        for _ in range(count):
            given = tuple(
                Value("string", name, value.format(n=found.next_number)) for name, value in (values or {}).items()
            )
            run = self._jenkins.new_run(found, self._jenkins.queue.next_id(), given, (self._jenkins.user,))
            self._begin(run)
            runs.append(run)
        return runs

    def _begin(self, run: Run) -> None:
        run.log.line(f"Started by user {run.users[0]}")
        run.flow.begun = True
        run.halt = lambda hard: self.end(run, "ABORTED")

    def stage(self, run: Run, name: str, status: str = "IN_PROGRESS") -> StageNode:
        """Begin a stage, or end the one of that name with a status."""
        now = run.clock.millis()
        known = next((stage for stage in run.flow.stages if stage.name == name), None)
        if known is None:
            run.log.line(f"[Pipeline] {{ ({name})")
            known = StageNode(run.flow.next_id(), name, now)
            run.flow.stages.append(known)
        if status != "IN_PROGRESS":
            known.end(status, now)
        return known

    def append_log(self, run: Run, text: str) -> None:
        run.log.write(text.encode())

    def end(self, run: Run, result: str = "SUCCESS") -> None:
        run.end(result)
        self._jenkins.queue.wake()
