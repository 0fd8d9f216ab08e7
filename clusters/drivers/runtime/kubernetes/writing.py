"""Bringing a goal into a cluster, and taking a service out of it: server-side apply, never forced unless told to.

What would be is asked of the server itself (a dry run), so defaults, webhooks and other managers have their say in the
diff. Every verb may be called again after a crash at any point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clusters.drivers.runtime.base import FieldConflict, Plan, ServiceRef, Wanted
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound, Rejected
from fangduoduo_release.common.sentence import S, Sentence

from . import manifests, names, overlay
from .api import Answer, Api, judge, status_of
from .observe import Sight, refuse_older
from .parts import Manifest
from .pods import Object, path


class Writer:
    """What is written to one cluster. `key`: of this installation, for the names of objects that hold secrets."""

    def __init__(self, api: Api, key: bytes) -> None:
        self._api, self._key = api, key

    def goal(self, wanted: Wanted) -> tuple[str, list[Manifest]]:
        """(namespace, every object). Raises Invalid."""
        namespace = str(wanted.placement.get("namespace") or "")
        if not namespace:
            sentence = S("The machine “%(name)s” names no namespace; ops can set it.", name=wanted.machine)
            raise Invalid(sentence, code="no_namespace")
        return namespace, overlay.manifests(wanted, namespace, self._key)

    def plan(self, wanted: Wanted) -> Plan:
        """What `apply` would change, as the server itself says (a dry run). Raises Invalid, Conflict, Rejected, Unavailable."""
        namespace, goal = self.goal(wanted)
        text = manifests.canonical(goal)
        sha256 = manifests.digest_of(text)
        diffs, conflicts, replaces = [], [], False
        for manifest in goal:
            resource = _resource(manifest)
            live = self._api.get(resource, namespace, manifest["metadata"]["name"])
            if manifests.is_main(manifest, goal):
                self._refuse_foreign(live, wanted)
            would_be, met = self._try(manifest, namespace, wanted)
            conflicts += met
            diff = manifests.unified(
                manifests.title(manifest), manifests.comparable(live), manifests.comparable(would_be)
            )
            if diff:
                diffs.append(diff)
            if manifests.is_main(manifest, goal):
                replaces = path(live or {}, "spec", "template") != path(would_be, "spec", "template")
        deletes = self._surplus(wanted.service, namespace, goal)
        for what in deletes:
            diffs.append(f"--- applied/{what}\n+++ /dev/null\n")
        return Plan(
            manifest=text, sha256=sha256, diff="".join(diffs), changed=bool(diffs), replaces_instances=replaces,
            warnings=tuple(_conflict_sentence(one) for one in conflicts) if not wanted.take_over else (),
            conflicts=tuple(conflicts), deletes=tuple(what for what in deletes),
        )  # fmt: skip

    def _try(self, manifest: Manifest, namespace: str, wanted: Wanted) -> tuple[dict[str, Any], list[FieldConflict]]:
        """(what it would become, whose fields are in the way)."""
        resource = _resource(manifest)
        answer = self._api.apply(resource, namespace, manifest, dry_run=True)
        met = _conflicts(answer, manifest)
        if met:
            answer = self._api.apply(resource, namespace, manifest, dry_run=True, force=True)
        if not answer.ok:
            raise self._refusal(answer, namespace)
        return answer.json(), list(met)

    def apply(self, wanted: Wanted) -> None:
        """Server-side apply of every object. Raises Conflict ("superseded", "field_conflict", "foreign"), Invalid,
        Rejected, Unavailable; after any of them call it again."""
        namespace, goal = self.goal(wanted)
        sha256 = manifests.digest_of(manifests.canonical(goal))
        main = manifests.main_of(goal)
        live = self._api.get(names.DEPLOYMENTS, namespace, main["metadata"]["name"])
        self._refuse_foreign(live, wanted)
        refuse_older(Sight(live).generation, wanted)
        for manifest in manifests.stamped(goal, wanted, sha256):
            answer = self._api.apply(_resource(manifest), namespace, manifest, force=wanted.take_over)
            met = _conflicts(answer, manifest)
            if met:
                raise Conflict(_conflicts_sentence(met), code="field_conflict")
            if not answer.ok:
                raise self._refusal(answer, namespace)
        self._clear(wanted, namespace, goal)

    def _clear(self, wanted: Wanted, namespace: str, goal: Sequence[Manifest]) -> None:
        """Delete what belongs to the service and is wanted no more; config that pods still were started with stays."""
        used = self._used_config(wanted.service, namespace)
        for what in self._surplus(wanted.service, namespace, goal):
            if what.partition("/")[2] not in used:
                self.delete(namespace, what)

    def _surplus(self, service: ServiceRef, namespace: str, goal: Sequence[Mapping[str, Any]]) -> list[str]:
        wanted = {manifests.title(one) for one in goal}
        return [what for _, what in self.owned(service, [namespace]) if what not in wanted]

    def _used_config(self, service: ServiceRef, namespace: str) -> set[str]:
        """Names of ConfigMaps and Secrets that ReplicaSets which may still start pods refer to."""
        used: set[str] = set()
        for item in self._api.list(names.REPLICASETS, namespace, labels=_selector(service)):
            if int(path(item, "spec", "replicas") or 0) or int(path(item, "status", "replicas") or 0):
                used |= _referred(path(item, "spec", "template", "spec") or {})
        return used

    def _refuse_foreign(self, live: Object | None, wanted: Wanted) -> None:
        """A Deployment of that name that is not ours, or another service's, is left alone."""
        if live is None:
            return
        name, owner = str(path(live, "metadata", "name")), (path(live, "metadata", "labels") or {}).get(names.SERVICE)
        if owner == wanted.service.key or (owner is None and wanted.take_over):
            return
        if owner is None:
            sentence = S(
                "The namespace has a Deployment “%(name)s” that this portal did not make; rename or remove it.",
                name=name,
            )
        else:
            sentence = S("The Deployment “%(name)s” belongs to another service or another portal.", name=name)
        raise Conflict(sentence, code="foreign")

    def _refusal(self, answer: Answer, namespace: str) -> AppError:
        message = str(status_of(answer.body).get("message") or "")
        if answer.status == 404 and f'namespaces "{namespace}" not found' in message:
            return Rejected(
                S("The cluster has no namespace “%(name)s”.", name=namespace), evidence=message, code="no_namespace"
            )
        if answer.status == 403 and "is being terminated" in message:
            return Rejected(
                S("The namespace “%(name)s” is being deleted.", name=namespace), evidence=message, code="no_namespace"
            )
        return judge(answer)

    def owned(self, service: ServiceRef, namespaces: Sequence[str]) -> list[tuple[str, str]]:
        """(namespace, kind/name) of everything in these namespaces that is the service's; "" means the whole cluster."""
        found = []
        for namespace in namespaces:
            for resource in names.DEPLOYABLE:
                try:
                    items = self._api.list(resource, namespace, labels=_selector(service))
                except (Rejected, NotFound):
                    continue  # an account that may not see a kind has made none of it; not every cluster serves every kind
                found += [
                    (str(path(one, "metadata", "namespace")), f"{resource.kind}/{path(one, 'metadata', 'name')}")
                    for one in items
                ]
        return found

    def delete(self, namespace: str, what: str) -> None:
        """Ask for the end of one object, given as kind/name."""
        kind, _, name = what.partition("/")
        self._api.delete(next(one for one in names.DEPLOYABLE if one.kind == kind), namespace, name)


