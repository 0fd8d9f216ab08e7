"""Manifests as people see and compare them: secrets masked, canonical text, what a change would do. Pure."""

from __future__ import annotations

import copy
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusters.drivers.runtime.base import FieldConflict, Wanted
from fangduoduo_release.common.safe_yaml import dump

from . import names
from .parts import Manifest
from .pods import Object, path

MASK = "********"
# What the server adds by itself and nobody changed.
_SERVERS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "finalizers")
# Annotations that say nothing of what is wanted; the last one repeats a whole object, secrets too.
_NOTES = (
    names.GENERATION, names.MANIFEST, "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)  # fmt: skip


# Where a pod's spec names config: below these keys.
KINDS_NAMED = {
    "configMap": "ConfigMap", "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap",
    "secret": "Secret", "secretRef": "Secret", "secretKeyRef": "Secret", "imagePullSecrets": "Secret",
}  # fmt: skip


MOUNTED = frozenset(KINDS_NAMED.values())  # without them no pod starts


def masked(manifest: Mapping[str, Any]) -> Manifest:
    """The manifest without the values of secrets; their names tell when they change."""
    found = copy.deepcopy(dict(manifest))
    if found.get("kind") == "Secret":
        for group in ("data", "stringData"):
            if isinstance(found.get(group), dict):
                found[group] = dict.fromkeys(sorted(found[group]), MASK)
    return found


def canonical(manifests: Iterable[Mapping[str, Any]]) -> str:
    """All of them as one YAML text, secrets masked."""
    return "---\n".join(dump(masked(one)) for one in manifests)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def stamped(manifests: Sequence[Manifest], wanted: Wanted, sha256: str) -> list[Manifest]:
    """As they are applied: marked with the deployment that brings them, and the Deployment with the goal's generation."""
    found = []
    for one in manifests:
        mine = copy.deepcopy(one)
        if wanted.deployment:
            mine["metadata"]["labels"][names.DEPLOYMENT] = wanted.deployment
        if is_main(mine):
            notes = mine["metadata"].setdefault("annotations", {})
            notes |= {names.GENERATION: str(wanted.generation), names.MANIFEST: sha256}
            if wanted.paused:
                mine["spec"]["paused"] = True
        found.append(mine)
    return found


def is_ending(live: Object | None) -> bool:
    """The server takes what is applied to an object that is on its way out, and then it is gone with it."""
    return bool(path(live or {}, "metadata", "deletionTimestamp"))


def is_main(manifest: Mapping[str, Any]) -> bool:
    """Whether this is the Deployment that is the service: the one whose template was given our selector's labels."""
    if manifest.get("kind") != "Deployment":
        return False
    return names.SERVICE in (path(manifest, "spec", "template", "metadata", "labels") or {})


def main_of(manifests: Sequence[Manifest]) -> Manifest:
    return next(one for one in manifests if is_main(one))


def comparable(item: Mapping[str, Any] | None) -> str:
    """An object of the server as text to compare: without what only the server or our stamps say."""
    if item is None:
        return ""
    found = masked(item)
    found.pop("status", None)
    metadata = found["metadata"] = {k: v for k, v in found.get("metadata", {}).items() if k not in _SERVERS}
    notes = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _NOTES}
    metadata["annotations"] = notes
    metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k != names.DEPLOYMENT}
    for empty in ("annotations", "labels"):
        if not metadata[empty]:
            del metadata[empty]
    return dump(found)


def unified(what: str, before: str, after: str) -> str:
    """A unified diff of one object, headed by its kind and name; "" when nothing differs."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"applied/{what}", f"wanted/{what}", n=3
    )
    return "".join(lines)


def title(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def choosing_nothing(manifests: Sequence[Manifest]) -> list[str]:
    """kind/name of the Services that choose none of the pods which these manifests make."""
    pods = [
        path(one, "spec", "template", "metadata", "labels") or {} for one in manifests if one["kind"] == "Deployment"
    ]
    services = [one for one in manifests if one["kind"] == "Service"]
    return [title(one) for one in services if not _chooses(path(one, "spec", "selector"), pods)]


def _chooses(selector: Any, pods: Sequence[Mapping[str, Any]]) -> bool:
    if not isinstance(selector, Mapping) or not selector:
        return True  # people say by hand where such a Service leads
    return any(all(labels.get(name) == text for name, text in selector.items()) for labels in pods)


def config_of(pod: Mapping[str, Any]) -> set[str]:
    """kind/name of every ConfigMap and Secret that a pod's spec names, wherever it may name one."""
    found: set[str] = set()
    waiting: list[tuple[str, Any]] = [("", pod)]
    while waiting:
        under, one = waiting.pop()
        if isinstance(one, Mapping):
            kind, name = KINDS_NAMED.get(under), one.get("name") or one.get("secretName")
            if kind and isinstance(name, str):
                found.add(f"{kind}/{name}")
            waiting += one.items()
        elif isinstance(one, list):
            waiting += [(under, item) for item in one]
    return found


def conflicts_of(status: Mapping[str, Any], what: str) -> tuple[FieldConflict, ...]:
    """Which field is whose, from the answer to an apply that met other managers; () when it was about something else."""
    found = []
    for cause in (status.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "FieldManagerConflict":
            # conflict with "kubectl-edit" using apps/v1: .spec.replicas
            owner = str(cause.get("message") or "").partition('"')[2].partition('"')[0]
            found.append(FieldConflict(what, str(cause.get("field") or "").lstrip("."), owner or "?"))
    return tuple(found)
