"""The declarative Jenkinsfile language: text -> model, with errors and warnings at their place.

Pure Python; knows nothing of builds, projects or Django.
"""

from __future__ import annotations

from .model import ParseResult, Pipeline, Problem, Stage, StageNode, Step, Validation
from .steps import RUNNABLE_STEPS


def parse(text: str) -> ParseResult:
    """The pipeline of `text`, or the errors that keep it from being one."""
    raise NotImplementedError


def validate(text: str) -> Validation:
    """What a person is told of `text`: errors, warnings and the stages as they will be."""
    raise NotImplementedError


def stage_tree(pipeline: Pipeline) -> tuple[StageNode, ...]:
    """The stages as they will be, parallel branches and matrix cells spelled out."""
    raise NotImplementedError


__all__ = [
    "RUNNABLE_STEPS",
    "ParseResult",
    "Pipeline",
    "Problem",
    "Stage",
    "StageNode",
    "Step",
    "Validation",
    "parse",
    "stage_tree",
    "validate",
]