def _resource(manifest: Mapping[str, Any]) -> names.Resource:
    found = names.resource_of(manifest)
    if found is None:
        raise Invalid(
            S("Objects of kind “%(kind)s” are not deployed by the portal.", kind=str(manifest.get("kind"))[:60])
        )
    return found


def _selector(service: ServiceRef) -> str:
    return f"{names.SERVICE}={service.key},{names.GROUP}={service.group}"


def _referred(pod: Mapping[str, Any]) -> set[str]:
    """ConfigMaps and Secrets that a pod's spec names, as far as we made them."""
    found = {str(path(one, "configMap", "name")) for one in pod.get("volumes") or [] if path(one, "configMap", "name")}
    for container in pod.get("containers") or []:
        for one in container.get("env") or []:
            name = path(one, "valueFrom", "secretKeyRef", "name")
            if name:
                found.add(str(name))
    return found


def _conflicts(answer: Answer, manifest: Mapping[str, Any]) -> tuple[FieldConflict, ...]:
    if answer.status != 409:
        return ()
    return manifests.conflicts_of(status_of(answer.body), manifests.title(manifest))


def _conflict_sentence(one: FieldConflict) -> Sentence:
    return S(
        "%(field)s of %(what)s belongs to “%(owner)s”, who set it; it would have to be taken over.",
        field=one.field, what=one.what, owner=one.owner,
    )  # fmt: skip


def _conflicts_sentence(met: Sequence[FieldConflict]) -> Sentence:
    fields = ", ".join(f"{one.what} {one.field} ({one.owner})" for one in met[:5])
    return S(
        "Somebody else manages what this deployment would set: %(fields)s. Take it over, or leave it out of the configuration.",
        fields=fields,
    )
