"""A pipeline text judged for people: problems in their language, and the stages as they will be."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from builds.drivers.builder.embedded.stage_report import stage_id
from builds.jenkinsfile import StageNode, parse, stage_tree, validate
from builds.jenkinsfile.groovy.nodes import Expression, ListLiteral, Literal
from builds.jenkinsfile.model import Parameter, Problem
from builds.merging import markers_in
from builds.models import Build
from fangduoduo_release.common.http import say

MASKED = "••••"
NONE: frozenset[str] = frozenset()


def judged(text: str) -> dict[str, Any]:
    """{"valid", "judged_by", "errors", "warnings", "stages"}; stages are nested {"name", "kind", "children"}."""
    unmerged = [Problem(line, 1, what) for line, what in markers_in(text)]
    found = validate(text)
    pipeline = parse(text).pipeline
    return {
        "valid": not found.errors and not unmerged,
        "judged_by": "embedded",
        "errors": [_problem(p) for p in unmerged or found.errors],
        "warnings": [_problem(p) for p in found.warnings],
        "stages": [_stage(node) for node in stage_tree(pipeline)] if pipeline else [],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "column": problem.column, "message": say(problem.message)}


def _stage(node: StageNode) -> dict[str, Any]:
    return {
        "ident": stage_id(node.path),
        "name": node.name,
        "kind": node.kind,
        "state": "pending",
        "children": [_stage(child) for child in node.children],
    }


def parameters_of(text: str) -> list[dict[str, Any]]:
    """The pipeline's parameters as a form needs them: name, type, default, choices, description."""
    pipeline = parse(text).pipeline
    return [_parameter(p) for p in pipeline.parameters] if pipeline else []


@lru_cache(maxsize=256)
def secret_parameters(text: str) -> frozenset[str]:
    """Names of the parameters that this pipeline declares as passwords."""
    return frozenset(p["name"] for p in parameters_of(text) if p["type"] == "password") if "password" in text else NONE


def shown_parameters(build: Build) -> dict[str, Any]:
    """What the build was started with, for everybody who may see it. Until its pipeline is known, names alone: which of
    the values is a password is written there."""
    if build.pipeline is None:
        return dict.fromkeys(build.parameters, MASKED)
    hidden = secret_parameters(build.pipeline.text)
    return {name: MASKED if name in hidden else value for name, value in build.parameters.items()}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    choices = _constant(parameter.argument("choices", 1 if parameter.kind == "choice" else None))
    if isinstance(choices, str):
        choices = choices.splitlines()
    choices = [str(choice) for choice in choices or []]
    default = _constant(parameter.argument("defaultValue", None))
    name = str(_constant(parameter.argument("name", None)) or "")
    return {
        "name": name,
        "type": _type(parameter.kind, name),
        "default": default if default is not None else (choices[0] if choices else ""),
        "choices": choices,
        "description": str(_constant(parameter.argument("description", None)) or ""),
    }


def _type(kind: str, name: str) -> str:
    """The kind in our words. Jenkins has none for images: a string that is called so is one."""
    if kind == "string" and (name == "IMAGE" or name.endswith("_IMAGE")):
        return "image"
    return {"booleanParam": "boolean"}.get(kind, kind)


def _constant(expression: Expression | None) -> Any:
    """The value of a literal (a list of them); None for anything that must be computed."""
    if isinstance(expression, Literal):
        return expression.value
    if isinstance(expression, ListLiteral):
        return [_constant(item) for item in expression.items]
    return None
