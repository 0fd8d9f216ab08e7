"""How much is filled in, and what the one who filled it tells the one who visits. Knows no Django."""

from __future__ import annotations

from dataclasses import dataclass

DEEP = "deep"  # the project in which lists get long


@dataclass(frozen=True, slots=True)
class Shape:
    """How much. `dev_in` is of how many projects dev is a member."""

    projects: int
    builds: int  # of an ordinary project
    deep_builds: int
    deployments: int  # of an ordinary service
    deep_deployments: int
    dev_in: int = 50


SHAPES = {
    "full": Shape(projects=500, builds=225, deep_builds=12_725, deployments=9, deep_deployments=2_000),
    "tenth": Shape(projects=50, builds=225, deep_builds=1_475, deployments=9, deep_deployments=200),
}


@dataclass(frozen=True, slots=True)
class Filled:
    """What a visitor needs to know: ids of the deep project's newest, and how many rows there are."""

    build: int
    running: int
    version: int
    service: int
    deployment: int
    moving: int
    commit: str
    machine: str
    counts: dict[str, int]
