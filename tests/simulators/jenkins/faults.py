"""Everything that goes wrong with a Jenkins, on demand.

What concerns the wire is a *rule*: it holds for requests whose line (`POST /job/shop/buildWithParameters?…`) its pattern
is found in, so many `times`, until it is lifted (a rule is a context manager) or all are (`clear`). What concerns the
state happens at once.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from .server import Jenkins

Kind = Literal["latency", "status", "starting", "reset_before", "reset_after", "slow", "truncated", "torn"]
PIPELINE_PLUGINS = (
    "workflow-job",
    "workflow-cps",
    "pipeline-model-definition",
    "pipeline-rest-api",
    "workflow-aggregator",
)


@dataclass(eq=False)
class Rule:
    """One way in which requests go wrong. `hits`: how often it has so far."""

    kind: Kind
    pattern: re.Pattern[str]
    value: float = 0
    times: int | None = None
    hits: int = 0
    _faults: Faults | None = field(default=None, repr=False)

    def lift(self) -> None:
        if self._faults is not None:
            self._faults.lift(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()


class Faults:
    """`jenkins.faults`."""

    def __init__(self, jenkins: Jenkins) -> None:
        self._jenkins = jenkins
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self.no_validator = False
        self.missing_plugins: set[str] = set()
        self.denied: set[str] = set()

    # -- on the wire ------------------------------------------------------------------------------------------------

    def latency(self, seconds: float, pattern: str = "", times: int | None = None) -> Rule:
        """Answer so much later."""
        return self._add("latency", pattern, seconds, times)

    def status(self, status: int, pattern: str = "", times: int | None = None) -> Rule:
        """Answer with an error page instead, without any effect."""
        return self._add("status", pattern, status, times)

    def starting(self, pattern: str = "", times: int | None = None) -> Rule:
        """503 with the page that Jenkins shows while it starts."""
        return self._add("starting", pattern, 503, times)

    def reset(self, pattern: str = "", times: int | None = 1, *, after_effect: bool = False) -> Rule:
        """Reset the connection: before anything is done, or when all is done and only the answer is missing."""
        return self._add("reset_after" if after_effect else "reset_before", pattern, 0, times)

    def slow(self, seconds: float, pattern: str = "", times: int | None = None) -> Rule:
        """The answer's body drips, a byte every so many seconds."""
        return self._add("slow", pattern, seconds, times)

    def truncated(self, pattern: str = "", times: int | None = None, *, torn: bool = False) -> Rule:
        """Half of the body, as if that were all (broken JSON); `torn`: the connection ends before the announced size."""
        return self._add("torn" if torn else "truncated", pattern, 0, times)

    def clear(self) -> None:
        """All is well again, also permissions, plugins and the validator."""
        with self._lock:
            self._rules.clear()
        self.no_validator = False
        self.missing_plugins.clear()
        self.denied.clear()

    def lift(self, rule: Rule) -> None:
        with self._lock:
            if rule in self._rules:
                self._rules.remove(rule)

    def meet(self, line: str) -> dict[Kind, Rule]:
        """The rules that hold for this request, one of a kind, each counted."""
        met: dict[Kind, Rule] = {}
        with self._lock:
            for rule in list(self._rules):
                if rule.kind in met or not rule.pattern.search(line):
                    continue
                rule.hits += 1
                met[rule.kind] = rule
                if rule.times is not None and rule.hits >= rule.times:
                    self._rules.remove(rule)
        return met

    def _add(self, kind: Kind, pattern: str, value: float, times: int | None) -> Rule:
        rule = Rule(kind, re.compile(pattern), value, times, _faults=self)
        with self._lock:
            self._rules.append(rule)
        return rule

    # -- in the state -----------------------------------------------------------------------------------------------

    def deny(self, *permissions: str) -> None:
        """The user lacks these, for example `Job/Build`, `Job/Create`, `Job/Configure`, `Job/Cancel`, `Job/Read`."""
        self.denied |= set(permissions)

    def without_pipeline(self) -> None:
        """No Pipeline plugin: such jobs are of an unknown class."""
        self.missing_plugins |= set(PIPELINE_PLUGINS)

    def lose_queue(self) -> None:
        """Every item is forgotten; what waited never begins."""
        self._jenkins.queue.forget(waiting=True)

    def restart(
        self, *, running: Literal["go_on", "killed"] = "go_on", queue: Literal["kept", "lost"] = "kept"
    ) -> None:
        """Another session; items that left are forgotten. Running pipelines go on, or end as after a crash."""
        self._jenkins.restart(kill=running == "killed", lose_queue=queue == "lost")

    def delete_build(self, job: str, number: int) -> None:
        self._jenkins.delete_run(self._jenkins.job(job), number)

    def delete_job(self, job: str) -> None:
        self._jenkins.delete_item(self._jenkins.job(job))

    def disable_job(self, job: str) -> None:
        found = self._jenkins.job(job)
        found.config = found.config.with_disabled(True)

    def rotate_log(self, job: str, number: int, text: str = "") -> None:
        """The log was replaced by a shorter one."""
        self._jenkins.job(job).runs[number].log.replace(text.encode())
