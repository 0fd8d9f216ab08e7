"""`input`: ask a person and wait. The parameters' kinds (`string`, `choice`, …) are calls of their own in Groovy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fangduoduo_release.common.sentence import S

from ...base import InputParameter, InputRequest
from ..context import Branch, StepCall
from ..control import Interrupt, Interrupted, Result, StepFailed
from ..values import flag_of, text_of

_KINDS = ("string", "text", "booleanParam", "choice", "password")
_WORD = re.compile(r"[^A-Za-z0-9_]+")
_numbers = itertools.count(1)


def parameter(kind: str, values: Mapping[str, Any]) -> InputParameter:
    """An input parameter from the evaluated arguments of its declaration."""
    choices = values.get("choices") or ()
    listed = choices.split("\n") if isinstance(choices, str) else [text_of(c) for c in choices]
    # The default of a password is no text to show around.
    default = "" if kind == "password" else values.get("defaultValue", "")
    if kind == "choice":
        default = listed[0] if listed else ""
    return InputParameter(
        name=text_of(values.get("name", "")),
        kind=kind,
        default=flag_of(default) if kind == "booleanParam" else text_of(default) if default is not None else "",
        choices=tuple(listed),
        description=text_of(values.get("description") or ""),
    )


def ask(
    branch: Branch,
    message: str,
    *,
    identity: str = "",
    ok: str = "Proceed",
    submitters: Sequence[str] = (),
    submitter_parameter: str = "",
    parameters: Sequence[InputParameter] = (),
) -> dict[str, Any]:
    """The given values by name (with the submitter under its parameter). Raises Interrupted when somebody says no."""
    writer, stage = branch.build.writer, branch.context.stage
    request = InputRequest(
        id=f"{_WORD.sub('-', identity)[:40] or 'input'}-{branch.context.step or 0}-{next(_numbers)}",
        stage=stage.id if stage else None,
        message=writer.masked(message),
        ok=writer.masked(ok),
        submitters=tuple(submitters),
        parameters=tuple(_shown(branch, p) for p in parameters),
        asked_at=datetime.now(UTC),
    )
    branch.log(f"Waiting for a person: {message}")
    if stage is not None:
        stage.paused(True)
    try:
        answer = branch.build.inputs.ask(request, branch.context.scope, branch.consumed)
    finally:
        if stage is not None:
            stage.paused(False)
    if not answer.approved:
        raise Interrupted(Interrupt(S("%(who)s said no.", who=answer.who or "?"), Result.ABORTED))
    branch.log(f"Approved by {answer.who}")
    secrets = [p.name for p in parameters if p.kind == "password"]
    writer.add_secrets(str(answer.values[name]) for name in secrets if answer.values.get(name))
    if submitter_parameter:
        return {**answer.values, submitter_parameter: answer.who}
    return answer.values


def _shown(branch: Branch, asked: InputParameter) -> InputParameter:
    clean = branch.build.writer.masked
    return replace(
        asked,
        name=clean(asked.name),
        default=clean(asked.default) if isinstance(asked.default, str) else asked.default,
        choices=tuple(clean(c) for c in asked.choices),
        description=clean(asked.description),
    )


def input_step(branch: Branch, call: StepCall) -> Any:
    raw = call.get("parameters") or []
    parameters = [p for p in (raw if isinstance(raw, list | tuple) else [raw]) if isinstance(p, InputParameter)]
    values = ask(
        branch,
        call.text("message", 0),
        identity=call.text("id", default=""),
        ok=call.text("ok", default="Proceed"),
        submitters=split_names(call.text("submitter", default="")),
        submitter_parameter=call.text("submitterParameter", default=""),
        parameters=parameters,
    )
    if not values:
        return None
    return next(iter(values.values())) if len(values) == 1 else values


def split_names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _parameter_call(branch: Branch, call: StepCall) -> InputParameter:
    values = dict(call.named)
    if len(call.args) == 1 and isinstance(call.args[0], Mapping):
        values |= call.args[0]
    if not values.get("name"):
        raise StepFailed(S("%(step)s: %(name)s is missing.", step=call.name, name="name"))
    return parameter(call.name, values)


STEPS = {
    "input": input_step,
    **{kind: _parameter_call for kind in _KINDS if kind != "string"},
}
parameter_call = _parameter_call
