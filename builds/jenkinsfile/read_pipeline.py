"""Reads `pipeline { … }` and its stages into the model, with every error Jenkins would report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .groovy import nodes as n
from .model import Agent, Matrix, Pipeline, Stage
from .read_agent import read_agent, read_environment, read_libraries, read_tools
from .read_directives import read_input, read_options, read_parameters, read_post, read_triggers
from .read_matrix import read_axes, read_excludes
from .read_steps import read_parallel_step, read_steps
from .read_when import read_when
from .reading import Reader, block_of

_INVALID = 'Not a valid section definition: "%(text)s". Some extra configuration is required.'
_INVALID_STAGE = 'Not a valid stage section definition: "%(text)s". Some extra configuration is required.'
_RENAMED = {
    "properties": "The 'properties' section has been renamed as of version 0.8. Use 'options' instead.",
    "wrappers": "The 'wrappers' section has been removed as of version 0.8. Use 'options' instead.",
    "jobProperties": "The 'jobProperties' section has been renamed as of version 0.7. Use 'options' instead.",
    "notifications": "The 'notifications' section has been removed as of version 0.6. Use 'post' for all post-build actions.",
    "postBuild": "The 'postBuild' section has been renamed as of version 0.6. Use 'post' for all post-build actions.",
}  # fmt: skip
_CONTENT = ("steps", "stages", "parallel", "matrix")


def read_pipeline(reader: Reader, statements: tuple[n.Statement, ...]) -> Pipeline | None:
    """The pipeline among the statements of a text; None when an error says why not."""
    calls = [(index, call) for index, item in enumerate(statements) if (call := _pipeline_call(reader, item))]
    if not calls:
        _report_missing(reader, statements)
        return None
    for _, extra in calls[1:]:
        reader.error(extra.position, "Only one pipeline { ... } block can be executed in a single run.")
    index, call = calls[0]
    closure = block_of(call)
    if closure is None:
        reader.error(call.position, 'Expected a block with the "%(name)s" step', name="pipeline")
        return None
    values = _pipeline_sections(reader, closure)
    if "stages" not in values:
        reader.error(call.position, 'Missing required section "%(section)s"', section="stages")
    if "agent" not in values:
        reader.error(call.position, 'Missing required section "%(section)s"', section="agent")
    if reader.errors:
        return None
    agent = values.pop("agent")
    assert isinstance(agent, Agent)
    return Pipeline(call.position, agent, before=statements[:index], after=statements[index + 1 :], **values)


def _pipeline_call(reader: Reader, statement: n.Statement) -> n.Call | None:
    call = reader.call(statement)
    return call if call is not None and call.target is None and call.name == "pipeline" else None


def _report_missing(reader: Reader, statements: tuple[n.Statement, ...]) -> None:
    pending: list[n.Statement] = list(statements)
    while pending:
        call = reader.call(pending.pop(0))
        closure = None if call is None else block_of(call)
        if call is None or closure is None:
            continue
        if call.target is None and call.name == "pipeline":
            reader.error(
                call.position, "%(name)s block must be at the top-level, not within another block.", name="pipeline"
            )
            return
        pending.extend(closure.body)
    position = statements[0].position if statements else n.Position(1, 1)
    reader.error(position, "There is no pipeline block: a declarative Jenkinsfile is “pipeline { … }”.")


def _pipeline_sections(reader: Reader, closure: n.Closure) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, call in reader.sections(closure.body, _INVALID):
        if name == "agent":
            values["agent"] = read_agent(reader, call)
        elif name == "stages":
            values["stages"] = read_stages(reader, call, parallel=False)
        elif name == "environment":
            values["environment"] = read_environment(reader, call)
        elif name == "post":
            values["post"] = read_post(reader, call, read_steps)
        elif name == "tools":
            values["tools"] = read_tools(reader, call)
        elif name == "options":
            values["options"] = read_options(reader, call, stage=False)
        elif name == "parameters":
            values["parameters"] = read_parameters(reader, call)
        elif name == "triggers":
            values["triggers"] = read_triggers(reader, call)
        elif name == "libraries":
            values["libraries"] = read_libraries(reader, call)
        elif name in _RENAMED:
            reader.error(call.position, _RENAMED[name])
        else:
            reader.error(call.position, 'Undefined section "%(section)s"', section=name)
    return values


def read_stages(reader: Reader, call: n.Call, *, parallel: bool, section: str = "stages") -> tuple[Stage, ...]:
    """The stages of `stages { … }` or `parallel { … }`; `parallel` is True anywhere below a parallel or a matrix."""
    closure = reader.block(call, section)
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "No stages specified")
    stages = [_stage(reader, statement, parallel=parallel) for statement in closure.body]
    found = [stage for stage in stages if stage is not None]
    _unique_names(reader, found)
    return tuple(found)


def _unique_names(reader: Reader, stages: Iterable[Stage]) -> None:
    seen: set[str] = set()
    for stage in stages:
        if stage.name in seen:
            reader.error(stage.position, 'Duplicate stage name: "%(name)s"', name=stage.name)
        seen.add(stage.name)


def _stage(reader: Reader, statement: n.Statement, *, parallel: bool) -> Stage | None:
    call = reader.call(statement)
    if call is None or call.target is not None or call.name != "stage":
        reader.error(statement.position, "Expected a stage")
        return None
    closure = block_of(call)
    arguments = call.args[:-1] if closure is not None else call.args
    if not arguments:
        reader.error(call.position, "Expected a stage name but didn't find any")
        return None
    name = reader.text(arguments[0])
    if closure is None or len(arguments) != 1:
        reader.error(call.position, "Stage doesn't have a block")
        return None
    if name is None:
        return None
    body = _StageBody(reader, name, call.position, within_parallel=parallel)
    for section, item in reader.sections(closure.body, _INVALID_STAGE):
        body.read(section, item)
    body.check()
    return Stage(name, call.position, **body.values)


@dataclass(slots=True)
class _Found:
    """Where the parts of a stage were found."""

    content: list[tuple[str, n.Call]]
    agent: n.Call | None = None
    tools: n.Call | None = None


class _StageBody:
    """Gathers the sections of one stage, or of what a matrix gives every cell."""

    def __init__(self, reader: Reader, name: str, position: n.Position, *, within_parallel: bool) -> None:
        self.reader = reader
        self.name = name
        self.position = position
        self.within_parallel = within_parallel
        self.values: dict[str, Any] = {}
        self.found = _Found([])

    def read(self, section: str, call: n.Call) -> None:
        """Reads one section of a stage."""
        if section in _CONTENT:
            self._content(section, call)
        elif section == "failFast":
            self.values["fail_fast"] = self.reader.boolean(call)
        elif not self._directive(section, call):
            self.reader.error(
                call.position,
                "Unknown stage section \"%(section)s\". Starting with version 0.5, steps in a stage must be in a 'steps' block.",
                section=section,
            )

    def _directive(self, section: str, call: n.Call) -> bool:
        reader, values = self.reader, self.values
        if section == "agent":
            self.found.agent = call
            values["agent"] = read_agent(reader, call)
        elif section == "when":
            values["when"] = read_when(reader, call)
        elif section == "post":
            values["post"] = read_post(reader, call, read_steps)
        elif section == "options":
            values["options"] = read_options(reader, call, stage=True)
        elif section == "input":
            values["input"] = read_input(reader, call)
        elif section == "tools":
            self.found.tools = call
            values["tools"] = read_tools(reader, call)
        elif section == "environment":
            values["environment"] = read_environment(reader, call)
        else:
            return False
        return True

    def _content(self, section: str, call: n.Call) -> None:
        self.found.content.append((section, call))
        if section == "steps":
            self._steps(call)
        elif section == "stages":
            self.values["stages"] = read_stages(self.reader, call, parallel=self.within_parallel)
        elif section == "parallel":
            self.values["parallel"] = read_stages(self.reader, call, parallel=True, section="parallel")
        else:
            self.values["matrix"] = _matrix(self.reader, call)

    def _steps(self, call: n.Call) -> None:
        closure = self.reader.block(call, "steps")
        if closure is None:
            return
        branches = read_parallel_step(self.reader, closure)
        if branches is None:
            self.values["steps"] = read_steps(self.reader, closure, call.position)
            return
        self.values["parallel"], fail_fast = branches
        self.values["fail_fast"] = fail_fast or self.values.get("fail_fast", False)
        if self.within_parallel:
            self._not_nested(call)

    def check(self) -> None:
        """What is only known when all sections are read."""
        content = self.found.content
        if not content:
            self.reader.error(
                self.position,
                'Nothing to execute within stage "%(name)s": it needs "steps", "stages", "parallel" or "matrix".',
                name=self.name,
            )
            return
        if len(content) > 1:
            self.reader.error(
                content[1][1].position,
                'Only one of "matrix", "parallel", "stages", or "steps" allowed for stage "%(name)s"',
                name=self.name,
            )
        section, call = content[0]
        if section not in ("parallel", "matrix"):
            return
        if self.within_parallel:
            self._not_nested(call)
        for what, where in (("agent", self.found.agent), ("tools", self.found.tools)):
            if where is not None:
                self.reader.error(
                    where.position, '"%(what)s" is not allowed in stage "%(name)s" as it contains parallel stages',
                    what=what, name=self.name,
                )  # fmt: skip

    def _not_nested(self, call: n.Call) -> None:
        self.reader.error(call.position, "Parallel stages or branches can only be included in a top-level stage.")

    def read_cell(self, section: str, call: n.Call) -> None:
        """Reads one section of a matrix that applies to every cell."""
        if section == "stages":
            self.values["stages"] = read_stages(self.reader, call, parallel=True)
        elif not self._directive(section, call):
            self.reader.error(call.position, 'Undefined section "%(section)s"', section=section)


def _matrix(reader: Reader, call: n.Call) -> Matrix | None:
    closure = reader.block(call, "matrix")
    if closure is None:
        return None
    cell = _StageBody(reader, "", call.position, within_parallel=True)
    parts: dict[str, Any] = {}
    for section, item in reader.sections(closure.body, _INVALID):
        if section == "axes":
            parts["axes"] = read_axes(reader, item)
        elif section == "excludes":
            parts["excludes"] = read_excludes(reader, item)
        else:
            cell.read_cell(section, item)
    for section, there in (("axes", "axes" in parts), ("stages", "stages" in cell.values)):
        if not there:
            reader.error(call.position, 'Missing required section "%(section)s"', section=section)
    stage = Stage("", call.position, **cell.values)
    return Matrix(parts.get("axes", ()), parts.get("excludes", ()), stage, call.position)
