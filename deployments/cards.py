"""Instances as cards: what one glance at a roll-out must tell, worst first. Only reads rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deployments.models import Deployment, Instance, Service

GONE = frozenset({"draining", "stopping", "stopped", "dead"})


SHOWN = (
    "name", "state", "ready", "restarts", "digest", "node", "address", "started_at", "reason", "containers",
)  # fmt: skip


def rows_of(service: Service) -> Iterable[Any]:
    """Its instances with what cards show of them, without a model's weight: there may be hundreds."""
    return service.instances.values_list(*SHOWN, named=True)


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


def versions_of(deployment: Deployment) -> dict[str, int]:
    """Which version a digest on an instance stands for: the new one or the one before. Of an image whose tag nobody could
    resolve only what it turned out to be says so."""
    kind = deployment.service.machine.cluster.kind
    found: dict[str, int] = {}
    if (before := deployment.previous_version) is not None:
        ran = deployment.previous.pins.get("digest") if not before.pin_on(kind) and deployment.previous else ""
        found |= dict.fromkeys((before.pin, before.pin_on(kind), ran or ""), before.number)
    if (version := deployment.version) is not None:
        pinned = deployment.pins.get("digest") or ""
        found |= dict.fromkeys((version.pin, version.pin_on(kind), pinned), version.number)
    found.pop("", None)
    return found
