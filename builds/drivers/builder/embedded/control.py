"""How a build is stopped, in part or whole: results, the errors that travel up the pipeline, and nested scopes.

A scope is a stretch of the pipeline that may be interrupted as one: the build, a `timeout` block, a parallel branch.
As in Jenkins an interrupt hits each branch once; what runs after it (`post`, a script's catch) runs undisturbed.
Knows nothing of processes, logs or stages.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from builds.jenkinsfile.groovy.evaluate import GroovyError
from fangduoduo_release.common.sentence import Sentence


class Result(enum.IntEnum):
    """Jenkins' results; a larger one is worse and a result only ever gets worse."""

    SUCCESS = 0
    UNSTABLE = 1
    FAILURE = 2
    NOT_BUILT = 3
    ABORTED = 4


class StepFailed(GroovyError):
    """A step failed; the stage fails unless somebody catches it (Jenkins' hudson.AbortException)."""

    type_names = ("AbortException", "hudson.AbortException", "IOException", "Exception", "Throwable")


class NoAgent(StepFailed):
    """A step needs a workspace under `agent none`."""


class Interrupted(GroovyError):
    """Jenkins' FlowInterruptedException: cancel, timeout, failFast, a rejected input."""

    type_names = (
        "FlowInterruptedException",
        "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException",
        "InterruptedException",
        "Exception",
        "Throwable",
    )

    def __init__(self, interrupt: Interrupt) -> None:
        super().__init__(interrupt.sentence)
        self.interrupt = interrupt
        # False once it has left the `timeout` that raised it: to what stands around that is an ordinary failure.
        self.actual = True

    @property
    def result(self) -> Result:
        return self.interrupt.result


class Fatal(Exception):
    """The build cannot go on at all (lost lease, log full, disk full under the log): nothing more is run, not `post`.

    Deliberately no GroovyError: a script's try/catch must not see it.
    """

    def __init__(self, sentence: Sentence, result: Result = Result.FAILURE) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        self.result = result


@dataclass(frozen=True, slots=True, eq=False)
class Interrupt:
    """One reason to stop what runs in a scope. `fail_fast`: another branch failed, so this one does not count."""

    sentence: Sentence
    result: Result = Result.ABORTED
    fail_fast: bool = False


def result_of(error: BaseException) -> Result:
    """What an error that ends a stage makes of the build."""
    if isinstance(error, Interrupted | Fatal):
        return error.result
    return Result.FAILURE


@dataclass(slots=True)
class Consumed:
    """Which interrupts one branch (thread) has already felt."""

    seen: set[Interrupt] = field(default_factory=set)


class Scope:
    """A node in the tree of scopes. All members are thread-safe."""

    def __init__(
        self,
        parent: Scope | None = None,
        *,
        seconds: float | None = None,
        sentence: Sentence | None = None,
        activity: bool = False,
        result: Result = Result.ABORTED,
        grace: float = 60.0,
        hard: bool = False,
    ) -> None:
        self.parent = parent
        self._lock: threading.RLock = parent._lock if parent else threading.RLock()
        self._interrupts: list[Interrupt] = []
        self._wakers: dict[int, Callable[[], None]] = {}
        self._fatal: Fatal | None = None
        self._seconds = seconds
        self._activity = activity
        self._grace = grace
        self._hard = hard
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._expiry = None if sentence is None else Interrupt(sentence, result)

    def interrupt(self, interrupt: Interrupt) -> None:
        """Stop whatever runs in here now; each branch feels it once, at its next wait or step."""
        with self._lock:
            self._interrupts.append(interrupt)
            self._wake()

    def kill(self, fatal: Fatal) -> None:
        """Stop for good: from now on every check in here raises. The first reason stays."""
        with self._lock:
            self._fatal = self._fatal or fatal
            self._wake()

    def touch(self) -> None:
        """Something was logged: `timeout(activity: true)` starts anew."""
        scope: Scope | None = self
        while scope is not None:
            if scope._activity and scope._deadline is not None and scope._seconds is not None:
                scope._deadline = time.monotonic() + scope._seconds
            scope = scope.parent

    def owns(self, error: Interrupted) -> bool:
        """True when that interrupt was made for this very scope."""
        with self._lock:
            return error.interrupt in self._interrupts

    def check(self, consumed: Consumed) -> None:
        """Raise what is pending for this branch: Fatal always, an interrupt once."""
        now = time.monotonic()
        with self._lock:
            chain = list(self._chain())
            for scope in chain:
                if scope._fatal is not None:
                    raise scope._fatal
            for scope in reversed(chain):
                scope._expire(now)
                for interrupt in scope._interrupts:
                    if interrupt not in consumed.seen:
                        consumed.seen.add(interrupt)
                        raise Interrupted(interrupt)

    def remaining(self) -> float | None:
        """Seconds until the next deadline in here (0 when over), None without one."""
        with self._lock:
            deadlines = [s._deadline for s in self._chain() if s._deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    @contextmanager
    def woken_by(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake()` (from another thread; it must not block) whenever something here or above is interrupted."""
        with self._lock:
            chain = list(self._chain())
            key = id(wake)
            for scope in chain:
                scope._wakers[key] = wake
        try:
            yield
        finally:
            with self._lock:
                for scope in chain:
                    scope._wakers.pop(key, None)

    def wait(self, consumed: Consumed, ready: threading.Event, seconds: float | None = None) -> bool:
        """Wait until `ready`, at most `seconds`; True when ready. Raises like `check` as soon as there is a reason."""
        stir = threading.Condition()
        poked = [False]

        def wake() -> None:
            with stir:
                poked[0] = True
                stir.notify()

        until = None if seconds is None else time.monotonic() + seconds
        with self.woken_by(wake):
            while True:
                self.check(consumed)
                if ready.is_set():
                    return True
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return False
                limits = [x for x in (left, self.remaining(), 0.2 if until is None else None) if x is not None]
                with stir:
                    if not poked[0]:
                        stir.wait(min(limits) if limits else None)
                    poked[0] = False

    def _wake(self) -> None:
        # Under the lock: who has left `woken_by` must never be called again (its descriptor may be closed).
        for wake in list(self._wakers.values()):
            wake()

    def _chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def _expire(self, now: float) -> None:
        """A deadline that has passed becomes an interrupt, and another one after the grace for who ignored it."""
        if self._deadline is None or now < self._deadline or self._expiry is None:
            return
        first = self._expiry not in self._interrupts
        self._interrupts.append(self._expiry if first else Interrupt(self._expiry.sentence, self._expiry.result))
        self._activity = False
        self._deadline = now + self._grace
        if self._hard and len(self._interrupts) > 3:
            self._fatal = self._fatal or Fatal(self._expiry.sentence, self._expiry.result)
            raise self._fatal
