"""The pipeline-rest-api plugin: stages, steps, their logs, and questions that wait for a person."""

from __future__ import annotations

import json
from typing import Any

from builds.drivers.builder.base import InputParameter

from .answers import Answer, Marks, Request, at
from .flow import StageNode, StepNode
from .log import as_html
from .pipeline import BadAnswer
from .runs import Question, Run

_STATUS = {
    "SUCCESS": "SUCCESS",
    "FAILURE": "FAILED",
    "UNSTABLE": "UNSTABLE",
    "ABORTED": "ABORTED",
    "NOT_BUILT": "NOT_EXECUTED",
}
_KINDS = {"string": "String", "text": "Text", "booleanParam": "Boolean", "choice": "Choice", "password": "Password"}


def described(run: Run, prefix: str) -> dict[str, Any]:
    """`wfapi/describe` of a run."""
    base = f"{prefix}/{run.path}"
    end = run.ended if run.ended is not None else run.clock.millis()
    links: dict[str, Any] = {"self": {"href": f"{base}wfapi/describe"}}
    if run.artifacts and not run.building:
        links["artifacts"] = {"href": f"{base}wfapi/artifacts"}
    if run.questions:
        links["pendingInputActions"] = {"href": f"{base}wfapi/pendingInputActions"}
        links["nextPendingInputAction"] = {"href": f"{base}wfapi/nextPendingInputAction"}
    return {
        "_links": links,
        "id": str(run.number),
        "name": run.display_name,
        "status": _status(run),
        "startTimeMillis": run.started,
        "endTimeMillis": end,
        "durationMillis": end - run.started,
        "queueDurationMillis": 3,
        "pauseDurationMillis": 0,
        "stages": [_stage(run, stage, base) for stage in list(run.flow.stages)],
    }


def _status(run: Run) -> str:
    if not run.building:
        return _STATUS[run.result or "ABORTED"] if run.flow.begun else "NOT_EXECUTED"
    return "PAUSED_PENDING_INPUT" if run.questions else "IN_PROGRESS"


def _stage(run: Run, stage: StageNode, base: str) -> dict[str, Any]:
    now = run.ended if run.ended is not None else run.clock.millis()
    shown: dict[str, Any] = {
        "_links": {"self": {"href": f"{base}execution/node/{stage.id}/wfapi/describe"}},
        "id": stage.id,
        "name": stage.name,
        "execNode": "",
        "status": stage.status,
    }
    if stage.error is not None:
        shown["error"] = {"message": stage.error[0], "type": stage.error[1]}
    return shown | {
        "startTimeMillis": stage.started,
        "durationMillis": stage.lasted(now),
        "pauseDurationMillis": stage.waited(now),
    }


def _step(run: Run, stage: StageNode, step: StepNode, base: str) -> dict[str, Any]:
    here = f"{base}execution/node/{step.id}/"
    end = step.ended if step.ended is not None else run.clock.millis()
    shown: dict[str, Any] = {
        "_links": {
            "self": {"href": f"{here}wfapi/describe"},
            "log": {"href": f"{here}wfapi/log"},
            "console": {"href": f"{here}log"},
        },
        "id": step.id,
        "name": step.name,
        "execNode": "",
        "status": step.status,
    }
    if step.description:
        shown["parameterDescription"] = step.description
    return shown | {
        "startTimeMillis": step.started,
        "durationMillis": end - step.started,
        "pauseDurationMillis": 0,
        "parentNodes": [stage.id],
    }


def node_described(run: Run, identity: str, prefix: str) -> dict[str, Any] | None:
    """`execution/node/ID/wfapi/describe` of a stage or a step."""
    base = f"{prefix}/{run.path}"
    for stage in list(run.flow.stages):
        if stage.id == identity:
            return _stage(run, stage, base) | {
                "stageFlowNodes": [_step(run, stage, s, base) for s in list(stage.steps)]
            }
        for step in list(stage.steps):
            if step.id == identity:
                return _step(run, stage, step, base)
    return None


def node_log(run: Run, identity: str, prefix: str) -> dict[str, Any] | None:
    step = run.flow.step(identity)
    if step is None:
        return None
    data = run.log.between(step.log_from, step.log_to or run.log.size)
    return {
        "nodeId": identity,
        "nodeStatus": step.status,
        "length": len(data),
        "hasMore": step.ended is None,
        "text": as_html(data),
        "consoleUrl": f"{prefix}/{run.path}execution/node/{identity}/log",
    }


def pending(run: Run, prefix: str) -> list[dict[str, Any]]:
    base = f"{prefix}/{run.path}"
    return [
        {
            "id": question.id,
            "proceedText": question.request.ok,
            "message": question.request.message,
            "inputs": [_input(parameter) for parameter in question.request.parameters],
            "proceedUrl": f"{base}wfapi/inputSubmit?inputId={question.id}",
            "abortUrl": f"{base}input/{question.id}/abort",
            "redirectApprovalUrl": f"{base}input/",
        }
        for question in list(run.questions)
    ]


def _input(parameter: InputParameter) -> dict[str, Any]:
    definition: dict[str, Any] = {"defaultVal": parameter.default}
    if parameter.kind == "choice":
        definition["choices"] = list(parameter.choices)
    shown = {"type": f"{_KINDS[parameter.kind]}ParameterDefinition", "name": parameter.name}
    return (
        shown | ({"description": parameter.description} if parameter.description else {}) | {"definition": definition}
    )


def answered(run: Run, identity: str, verb: str, request: Request, marks: Marks, user: str) -> Answer:
    """`input/ID/<verb>` and `wfapi/inputSubmit`: 404 when nobody waits for that any more."""
    question = next((q for q in run.questions if q.id == identity), None)
    if question is None or run.answer is None:
        return marks.not_found()
    proceed = verb in ("proceed", "proceedEmpty", "inputSubmit") or (verb == "submit" and "proceed" in request.form())
    try:
        values = {} if verb in ("abort", "proceedEmpty") else _given(question, request.field("json", "{}"))
        taken = run.answer(question, proceed, values, user)
    except (BadAnswer, ValueError):
        return marks.oops()
    if not taken:
        return marks.not_found()
    return at(302, f"{run.url}console") if verb == "submit" else Answer(200)


def _given(question: Question, text: str) -> dict[str, Any]:
    data = json.loads(text)
    rows = data.get("parameter", []) if isinstance(data, dict) else []
    rows = rows if isinstance(rows, list) else [rows]
    known = {parameter.name for parameter in question.request.parameters}
    return {row["name"]: row.get("value") for row in rows if row.get("name") in known}
