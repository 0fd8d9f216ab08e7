"""Input steps: what a build asks a person, and the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builds.drivers.builder.base import InputParameter, InputRequest
from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S

from .paths import build_url, input_url
from .reading import items, mapping, text
from .stages import describe
from .transport import Transport

_KINDS = {
    "StringParameterDefinition": "string",
    "TextParameterDefinition": "text",
    "BooleanParameterDefinition": "booleanParam",
    "ChoiceParameterDefinition": "choice",
    "PasswordParameterDefinition": "password",
}


def questions(transport: Transport, path: str, number: int) -> list[InputRequest]:
    """The input steps that wait now. The stage is named when only one is paused."""
    asked = items(transport.get(f"{build_url(path, number)}/wfapi/pendingInputActions"))
    if not asked:
        return []
    paused = [
        text(s.get("name")) for s in describe(transport, path, number) if s.get("status") == "PAUSED_PENDING_INPUT"
    ]
    stage = paused[0] if len(paused) == 1 else None
    return [
        InputRequest(
            id=text(one.get("id")),
            stage=stage,
            message=text(one.get("message")),
            ok=text(one.get("proceedText")) or "Proceed",
            parameters=tuple(_parameter(parameter) for parameter in items(one.get("inputs"))),
        )
        for one in asked
        if text(one.get("id"))
    ]


def answer(
    transport: Transport, path: str, number: int, question: str, *, proceed: bool, values: Mapping[str, Any]
) -> None:
    """What `values` leaves out gets the question's default: Jenkins would take it as nothing."""
    url = input_url(path, number, question)
    secrets = tuple(value for value in values.values() if isinstance(value, str) and len(value) > 3)
    verb, form = ("abort", {}) if not proceed else _yes(_asked(transport, path, number, question), values)
    found = transport.ask("POST", f"{url}/{verb}", form=form, accept=(302, 303, 400, 404, 500), secrets=secrets)
    if found.status_code == 404:
        raise _not_asked()
    if found.status_code >= 400:
        _asked(transport, path, number, question)  # somebody else was faster?
        sentence = S("Jenkins did not take the answer; see what it says.")
        raise Rejected(sentence, evidence=transport.said(found, secrets), code="bad_parameters")


def _yes(asked: InputRequest, values: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    if not asked.parameters:
        return "proceedEmpty", {}
    given = [{"name": p.name, "value": values.get(p.name, _default(p))} for p in asked.parameters]
    return "proceed", {"proceed": asked.ok, "json": json.dumps({"parameter": given})}


def _default(parameter: InputParameter) -> str | bool:
    return parameter.default or (parameter.choices[0] if parameter.choices else parameter.default)


def _asked(transport: Transport, path: str, number: int, question: str) -> InputRequest:
    """Raises Rejected (`not_asked`) when it does not wait any more."""
    found = next((one for one in questions(transport, path, number) if one.id == question), None)
    if found is None:
        raise _not_asked()
    return found


def _not_asked() -> Rejected:
    return Rejected(S("The build does not wait for this answer any more."), code="not_asked")


def _parameter(raw: dict[str, Any]) -> InputParameter:
    definition = mapping(raw.get("definition"))
    kind = _KINDS.get(text(raw.get("type")), "string")
    choices = definition.get("choices")
    default = definition.get("defaultVal", definition.get("defaultValue", ""))
    if kind == "booleanParam":
        default = default is True or default == "true"
    return InputParameter(
        name=text(raw.get("name")),
        kind=kind,
        default=default if isinstance(default, bool) or (kind != "password" and isinstance(default, str)) else "",
        choices=tuple(str(choice) for choice in choices) if isinstance(choices, list) else (),
        description=text(raw.get("description")),
    )
