"""Every write in the audit: what is about to be done, before it is done; then what became of it.

The first row is committed before the API server is asked, so what cannot be written down is not done. Were the process to end
between the two, the trail has an intent without an outcome: then nobody knows, and it says so by the absence; the object's own
managedFields name the caller's field manager and the time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.db import DatabaseError, transaction

from clusters.drivers.runtime.kubernetes.api import Answer, status_of
from clusters.drivers.runtime.kubernetes.names import PROJECT
from clusters.gateway.paths import Target
from clusters.gateway.reach import Place
from clusters.models import Cluster
from fangduoduo_release.audit import chain, trail

logger = logging.getLogger(__name__)
KIND = "kubernetes"
NOISE = frozenset({"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # a second copy of all, where no mask would reach


def facts_of(item: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An object as people compare it: what was asked of it, without what the server adds and without its state."""
    if item is None:
        return None
    found = {name: value for name, value in item.items() if name not in {"status", "metadata"}}
    metadata = {n: v for n, v in (item.get("metadata") or {}).items() if n not in NOISE}
    if isinstance(metadata.get("annotations"), dict):
        metadata["annotations"] = {n: v for n, v in metadata["annotations"].items() if n != LAST_APPLIED}
    named: dict[str, Any] = _by_name({**found, "metadata": metadata})
    return named


def _by_name(value: Any) -> Any:
    """Lists of named things as objects by name: variables then are masked by what they are called, and a diff is short."""
    if isinstance(value, dict):
        return {name: _by_name(one) for name, one in value.items()}
    if isinstance(value, list):
        names = [one.get("name") if isinstance(one, dict) else None for one in value]
        if value and all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return {name: _without_name(one) for name, one in zip(names, value, strict=True)}
        return [_by_name(one) for one in value]
    return value


def _without_name(one: dict[str, Any]) -> Any:
    rest = {name: _by_name(value) for name, value in one.items() if name != "name"}
    return rest["value"] if set(rest) == {"value"} else rest


def project_of(item: Mapping[str, Any] | None, place: Place) -> str:
    """Whose trail it stands in: the object's own project, else the only one there."""
    labels = ((item or {}).get("metadata") or {}).get("labels") or {}
    own = str(labels.get(PROJECT) or "")
    return own if own in place.projects else next(iter(place.projects)) if len(place.projects) == 1 else ""


def named(cluster: Cluster, target: Target, name: str, project: str) -> trail.Named:
    """The object as the trail calls it."""
    where = f"{target.namespace}/{target.kind.resource.plural}/{name}"
    return trail.Named(KIND, f"{cluster.name}/{where}"[-60:], f"{where} ({cluster.name})", project)


def intend(
    actor: Any, verb: str, it: trail.Named, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> None:  # fmt: skip
    """Write down what is about to be done. Raises chain.Broken, DatabaseError: then it is not to be done."""
    with transaction.atomic():
        trail.record(
            actor, f"gateway.{verb}", it,
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
        )  # fmt: skip


def settle(actor: Any, verb: str, it: trail.Named, answer: Answer | None) -> None:
    """Write down what became of it; None: nobody knows, the answer was lost. What was done stays done when this fails."""
    after: dict[str, Any] = {"asked": verb}
    outcome = "unknown"
    if answer is not None:
        outcome = "done" if answer.ok else "failed"
        after["status"] = answer.status
        if not answer.ok:
            after["reason"] = str(status_of(answer.body).get("message") or "")[:500]
    try:
        with transaction.atomic():
            trail.record(actor, f"gateway.{outcome}", it, after=after)
    except (DatabaseError, chain.Broken):
        logger.exception("%s of %s was %s, and the audit could not be told", verb, it.label, outcome)
