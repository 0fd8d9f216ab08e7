"""Stages as Jenkins' stage view tells them, and which of several that say FAILED really failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from builds.drivers.builder.base import StageState, StageUpdate
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.sentence import S

from .paths import build_url
from .reading import at, items, mapping, number, text
from .transport import Transport

LOOKED_AT = 20  # stages whose steps are asked for, of one build
_STATES: dict[str, StageState] = {
    "SUCCESS": "succeeded",
    "FAILED": "failed",
    "UNSTABLE": "unstable",
    "ABORTED": "cancelled",
    "IN_PROGRESS": "running",
    "PAUSED_PENDING_INPUT": "paused",
    "NOT_EXECUTED": "skipped",
}
_OPEN = {"running", "paused"}
_NODE = re.compile(r"\d{1,12}")
_CELL = re.compile(r"Matrix - \w+ = ")
Error = tuple[str, str]


def read(transport: Transport, path: str, number_: int) -> list[StageUpdate]:
    """The stages in the order in which they began.

    A stage that Declarative skips after a failure says FAILED (or ABORTED) too, with the very error of the stage that
    failed. So among those that say the same error, those that ran a step failed and the others were skipped; when none
    ran a step (the script itself threw), the first in time failed. Steps are asked for only where two say the same: one
    more request for each such stage. Where they cannot be had, the first counts as the one that worked.
    """
    raw = describe(transport, path, number_)
    made = [_update(stage) for stage in raw]
    errors = {made[i].id: error_of(stage) for i, stage in enumerate(raw)}
    skipped = _skipped(transport, f"{build_url(path, number_)}", made, errors)
    return [replace(s, state="skipped", sentence=None) if s.id in skipped else s for s in made]


def describe(transport: Transport, path: str, number_: int) -> list[dict[str, Any]]:
    """The raw stages by time; none for what has no stage view."""
    found = mapping(transport.get(f"{build_url(path, number_)}/wfapi/describe"))
    stages = [stage for stage in items(found.get("stages")) if _NODE.fullmatch(str(stage.get("id", "")))]
    return sorted(stages, key=lambda stage: (number(stage.get("startTimeMillis")) or 0, int(stage["id"])))


def error_of(stage: dict[str, Any]) -> Error:
    error = mapping(stage.get("error"))
    return text(error.get("type")), text(error.get("message"))


def _update(stage: dict[str, Any]) -> StageUpdate:
    name = text(stage.get("name")).removeprefix("Branch: ")[:200]
    state = _STATES.get(text(stage.get("status")), "running")
    start, length = at(stage.get("startTimeMillis")), number(stage.get("durationMillis")) or 0
    _, message = error_of(stage)
    return StageUpdate(
        id=str(stage["id"]),
        parent=None,
        name=name,
        state=state,
        path=(name,),
        kind=_kind(name),
        started_at=start if state != "skipped" else None,
        # The duration counts pauses too, so it ends where the stage ended.
        finished_at=start + timedelta(milliseconds=length) if start and state not in {*_OPEN, "skipped"} else None,
        sentence=S("Jenkins says: %(message)s", message=message[:500]) if message and state != "succeeded" else None,
    )


def _kind(name: str) -> Literal["stage", "cell", "post", "checkout"]:
    if name == "Declarative: Post Actions":
        return "post"
    if name == "Declarative: Checkout SCM":
        return "checkout"
    return "cell" if _CELL.match(name) else "stage"


def _skipped(transport: Transport, build: str, stages: Sequence[StageUpdate], errors: dict[str, Error]) -> set[str]:
    groups: dict[tuple[StageState, Error], list[str]] = {}
    for stage in stages:
        if stage.state in {"failed", "cancelled"} and any(errors[stage.id]):
            groups.setdefault((stage.state, errors[stage.id]), []).append(stage.id)
    skipped: set[str] = set()
    for group in (g for g in groups.values() if len(g) > 1):
        worked = {node for node in group[:LOOKED_AT] if _worked(transport, build, node)} or {group[0]}
        skipped |= set(group) - worked
    return skipped


def _worked(transport: Transport, build: str, node: str) -> bool:
    """Whether the stage ran a step."""
    try:
        found = mapping(transport.get(f"{build}/execution/node/{node}/wfapi/describe"))
    except AppError:
        return False
    return bool(items(found.get("stageFlowNodes")))
