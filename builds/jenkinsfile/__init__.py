"""The declarative Jenkinsfile language: text -> model, with errors and warnings at their place.

Pure Python; knows nothing of builds, projects or Django. `parse`, `validate` and `stage_tree` are the doors,
`model` the data they speak, `groovy.evaluate.Interpreter` what runs expressions and `script` blocks.
"""

from __future__ import annotations

from fangduoduo_release.common.sentence import S, Sentence

from .groovy.cursor import TOO_DEEP
from .groovy.statements import parse_groovy
from .groovy.tokens import SyntaxProblem
from .model import MAX_CELLS, ParseResult, Pipeline, Problem, Stage, StageNode, Step, Validation
from .read_pipeline import read_pipeline
from .reading import Reader
from .runnable import note_what_cannot_run
from .stage_tree import stage_tree
from .steps import RUNNABLE_STEPS, not_runnable

MAX_BYTES = 1024 * 1024
MAX_PROBLEMS = 100


def parse(text: str) -> ParseResult:
    """The pipeline of `text`, or the errors that keep it from being one. Never raises for any text."""
    refused = _unreadable(text)
    if refused is not None:
        return ParseResult(None, (refused,))
    reader = Reader(text)
    try:
        statements = parse_groovy(text)
        pipeline = read_pipeline(reader, statements)
        if pipeline is not None and not reader.errors:
            note_what_cannot_run(reader, pipeline)
    except SyntaxProblem as problem:
        return ParseResult(None, (Problem(problem.position.line, problem.position.column, problem.sentence),))
    except RecursionError:
        return ParseResult(None, (Problem(1, 1, TOO_DEEP),))
    errors = _in_order(reader.errors)
    return ParseResult(None if errors else pipeline, errors, _in_order(reader.warnings))


def validate(text: str) -> Validation:
    """What a person is told of `text`: errors, warnings and the stages as they will be. Never raises for any text."""
    result = parse(text)
    stages = () if result.pipeline is None else stage_tree(result.pipeline)
    return Validation(result.pipeline is not None, result.errors, result.warnings, stages)


def _unreadable(text: str) -> Problem | None:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Problem(1, 1, S("The Jenkinsfile is larger than %(limit)s KiB.", limit=MAX_BYTES // 1024))
    if not text.strip("\ufeff \t\r\n\f"):
        return Problem(1, 1, S("The Jenkinsfile is empty."))
    bad = next((at for at, char in enumerate(text) if char == "\0" or "\ud800" <= char <= "\udfff"), None)
    if bad is None:
        return None
    before = text[:bad].replace("\r\n", "\n").replace("\r", "\n")
    sentence: Sentence = S("The Jenkinsfile contains a NUL byte.")
    if text[bad] != "\0":
        sentence = S("The Jenkinsfile is not valid Unicode text.")
    return Problem(before.count("\n") + 1, len(before) - before.rfind("\n"), sentence)


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    unique = {(problem.line, problem.column, str(problem.message)): problem for problem in problems}
    return tuple(unique[key] for key in sorted(unique))[:MAX_PROBLEMS]


__all__ = [
    "MAX_CELLS",
    "RUNNABLE_STEPS",
    "ParseResult",
    "Pipeline",
    "Problem",
    "Stage",
    "StageNode",
    "Step",
    "Validation",
    "not_runnable",
    "parse",
    "stage_tree",
    "validate",
]
