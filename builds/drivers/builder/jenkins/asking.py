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
    url = input_url(path, number, question)
    secrets = tuple(value for value in values.values() if isinstance(value, str) and len(value) > 3)
    if not proceed:
        verb, form = "abort", {}
    elif values:
        given = [{"name": name, "value": value} for name, value in values.items()]
        verb, form = "proceed", {"proceed": "proceed", "json": json.dumps({"parameter": given})}
    else:
        verb, form = "proceedEmpty", {}
    found = transport.ask("POST", f"{url}/{verb}", form=form, accept=(302, 303, 400, 404, 500), secrets=secrets)
    if found.status_code == 404:
        raise _not_asked()
    if found.status_code < 400:
        return
    said = transport.said(found, secrets)
    if not any(one.id == question for one in questions(transport, path, number)):
        raise _not_asked()
    sentence = S("Jenkins did not take the answer; see what it says.")
    raise Rejected(sentence, evidence=said, code="bad_parameters")


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
