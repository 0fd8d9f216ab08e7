"""Instances as cards: what one glance at a roll-out must tell, worst first. Only reads rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deployments.models import Instance

GONE = frozenset({"draining", "stopping", "stopped", "dead"})


def cards(instances: Iterable[Instance], versions: Mapping[str, int], pinned: str = "") -> list[dict[str, Any]]:
    """One for each: those of the goal before those of earlier ones, those that are not well first.

    `versions`: the number that a digest stands for. `pinned`: what the goal runs; "" when nobody knows it yet, and then
    every digest that is known is an earlier one's.
    """
    found = [_card(one, versions, pinned) for one in instances]
    return sorted(found, key=lambda card: (card["old"], card["ready"] and not card["reason"], card["name"]))


def _card(one: Instance, versions: Mapping[str, int], pinned: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": "healthy" if one.ready and one.state == "running" else one.state,
        "version": versions.get(one.digest),
        "ready": one.ready,
        "restarts": one.restarts,
        "started_at": one.started_at,
        "node": one.address or one.node,
        "reason": one.reason,
        "containers": one.containers if len(one.containers) > 1 else (),
        "old": one.state in GONE or bool(one.digest and (one.digest != pinned if pinned else one.digest in versions)),
    }
