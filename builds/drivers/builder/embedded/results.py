"""What became of the build so far: the result that only gets worse, and `currentBuild` as scripts see it.

Knows nothing of stages or steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from fangduoduo_release.common.sentence import S, Sentence

from ..base import BuildSpec, Change, FinalState
from .control import Result, StepFailed

STATES: dict[Result, FinalState] = {
    Result.SUCCESS: "succeeded",
    Result.UNSTABLE: "unstable",
    Result.FAILURE: "failed",
    Result.NOT_BUILT: "cancelled",
    Result.ABORTED: "cancelled",
}
RESULTS: dict[str, Result] = {
    "succeeded": Result.SUCCESS,
    "unstable": Result.UNSTABLE,
    "failed": Result.FAILURE,
    "cancelled": Result.ABORTED,
}


def parse_result(value: Any) -> Result:
    """A result by its Jenkins name; StepFailed for another word."""
    try:
        return Result[str(value)]
    except KeyError:
        raise StepFailed(S("“%(value)s” is no result of a build.", value=str(value)[:80])) from None


class BuildResult:
    """Thread-safe. `changed(state)` is called, outside of the lock, whenever the result got worse."""

    def __init__(self, changed: Callable[[FinalState], None]) -> None:
        self._lock = threading.Lock()
        self._changed = changed
        self._result: Result | None = None
        self.sentence: Sentence | None = None

    @property
    def value(self) -> Result | None:
        return self._result

    @property
    def current(self) -> Result:
        return self._result or Result.SUCCESS

    def worsen(self, result: Result, sentence: Sentence | None = None) -> None:
        """Set the result if it is worse than before; the sentence stays with the result it came with."""
        with self._lock:
            known = self._result
            if known is not None and result <= known:
                return
            self._result = result
            if result > Result.SUCCESS:
                self.sentence = sentence
        if result > (known or Result.SUCCESS):
            self._changed(STATES[result])


class CurrentBuild:
    """`currentBuild` of the interpreter's protocol; names it does not know are KeyError."""

    def __init__(
        self,
        spec: BuildSpec,
        result: BuildResult,
        changes: Callable[[], tuple[Change, ...]],
        described: Callable[[str, str], None],
    ) -> None:
        self._spec = spec
        self._result = result
        self._changes = changes
        self._described = described
        self._began = time.monotonic()
        self._began_at = int(time.time() * 1000)
        self.display_name = f"#{spec.number}"
        self.description = ""

    def read(self, name: str) -> Any:
        spec = self._spec
        value = self._result.value
        if name == "result":
            return None if value is None else value.name
        if name in ("currentResult", "resultIsBetterOrEqualTo"):
            return self._result.current.name
        if name in ("duration", "durationString"):
            elapsed = int((time.monotonic() - self._began) * 1000)
            return elapsed if name == "duration" else f"{elapsed / 1000:.1f} sec and counting"
        if name == "changeSets":
            return [{"items": [self._change(c) for c in self._changes()]}] if self._changes() else []
        if name == "previousBuild":
            return self._previous()
        plain: dict[str, Any] = {
            "displayName": self.display_name,
            "fullDisplayName": f"{spec.project} {self.display_name}",
            "description": self.description or None,
            "number": spec.number,
            "id": str(spec.number),
            "projectName": spec.project,
            "fullProjectName": spec.project,
            "absoluteUrl": spec.build_url,
            "buildVariables": {},
            "startTimeInMillis": self._began_at,
            "timeInMillis": self._began_at,
            "keepLog": False,
        }
        return plain[name]

    def write(self, name: str, value: Any) -> None:
        if name == "result":
            if value is not None:
                self._result.worsen(parse_result(value))
        elif name in ("displayName", "description"):
            text = "" if value is None else str(value)[:1000]
            if name == "displayName":
                self.display_name = text or f"#{self._spec.number}"
            else:
                self.description = text
            self._described(self.display_name, self.description)
        else:
            raise KeyError(name)

    def _previous(self) -> dict[str, Any] | None:
        if self._spec.previous_result is None:
            return None
        name = RESULTS[self._spec.previous_result].name
        return {"result": name, "currentResult": name, "number": self._spec.previous_number}

    @staticmethod
    def _change(change: Change) -> dict[str, Any]:
        return {
            "commitId": change.sha,
            "msg": change.message.partition("\n")[0],
            "comment": change.message,
            "author": {"fullName": change.author, "displayName": change.author},
            "affectedPaths": list(change.paths),
        }
