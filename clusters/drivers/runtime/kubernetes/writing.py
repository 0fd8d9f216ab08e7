"""Bringing a goal into a cluster, and taking a service out of it: server-side apply, never forced unless told to.

What would be is asked of the server itself (a dry run), so defaults, webhooks and other managers have their say in the
diff. Every verb may be called again after a crash at any point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clusters.drivers.runtime.base import FieldConflict, Plan, ServiceRef, Wanted
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

from . import manifests, names, overlay, scaled
from .api import Answer, Api, judge, status_of
from .observe import Sight, refuse_older
from .parts import HASHED, Manifest
from .pods import Object, path
from .server import Server, without_sleep
from .starting import allowed_s

SEEN_S = 60.0  # how long ago others' autoscalers may have been seen where nothing is to be changed


class Writer:
    """What is written to one cluster. `key`: of this installation, for the names of objects that hold secrets."""

    def __init__(self, api: Api, key: bytes) -> None:
        self._api, self._key = api, key
        self._server, self._beside = Server(api), scaled.Beside(api)

    def goal(self, wanted: Wanted) -> tuple[str, list[Manifest]]:
        """(namespace, every object). Raises Invalid; Unavailable, Rejected when the server does not say what it knows."""
        namespace, found, _ = self._rendered(wanted, SEEN_S)
        return namespace, found

    def _rendered(self, wanted: Wanted, seen_s: float = 0.0) -> tuple[str, list[Manifest], str]:
        """The same, and which autoscaler of the cluster decides the number of replicas: then it is not ours to set."""
        namespace = str(wanted.placement.get("namespace") or "")
        if not namespace:
            sentence = S("The machine “%(name)s” names no namespace; ops can set it.", name=wanted.machine)
            raise Invalid(sentence, code="no_namespace")
        found, beside = overlay.manifests(wanted, namespace, self._key), ""
        main = manifests.main_of(found)
        if "replicas" in main["spec"]:
            beside = self._beside.scaler(wanted.service, main["metadata"]["name"], namespace, seen_s)
        if beside:
            del main["spec"]["replicas"]
        return namespace, found if self._server.knows_sleep() else without_sleep(found), beside

    def plan(self, wanted: Wanted) -> Plan:
        """What `apply` would change, as the server itself says (a dry run). Raises Invalid, Conflict, Rejected, Unavailable."""
        namespace, goal, beside = self._rendered(wanted)
        text = manifests.canonical(goal)
        sha256 = manifests.digest_of(text)
        diffs, conflicts, there, adopted, replaces, stand = [], [], [], [], False, None
        for manifest in goal:
            live = self._live(manifest, namespace, wanted)
            if live is not None:
                there.append(manifests.title(manifest))
                adopted += [manifests.title(manifest)] if _owner(live) is None else []
            would_be, met = self._try(manifest, namespace, live)
            conflicts += met
            diff = manifests.unified(
                manifests.title(manifest), manifests.comparable(live), manifests.comparable(would_be)
            )
            if diff:
                diffs.append(diff)
            if manifests.is_main(manifest):
                replaces = path(live or {}, "spec", "template") != path(would_be, "spec", "template")
                stand = path(live or {}, "spec", "replicas")
        # Config that nobody needs any more is tidied away without a word: it was ours and of one version only.
        deletes = [what for what in self._surplus(wanted.service, namespace, goal) if not HASHED.search(what)]
        for what in deletes:
            diffs.append(f"--- applied/{what}\n+++ /dev/null\n")
        main = manifests.main_of(goal)
        scaler = beside or scaled.scaler_among(goal, main["metadata"]["name"])
        conflicts = [
            one for one in conflicts if not scaled.is_orphaned(self._api, one, main, namespace, leaving=deletes)
        ]
        return Plan(
            manifest=text, sha256=sha256, diff="".join(diffs), changed=bool(diffs), replaces_instances=replaces,
            warnings=(
                *(_adoption_sentence(what) for what in adopted),
                *(_conflict_sentence(one) for one in conflicts if not wanted.take_over),
                *(_nowhere_sentence(what) for what in manifests.choosing_nothing(goal)),
                *scaled.warnings(main, scaler, beside=bool(beside), stand=stand),
            ),
            conflicts=tuple(conflicts), deletes=tuple(deletes), there=tuple(there),
            start_s=allowed_s(main, wanted.spec.start_deadline_s), scaled_by=scaler,
        )  # fmt: skip

    def _live(self, manifest: Manifest, namespace: str, wanted: Wanted) -> dict[str, Any] | None:
        """The object as it is there. Raises Conflict ("foreign"): everything ours has one field manager, also where
        another portal wrote it, so the server would not stop us."""
        live = self._api.get(_resource(manifest), namespace, manifest["metadata"]["name"])
        if live is not None:
            _refuse_foreign(live, manifest, wanted)
        return live

    def _try(
        self, manifest: Manifest, namespace: str, live: Object | None
    ) -> tuple[dict[str, Any], list[FieldConflict]]:
        """(what it would become, whose fields are in the way)."""
        answer = self._api.apply(_resource(manifest), namespace, manifest, dry_run=True)
        met = manifests.conflicts_of(status_of(answer.body), manifests.title(manifest)) if answer.status == 409 else ()
        if met:
            answer = self._api.apply(_resource(manifest), namespace, manifest, dry_run=True, force=True)
        if not answer.ok:
            raise _refusal(answer, namespace)
        would_be = answer.json()
        if live is not None and scaled.is_handed_over(live, manifest):
            would_be["spec"]["replicas"] = live["spec"]["replicas"]
        return would_be, [one for one in met if one.owner != names.HEIR]

    def apply(self, wanted: Wanted) -> None:
        """Server-side apply of every object. Raises Conflict ("superseded", "field_conflict", "foreign"), Invalid,
        Rejected, Unavailable; after any of them call it again."""
        namespace, goal, _ = self._rendered(wanted)
        sha256 = manifests.digest_of(manifests.canonical(goal))
        main = manifests.main_of(goal)
        live = self._live(main, namespace, wanted)
        refuse_older(Sight(live).generation, wanted)
        if manifests.is_ending(live):
            raise _still_there(main)
        if live is not None:
            self._hand_over_replicas(live, main, namespace)
        surplus = self._surplus(wanted.service, namespace, goal)
        for what in surplus:
            if what.startswith(f"{names.AUTOSCALERS.kind}/"):
                self.delete(namespace, what)  # before it undoes the number that is set now
        ending: Unavailable | None = None
        for manifest in manifests.stamped(goal, wanted, sha256):
            if not manifests.is_main(manifest) and manifests.is_ending(self._live(manifest, namespace, wanted)):
                ending = _still_there(manifest)
                if manifest["kind"] in manifests.MOUNTED:
                    raise ending
                continue  # a Service held by a finalizer keeps no pods from being mended
            self._put(manifest, namespace, force=wanted.take_over)
        if ending is not None:
            raise ending
        self._clear(wanted, namespace, surplus)

    def _put(self, manifest: Manifest, namespace: str, *, force: bool) -> None:
        answer = self._api.apply(_resource(manifest), namespace, manifest, force=force)
        met = manifests.conflicts_of(status_of(answer.body), manifests.title(manifest)) if answer.status == 409 else ()
        if met and all(
            one.owner == names.HEIR or scaled.is_orphaned(self._api, one, manifest, namespace) for one in met
        ):
            answer, met = self._api.apply(_resource(manifest), namespace, manifest, force=True), ()
        if met:
            raise Conflict(_conflicts_sentence(met), code="field_conflict")
        if not answer.ok:
            raise _refusal(answer, namespace)

    def _hand_over_replicas(self, live: Object, main: Manifest, namespace: str) -> None:
        """Before something else scales it."""
        if scaled.is_handed_over(live, main):
            answer = scaled.hand_over(self._api, live, main, namespace)
            if not answer.ok:
                raise _refusal(answer, namespace)

    def _clear(self, wanted: Wanted, namespace: str, surplus: Sequence[str]) -> None:
        """Delete what belongs to the service and is wanted no more; config that pods still were started with stays."""
        used = self._used_config(wanted.service, namespace) if surplus else set()
        for what in surplus:
            if what not in used:
                self.delete(namespace, what)

    def _surplus(self, service: ServiceRef, namespace: str, goal: Sequence[Mapping[str, Any]]) -> list[str]:
        wanted = {manifests.title(one) for one in goal}
        return [what for _, what in self.owned(service, [namespace]) if what not in wanted]

    def _used_config(self, service: ServiceRef, namespace: str) -> set[str]:
        """ConfigMaps and Secrets that ReplicaSets which may still start pods refer to."""
        used: set[str] = set()
        for item in self._api.list(names.REPLICASETS, namespace, labels=_selector(service)):
            if int(path(item, "spec", "replicas") or 0) or int(path(item, "status", "replicas") or 0):
                used |= manifests.config_of(path(item, "spec", "template", "spec") or {})
        return used

    def owned(self, service: ServiceRef, namespaces: Sequence[str]) -> list[tuple[str, str]]:
        """(namespace, kind/name) of everything in these namespaces that is the service's; "" means the whole cluster.
        Raises Rejected, Unavailable: what cannot be looked for is not gone."""
        found = []
        for namespace in namespaces:
            for resource in names.DEPLOYABLE:
                try:
                    items = self._api.list(resource, namespace, labels=_selector(service))
                except NotFound:
                    continue  # not every cluster serves every kind
                except Rejected as error:
                    if error.code != "forbidden" or resource == names.DEPLOYMENTS:
                        raise
                    continue  # an account that may not see a kind has made none of it
                found += [
                    (str(path(one, "metadata", "namespace")), f"{resource.kind}/{path(one, 'metadata', 'name')}")
                    for one in items
                ]
        return found

    def delete(self, namespace: str, what: str) -> None:
        """Ask for the end of one object, given as kind/name."""
        kind, _, name = what.partition("/")
        self._api.delete(next(one for one in names.DEPLOYABLE if one.kind == kind), namespace, name)


def _owner(live: Object) -> str | None:
    """The key of the service whose mark it carries; None: no portal made it."""
    return (path(live, "metadata", "labels") or {}).get(names.SERVICE)


def _still_there(manifest: Manifest) -> Unavailable:
    return Unavailable(S("%(what)s is still being deleted.", what=manifests.title(manifest)))


def _refuse_foreign(live: Object, manifest: Manifest, wanted: Wanted) -> None:
    """An object of that name that is another service's, or a Deployment that is nobody's here, is left alone."""
    what, owner = manifests.title(manifest), _owner(live)
    if owner == wanted.service.key:
        return
    if owner is not None:
        raise Conflict(S("%(what)s belongs to another service or another portal.", what=what), code="foreign")
    if manifest["kind"] == "Deployment" and not wanted.take_over:
        sentence = S("The namespace has a %(what)s that this portal did not make; rename or remove it.", what=what)
        raise Conflict(sentence, code="foreign")


def _refusal(answer: Answer, namespace: str) -> AppError:
    message = str(status_of(answer.body).get("message") or "")
    if answer.status == 404 and f'namespaces "{namespace}" not found' in message:
        return Rejected(
            S("The cluster has no namespace “%(name)s”.", name=namespace), evidence=message, code="no_namespace"
        )
    if answer.status == 403 and "is being terminated" in message:
        return Rejected(
            S("The namespace “%(name)s” is being deleted.", name=namespace), evidence=message, code="no_namespace"
        )
    if answer.status == 422 and "field is immutable" in message and "spec.selector" in message:
        sentence = S(
            "The Deployment that is there chooses other pods (its selector); that cannot be changed: remove it."
        )
        return Conflict(sentence, code="foreign")
    if answer.status == 409:
        return Unavailable(S("The object was changed by somebody else at the same moment."), evidence=message[:2000])
    return judge(answer)


def _resource(manifest: Mapping[str, Any]) -> names.Resource:
    found = names.resource_of(manifest)
    if found is None:
        raise Invalid(
            S("Objects of kind “%(kind)s” are not deployed by the portal.", kind=str(manifest.get("kind"))[:60])
        )
    return found


def _selector(service: ServiceRef) -> str:
    return f"{names.SERVICE}={service.key},{names.GROUP}={service.group}"


def _adoption_sentence(what: str) -> Sentence:
    return S(
        "%(what)s is there already and no portal made it: it becomes a part of this service, and is deleted with it.",
        what=what,
    )


def _conflict_sentence(one: FieldConflict) -> Sentence:
    return S(
        "%(field)s of %(what)s belongs to “%(owner)s”, who set it; it would have to be taken over.",
        field=one.field, what=one.what, owner=one.owner,
    )  # fmt: skip


def _nowhere_sentence(what: str) -> Sentence:
    return S(
        "The selector of %(what)s asks for labels that no pod of this manifest has: nothing that is deployed here answers there.",
        what=what,
    )


def _conflicts_sentence(met: Sequence[FieldConflict]) -> Sentence:
    fields = ", ".join(f"{one.what} {one.field} ({one.owner})" for one in met[:5])
    return S(
        "Somebody else manages what this deployment would set: %(fields)s. Take it over, or leave it out of the configuration.",
        fields=fields,
    )
