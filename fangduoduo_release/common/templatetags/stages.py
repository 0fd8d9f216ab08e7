"""Turn the stages of a build into a tree that a template can draw. Knows no model: reads mappings or objects alike.

A stage: `id name state started_at duration_ms expected_ms stages[] parallel[]`; `stages` run one after another,
`parallel` side by side. All but `name` may be absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Node:
    """One stage ready to be drawn."""

    id: str
    name: str
    state: str
    started_at: Any = None
    duration_ms: float | None = None
    expected_ms: float | None = None
    chosen: bool = False
    stages: list[Node] = field(default_factory=list)
    parallel: list[Node] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        return bool(self.stages or self.parallel)

    @property
    def leaves(self) -> int:
        """How many stages that do work are under it; itself when it has none."""
        return sum(child.leaves for child in (*self.stages, *self.parallel)) or 1


def _get(stage: Any, name: str, default: Any = None) -> Any:
    value = stage.get(name, default) if isinstance(stage, Mapping) else getattr(stage, name, default)
    return default if value is None else value


def tree(stages: Iterable[Any], chosen: str = "") -> list[Node]:
    """Nested stages as Nodes; `chosen` is the id of the stage whose log is shown."""
    nodes = []
    for stage in stages or ():
        identity = str(_get(stage, "id", _get(stage, "name", "")))
        nodes.append(
            Node(
                id=identity,
                name=str(_get(stage, "name", "")),
                state=str(_get(stage, "state", "pending")),
                started_at=_get(stage, "started_at"),
                duration_ms=_get(stage, "duration_ms"),
                expected_ms=_get(stage, "expected_ms"),
                chosen=bool(chosen) and identity == str(chosen),
                stages=tree(_get(stage, "stages", ()), chosen),
                parallel=tree(_get(stage, "parallel", ()), chosen),
            )
        )
    return nodes
