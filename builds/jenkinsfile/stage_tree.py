"""The stages of a pipeline as they will be: parallel branches and matrix cells spelled out, for a graph."""

from __future__ import annotations

from itertools import islice

from .model import MAX_CELLS, Matrix, Pipeline, Stage, StageNode


def stage_tree(pipeline: Pipeline) -> tuple[StageNode, ...]:
    """The stages in the order of the text, each with the path of names that identifies it."""
    return tuple(_node(stage, ()) for stage in pipeline.stages)


def _node(stage: Stage, above: tuple[str, ...]) -> StageNode:
    path = (*above, stage.name)
    if stage.matrix is not None:
        return StageNode(stage.name, path, "matrix", stage.position, _cells(stage.matrix, path))
    kind = "parallel" if stage.parallel else "stage"
    children = tuple(_node(child, path) for child in stage.parallel or stage.stages)
    return StageNode(stage.name, path, kind, stage.position, children)


def _cells(matrix: Matrix, above: tuple[str, ...]) -> tuple[StageNode, ...]:
    cells: list[StageNode] = []
    for values in islice(matrix.cells(), MAX_CELLS):
        name = matrix.cell_name(values)
        path = (*above, name)
        children = tuple(_node(child, path) for child in matrix.cell.stages)
        cells.append(StageNode(name, path, "cell", matrix.position, children))
    return tuple(cells)
