"""Finds what is valid in Jenkins but cannot run in the embedded builder, and warns of it at its place.

A warning is the sentence with which the stage fails at run time. Walks with a stack of its own, so that the depth of
a tree costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from fangduoduo_release.common.sentence import S

from .groovy import nodes as n
from .groovy.evaluate import exists_here, only_in_jenkins
from .groovy.execute import not_understood
from .model import MAX_CELLS, Agent, Option, Pipeline, Stage, Step
from .reading import Reader
from .steps import RUNNABLE_STEPS, VALUE_STEPS, not_runnable

HERE_AGENTS = frozenset({"any", "none", "label", "node"})
_MOST_WARNINGS = 100


def note_what_cannot_run(reader: Reader, pipeline: Pipeline) -> None:
    """Adds a warning for everything in `pipeline` that the embedded builder cannot do."""
    _Notes(reader, pipeline).all()


class _Notes:
    def __init__(self, reader: Reader, pipeline: Pipeline) -> None:
        self.reader = reader
        self.pipeline = pipeline
        self.nodes = list(_nodes(pipeline))
        self.names = {"it", *_declared(self.nodes)}
        self.types: set[n.Position] = set()
        self.methods = {item.name for item in self.nodes if isinstance(item, n.MethodDefinition)}

    def all(self) -> None:
        pipeline = self.pipeline
        for tool in pipeline.tools:
            self._tool(tool.position, tool.kind)
        for library in pipeline.libraries:
            self.reader.note(library.position, NO_LIBRARIES)
        self._agent(pipeline.agent)
        for item in self.nodes:
            self._one(item)
            if len(self.reader.warnings) >= _MOST_WARNINGS:
                return

    def _one(self, item: Any) -> None:
        if isinstance(item, Stage):
            self._stage(item)
        elif isinstance(item, Step):
            self._called(item.name, item.position)
        elif isinstance(item, n.Call):
            self._call(item)
        elif isinstance(item, n.Binary) and item.operator in ("as", "instanceof", "!instanceof"):
            self.types.add(item.right.position)
        elif isinstance(item, n.Variable):
            if item.name[0].isupper() and item.position not in self.types:
                self._variable(item)
        elif isinstance(item, n.New):
            if not item.plain or not exists_here(f"new {item.type_name}"):
                self.reader.note(item.position, only_in_jenkins(f"new {item.type_name}"))
        elif isinstance(item, n.OpaqueStatement):
            self.reader.note(item.position, not_understood(item.what))
        elif isinstance(item, n.Import) and item.name == "@Library":
            self.reader.note(item.position, NO_LIBRARIES)

    def _stage(self, stage: Stage) -> None:
        self._agent(stage.agent)
        for tool in stage.tools:
            self._tool(tool.position, tool.kind)
        if stage.matrix is not None:
            count = 1
            for axis in stage.matrix.axes:
                count *= len(axis.values)
            if count > MAX_CELLS:
                self.reader.warn(
                    stage.matrix.position,
                    "This matrix has %(count)s cells; the embedded builder runs at most %(limit)s.",
                    count=min(count, 10**9),
                    limit=MAX_CELLS,
                )

    def _agent(self, agent: Agent | None) -> None:
        if agent is not None and agent.kind not in HERE_AGENTS:
            self.reader.warn(
                agent.position,
                "The agent “%(kind)s” cannot run on the embedded builder: it runs on this host only.",
                kind=agent.kind,
            )

    def _tool(self, position: n.Position, kind: str) -> None:
        self.reader.warn(
            position, "The embedded builder installs no tools: “%(kind)s” is what this host has.", kind=kind
        )

    def _called(self, name: str, position: n.Position) -> None:
        known = name in RUNNABLE_STEPS or name in VALUE_STEPS or name in self.methods or name in self.names
        if not known and name != "credentials":
            self.reader.note(position, not_runnable(name))

    def _call(self, call: n.Call) -> None:
        target = call.target
        if target is None or (isinstance(target, n.Variable) and target.name == "this"):
            if isinstance(call.name, str):
                self._called(call.name, call.position)
            return
        root = target
        while isinstance(root, n.Call | n.Property | n.Index) and root.target is not None:
            root = root.target
        if isinstance(root, n.Variable) and root.name.islower() and root.name not in self.names:
            self._variable(root)

    def _variable(self, variable: n.Variable) -> None:
        if variable.name not in self.names and not exists_here(variable.name):
            self.reader.note(variable.position, only_in_jenkins(variable.name))


NO_LIBRARIES = S("Shared libraries cannot be loaded by the embedded builder; their steps will fail there.")


_FLAT = frozenset({"str", "bool", "Position", "n.Position", "tuple[str, ...]"})
# Values of Jenkins' own, not looked into.
_FOREIGN = {Option: frozenset({"args", "named"}), Pipeline: frozenset({"triggers", "parameters"})}


@cache
def _inner(kind: Any) -> tuple[str, ...]:
    """The fields of a class that may hold further nodes, last first."""
    foreign = _FOREIGN.get(kind, frozenset())
    return tuple(item.name for item in reversed(fields(kind)) if item.type not in _FLAT and item.name not in foreign)


def _nodes(root: Any) -> Iterator[Any]:
    """All parts of a model and its Groovy, outer before inner, in the order of the text."""
    pending: list[Any] = [root]
    while pending:
        item = pending.pop()
        if type(item) is tuple:
            pending.extend(item[::-1])
        elif item is not None and hasattr(item, "__dataclass_fields__"):
            yield item
            kind: Any = type(item)
            pending.extend([getattr(item, name) for name in _inner(kind)])


def _declared(items: Iterable[Any]) -> Iterator[str]:
    """Every name that some statement gives a value: known enough not to warn of it."""
    for item in items:
        if isinstance(item, n.Declare):
            yield from item.names
        elif isinstance(item, n.Assign):
            targets = item.target.items if isinstance(item.target, n.ListLiteral) else (item.target,)
            yield from (target.name for target in targets if isinstance(target, n.Variable))
        elif isinstance(item, n.ForIn | n.Catch | n.Parameter):
            yield item.name
