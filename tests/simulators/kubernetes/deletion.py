"""Deletion: graceful for pods, by policy for what owns others, wholly for namespaces; and the collector of garbage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import clock, status
from .kinds import ALL, NAMESPACES, PODS, Kind, Object
from .objects import Objects
from .store import Change, Key, Stored

if TYPE_CHECKING:
    from .controllers import Controllers

FOREGROUND = "foregroundDeletion"


class Deletion:
    """`dependents`: by the uid of the owner. Follows the store."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.store = objects.store
        self.controllers: Controllers | None = None
        self._dependents: dict[str, dict[tuple[Kind, Key], None]] = {}
        self.store.listeners.append(self.heard)

    def dependents(self, uid: str) -> Iterator[tuple[Kind, Stored]]:
        for kind, key in list(self._dependents.get(uid, ())):
            found = self.store.tables[kind].get(key)
            if found is not None:
                yield kind, found

    def of_kind(self, uid: str, kind: Kind) -> list[Stored]:
        return [stored for each, stored in self.dependents(uid) if each is kind]

    def delete(self, kind: Kind, key: Key, options: Object, *, dry: bool = False) -> Object:
        """The answer: the object as it is now, or a Status."""
        live = self.objects.get(kind, *key)
        self._preconditions(kind, live.obj, options.get("preconditions") or {})
        policy = options.get("propagationPolicy") or "Background"
        if dry:
            return live.obj
        if kind is NAMESPACES:
            return self.end_namespace(key[1]).obj
        if kind is PODS:
            return self._pod(live, options.get("gracePeriodSeconds"))
        if policy == "Foreground":
            return self._mark(kind, live, [FOREGROUND]).obj
        if policy == "Orphan":
            for each, dependent in self.dependents(live.obj["metadata"]["uid"]):
                new = dependent.thaw()
                new["metadata"].pop("ownerReferences", None)
                self.objects.write(each, new)
        if _finalizers(live.obj):
            return self._mark(kind, live, []).obj
        gone = self.store.remove(kind, key)
        details: Object = {"name": key[1]} | ({"group": kind.group} if kind.group else {})
        return status.success(details | {"kind": kind.plural, "uid": gone.obj["metadata"]["uid"]})

    def _preconditions(self, kind: Kind, live: Object, wanted: Object) -> None:
        for name in ("uid", "resourceVersion"):
            if wanted.get(name) and wanted[name] != live["metadata"][name]:
                said = (
                    f'Operation cannot be fulfilled on {kind.resource} "{live["metadata"]["name"]}": the {name} in the '
                    f"precondition ({wanted[name]}) does not match the {name} in record ({live['metadata'][name]}). "
                    "The object might have been deleted and then recreated"
                )
                raise status.Refused(409, "Conflict", said, {"name": live["metadata"]["name"], "kind": kind.plural})

    def _mark(self, kind: Kind, live: Stored, finalizers: list[str]) -> Stored:
        if "deletionTimestamp" in live.obj["metadata"] and not set(finalizers) - set(_finalizers(live.obj)):
            return live
        new = live.thaw()
        metadata = new["metadata"]
        metadata["deletionTimestamp"] = metadata.get("deletionTimestamp") or clock.now()
        metadata["deletionGracePeriodSeconds"] = 0
        if kind.generation:
            metadata["generation"] = metadata.get("generation", 0) + 1
        metadata["finalizers"] = list(dict.fromkeys([*_finalizers(live.obj), *finalizers]))
        if not metadata["finalizers"]:
            del metadata["finalizers"]
        stored = self.store.put(kind, new)
        if FOREGROUND in finalizers:
            self._later(kind, (metadata.get("namespace", ""), metadata["name"]))
        return stored

    def _pod(self, live: Stored, grace: int | None) -> Object:
        metadata = live.obj["metadata"]
        if grace is None:
            grace = live.obj["spec"].get("terminationGracePeriodSeconds", 30)
        ended = (live.obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if grace == 0 or not live.obj["spec"].get("nodeName") or (ended and not _finalizers(live.obj)):
            return self.store.remove(PODS, (metadata["namespace"], metadata["name"])).obj
        if "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds", grace) <= grace:
            return live.obj
        new = live.thaw()
        new["metadata"] |= {
            "deletionTimestamp": clock.stamp(time.time() + grace), "deletionGracePeriodSeconds": grace,
            "generation": metadata.get("generation", 1) + 1,
        }  # fmt: skip
        return self.store.put(PODS, new).obj

    def end_namespace(self, name: str) -> Stored:
        live = self.objects.get(NAMESPACES, "", name)
        if "deletionTimestamp" in live.obj["metadata"]:
            return live
        new = live.thaw()
        new["metadata"]["deletionTimestamp"] = clock.now()
        new["status"]["phase"] = "Terminating"
        stored = self.store.put(NAMESPACES, new)
        self._later(NAMESPACES, ("", name))
        return stored

    # -- the collector ----------------------------------------------------------------------------------------------

    def heard(self, change: Change) -> None:
        metadata = change.stored.obj["metadata"]
        before = change.before.obj["metadata"].get("ownerReferences") or () if change.before is not None else ()
        owners = metadata.get("ownerReferences") or ()
        if change.type == "DELETED" or (before and before != owners):
            for owner in before:
                self._lost(owner["uid"], change)
        if change.type != "DELETED":
            for owner in owners:
                self._dependents.setdefault(owner["uid"], {})[change.kind, change.key] = None
        if change.type != "MODIFIED":
            for owner in owners:
                self._owner_again(owner, change.key[0])
        if change.type == "DELETED" and metadata["uid"] in self._dependents:
            self._later(change.kind, change.key, metadata["uid"])
        if change.type == "DELETED" and change.kind is not NAMESPACES and change.key[0]:
            home = self.store.get(NAMESPACES, "", change.key[0])
            if home is not None and "deletionTimestamp" in home.obj["metadata"]:
                self._later(NAMESPACES, ("", change.key[0]))

    def _lost(self, uid: str, change: Change) -> None:
        held = self._dependents.get(uid, {})
        held.pop((change.kind, change.key), None)
        if not held:
            self._dependents.pop(uid, None)

    def _owner_again(self, owner: Object, namespace: str) -> None:
        for kind in ALL:
            if kind.name == owner["kind"] and kind.api_version == owner["apiVersion"]:
                found = self.store.get(kind, namespace, owner["name"])
                if found is not None and FOREGROUND in _finalizers(found.obj):
                    self._later(kind, (namespace, owner["name"]))

    def _later(self, kind: Kind, key: Key, orphaned: str = "") -> None:
        if self.controllers is not None:
            self.controllers.later("garbage", (kind, key, orphaned))

    def collect(self, kind: Kind, key: Key, orphaned: str) -> None:
        if kind is NAMESPACES:
            self._empty_namespace(key[1])
            return
        if orphaned:
            for each, dependent in list(self.dependents(orphaned)):
                self._delete_quietly(each, dependent, {"propagationPolicy": "Background"})
            return
        live = self.store.tables[kind].get(key)
        if live is None or FOREGROUND not in _finalizers(live.obj):
            return
        left = [
            (each, dependent)
            for each, dependent in self.dependents(live.obj["metadata"]["uid"])
            if _blocks(dependent.obj, live.obj["metadata"]["uid"])
        ]
        for each, dependent in left:
            if "deletionTimestamp" not in dependent.obj["metadata"]:
                self._delete_quietly(each, dependent, {"propagationPolicy": "Foreground"})
        if left:
            return
        if set(_finalizers(live.obj)) == {FOREGROUND}:
            self.store.remove(kind, key)
        else:
            new = live.thaw()
            new["metadata"]["finalizers"].remove(FOREGROUND)
            self.store.put(kind, new)

    def _empty_namespace(self, name: str) -> None:
        left = False
        for kind in ALL:
            if not kind.namespaced:
                continue
            for stored in list(self.store.all(kind, name)):
                if "deletionTimestamp" not in stored.obj["metadata"]:
                    self._delete_quietly(kind, stored, {"propagationPolicy": "Background"})
                left = left or self.store.get(kind, name, stored.obj["metadata"]["name"]) is not None
        if not left and self.store.get(NAMESPACES, "", name) is not None:
            self.store.remove(NAMESPACES, ("", name))

    def _delete_quietly(self, kind: Kind, stored: Stored, options: Object) -> None:
        metadata = stored.obj["metadata"]
        if self.store.get(kind, metadata.get("namespace", ""), metadata["name"]) is not None:
            self.delete(kind, (metadata.get("namespace", ""), metadata["name"]), options)


def _finalizers(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def _blocks(obj: Object, uid: str) -> bool:
    owners = obj["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)
