"""Questions to people: asked by `input`, answered from another thread, checked before they are taken.

Who may answer is the portal's business; here only the values are judged.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from ..base import InputRequest
from .control import Consumed, Scope
from .logwriter import LogWriter
from .values import flag_of, text_of


@dataclass(slots=True)
class Answer:
    approved: bool
    values: dict[str, Any]
    who: str


@dataclass(slots=True)
class _Waiting:
    request: InputRequest
    ready: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None


class Inputs:
    """The open questions of one build."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._open: dict[str, _Waiting] = {}

    def ask(self, request: InputRequest, scope: Scope, consumed: Consumed) -> Answer:
        """Ask and wait. An interrupt of the scope closes the question and is raised."""
        waiting = _Waiting(request)
        with self._lock:
            self._open[request.id] = waiting
        outcome: Literal["approved", "rejected", "stopped"] = "stopped"
        try:
            self._writer.call(lambda sink: sink.input_requested(request))
            scope.wait(consumed, waiting.ready)
            answer = waiting.answer or Answer(False, {}, "")
            outcome = "approved" if answer.approved else "rejected"
            return answer
        finally:
            with self._lock:
                self._open.pop(request.id, None)
            who = waiting.answer.who if waiting.answer else ""
            self._writer.last_call(lambda sink: sink.input_closed(request.id, outcome, who))

    def answer(self, request_id: str, approve: bool, values: Mapping[str, Any], who: str) -> bool:
        """False when nobody waits for it (any more). Raises Invalid for values that do not fit."""
        with self._lock:
            waiting = self._open.get(request_id)
            if waiting is None or waiting.answer is not None:
                return False
            taken = _check(waiting.request, values) if approve else {}
            waiting.answer = Answer(approve, taken, who)
            waiting.ready.set()
            return True


def _check(request: InputRequest, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {p.name: p for p in request.parameters}
    for name in values:
        if name not in known:
            raise Invalid(S("There is no parameter “%(name)s”.", name=str(name)[:80]), code="unknown_parameter")
    taken: dict[str, Any] = {}
    for name, parameter in known.items():
        value = values.get(name, parameter.default)
        if parameter.kind == "booleanParam":
            taken[name] = flag_of(value)
            continue
        text = text_of(value)
        if "\0" in text or len(text) > 64 * 1024:
            raise Invalid(S("The value of “%(name)s” cannot be used.", name=name), code="bad_value")
        if parameter.kind == "choice" and text not in parameter.choices:
            raise Invalid(
                S("“%(value)s” is not one of the choices of “%(name)s”.", value=text[:80], name=name), code="bad_choice"
            )
        taken[name] = text
    return taken
