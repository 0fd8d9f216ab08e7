"""The deployment controller: replica sets of a deployment, and the rollout from one to the next."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from . import clock, rollout
from .kinds import DEPLOYMENTS, REPLICASETS, Object
from .objects import How
from .rollout import REVISION
from .sizes import surge, unavailable
from .store import Stored

if TYPE_CHECKING:
    from .server import Kubernetes

DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
HASH = "pod-template-hash"


class Deployments:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.objects = kubernetes.objects
        self.store = kubernetes.store
        self.status = rollout.Rollouts(kubernetes)

    def sync(self, namespace: str, name: str) -> None:
        live = self.store.get(DEPLOYMENTS, namespace, name)
        if live is None or "deletionTimestamp" in live.obj["metadata"]:
            return
        sets = self._sets(live.obj)
        new = self._find(live.obj, sets)
        if live.obj["spec"].get("paused") or self._is_scaled(live.obj, sets):
            self._bring_to_size(live.obj, new, sets)
            self.status.write(live, self._sets(live.obj), new)
            return
        if new is None and live.obj["spec"]["strategy"]["type"] == "Recreate" and self._clear_away(live.obj, sets):
            self.status.write(live, sets, new)
            return
        if new is None:
            new = self._create(live, sets)
        else:
            self._adopt(live, new, sets)
        self._roll(namespace, name)

    def _roll(self, namespace: str, name: str) -> None:
        live = self.store.get(DEPLOYMENTS, namespace, name)
        assert live is not None
        sets = self.kubernetes.deletion.of_kind(live.obj["metadata"]["uid"], REPLICASETS)
        new = self._find(live.obj, sets)
        old = [each for each in sets if each is not new]
        if live.obj["spec"]["strategy"]["type"] == "Recreate":
            if not self._clear_away(live.obj, old) and new is not None:
                self._scale(live.obj, new, live.obj["spec"]["replicas"])
        elif new is not None and not self._grow(live.obj, new, sets):
            self._shrink(live.obj, new, old)
            sets = self.kubernetes.deletion.of_kind(live.obj["metadata"]["uid"], REPLICASETS)
            new = self._find(live.obj, sets)
            assert new is not None
            self._grow(live.obj, new, sets)
        sets = self.kubernetes.deletion.of_kind(live.obj["metadata"]["uid"], REPLICASETS)
        new = self._find(live.obj, sets)
        self.status.write(live, sets, new)
        latest = self.store.get(DEPLOYMENTS, namespace, name)
        if latest is not None and rollout.complete(latest.obj):
            self._forget(latest.obj, [each for each in sets if each is not new])

    def _sets(self, obj: Object) -> list[Stored]:
        sets = self.kubernetes.deletion.of_kind(obj["metadata"]["uid"], REPLICASETS)
        return [each for each in sets if "deletionTimestamp" not in each.obj["metadata"]]

    # -- replica sets -----------------------------------------------------------------------------------------------

    def _find(self, obj: Object, sets: list[Stored]) -> Stored | None:
        wanted = _plain(obj["spec"]["template"])
        alike = [each for each in sets if _plain(each.obj["spec"]["template"]) == wanted]
        return min(alike, key=lambda each: each.obj["metadata"]["creationTimestamp"], default=None)

    def _create(self, live: Stored, sets: list[Stored]) -> Stored:
        obj = live.obj
        metadata, spec = obj["metadata"], obj["spec"]
        word = template_hash(spec["template"])
        name = f"{metadata['name']}-{word}"
        revision = str(max([revision_of(each.obj) for each in sets], default=0) + 1)
        template = orjson.loads(orjson.dumps(spec["template"]))
        template["metadata"].setdefault("labels", {})[HASH] = word
        selector = {"matchLabels": {**(spec["selector"].get("matchLabels") or {}), HASH: word}}
        made: Object = {
            "metadata": {
                "name": name, "labels": dict(template["metadata"]["labels"]),
                "annotations": self._annotations(obj) | {REVISION: revision},
                "ownerReferences": [_owner(obj)],
            },
            "spec": {"replicas": self._first_size(obj, sets), "selector": selector, "template": template},
        }  # fmt: skip
        if spec.get("minReadySeconds"):
            made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        new = self.objects.create(REPLICASETS, metadata["namespace"], made, How("kube-controller-manager"))
        if new.obj["spec"]["replicas"]:
            self._told(obj, "up", name, 0, new.obj["spec"]["replicas"])
        self.status.began(live, revision, f'Created new replica set "{name}"', "NewReplicaSetCreated")
        return new

    def _first_size(self, obj: Object, sets: list[Stored]) -> int:
        """Together with what there is, no more than the surge allows."""
        replicas: int = obj["spec"]["replicas"]
        now = sum(each.obj["spec"]["replicas"] for each in sets)
        if obj["spec"]["strategy"]["type"] == "Recreate" or not now:
            return replicas
        return max(0, min(replicas, replicas + surge(obj) - now))

    def _annotations(self, obj: Object) -> dict[str, str]:
        replicas = obj["spec"]["replicas"]
        skipped = ("kubectl.kubernetes.io/last-applied-configuration", REVISION)
        own = {key: value for key, value in (obj["metadata"].get("annotations") or {}).items() if key not in skipped}
        return own | {DESIRED: str(replicas), MOST: str(replicas + surge(obj))}

    def _adopt(self, live: Stored, new: Stored, sets: list[Stored]) -> None:
        """An earlier revision becomes the latest again."""
        latest = max(revision_of(each.obj) for each in sets)
        revision = str(latest)
        if revision_of(new.obj) < latest:
            revision = str(latest + 1)
        before = (live.obj["metadata"].get("annotations") or {}).get(REVISION)
        annotations = (
            (new.obj["metadata"].get("annotations") or {}) | self._annotations(live.obj) | {REVISION: revision}
        )
        if annotations != new.obj["metadata"].get("annotations"):
            changed = new.thaw()
            changed["metadata"]["annotations"] = annotations
            self.objects.write(REPLICASETS, changed)
        if before != revision:
            name = new.obj["metadata"]["name"]
            self.status.began(live, revision, f'Found new replica set "{name}"', "FoundNewReplicaSet")

    def _forget(self, obj: Object, old: list[Stored]) -> None:
        empty = [each for each in old if not each.obj["spec"]["replicas"] and not each.obj["status"].get("replicas")]
        empty.sort(key=lambda each: revision_of(each.obj))
        for each in empty[: max(0, len(empty) - obj["spec"].get("revisionHistoryLimit", 10))]:
            metadata = each.obj["metadata"]
            self.kubernetes.deletion.delete(REPLICASETS, (metadata["namespace"], metadata["name"]), {})

    # -- sizes ------------------------------------------------------------------------------------------------------

    def _scale(self, obj: Object, each: Stored, replicas: int) -> bool:
        live = self.store.get(REPLICASETS, each.obj["metadata"]["namespace"], each.obj["metadata"]["name"])
        if live is None:
            return False
        before = live.obj["spec"]["replicas"]
        changed = live.thaw()
        changed["spec"]["replicas"] = replicas
        changed["metadata"]["annotations"] |= {DESIRED: str(obj["spec"]["replicas"])}
        changed["metadata"]["annotations"] |= {MOST: str(obj["spec"]["replicas"] + surge(obj))}
        if changed == live.obj:
            return False
        self.objects.write(REPLICASETS, changed)
        if before == replicas:
            return False
        self._told(obj, "up" if replicas > before else "down", live.obj["metadata"]["name"], before, replicas)
        return True

    def _told(self, obj: Object, way: str, name: str, before: int, after: int) -> None:
        said = f"Scaled {way} replica set {name} from {before} to {after}"
        self.kubernetes.events.tell(DEPLOYMENTS, obj, "ScalingReplicaSet", said, by="deployment-controller")

    def _is_scaled(self, obj: Object, sets: list[Stored]) -> bool:
        """Whether the number of replicas changed: what runs is brought to it before a new template is looked at."""
        wanted = str(obj["spec"]["replicas"])
        active = [each for each in sets if each.obj["spec"]["replicas"]]
        return any(wanted != each.obj["metadata"]["annotations"].get(DESIRED, wanted) for each in active)

    def _bring_to_size(self, obj: Object, new: Stored | None, sets: list[Stored]) -> None:
        """One replica set gets the whole number; of several each its share, the rounding to the largest."""
        active = [each for each in sets if each.obj["spec"]["replicas"]]
        if len(active) < 2:
            only = active[0] if active else new
            if only is not None:
                self._scale(obj, only, obj["spec"]["replicas"])
            return
        now = sum(each.obj["spec"]["replicas"] for each in active)
        allowed = obj["spec"]["replicas"] and obj["spec"]["replicas"] + surge(obj)
        active.sort(key=lambda each: each.obj["spec"]["replicas"], reverse=True)
        sizes = [each.obj["spec"]["replicas"] * allowed // now for each in active]
        sizes[0] += allowed - sum(sizes)
        for each, size in zip(active, sizes, strict=True):
            self._scale(obj, each, size)

    def _clear_away(self, obj: Object, old: list[Stored]) -> bool:
        """Recreate: whether old pods are still there."""
        for each in old:
            self._scale(obj, each, 0)
        owned = (each.obj["metadata"]["uid"] for each in old)
        return any(self.kubernetes.replicasets.pods(uid, ending=True) for uid in owned)

    def _grow(self, obj: Object, new: Stored, sets: list[Stored]) -> bool:
        replicas, size = obj["spec"]["replicas"], new.obj["spec"]["replicas"]
        if size >= replicas:
            return self._scale(obj, new, replicas)
        room = replicas + surge(obj) - sum(each.obj["spec"]["replicas"] for each in sets)
        return room > 0 and self._scale(obj, new, size + min(room, replicas - size))

    def _shrink(self, obj: Object, new: Stored, old: list[Stored]) -> None:
        live = self.store.get(REPLICASETS, new.obj["metadata"]["namespace"], new.obj["metadata"]["name"])
        assert live is not None
        least = obj["spec"]["replicas"] - unavailable(obj)
        lacking = live.obj["spec"]["replicas"] - live.obj["status"].get("availableReplicas", 0)
        total = live.obj["spec"]["replicas"] + sum(each.obj["spec"]["replicas"] for each in old)
        removable = total - least - lacking
        old = sorted(old, key=lambda each: each.obj["metadata"]["creationTimestamp"])
        sizes = {each.obj["metadata"]["name"]: each.obj["spec"]["replicas"] for each in old}
        for each in old:  # those that do not serve first
            sick = max(0, sizes[each.obj["metadata"]["name"]] - each.obj["status"].get("availableReplicas", 0))
            fewer = max(0, min(removable, sick))
            removable -= fewer
            sizes[each.obj["metadata"]["name"]] -= fewer
        serving = live.obj["status"].get("availableReplicas", 0)
        serving += sum(each.obj["status"].get("availableReplicas", 0) for each in old)
        spare = serving - least
        for each in old:
            fewer = max(0, min(spare, removable, sizes[each.obj["metadata"]["name"]]))
            spare -= fewer
            removable -= fewer
            sizes[each.obj["metadata"]["name"]] -= fewer
            self._scale(obj, each, sizes[each.obj["metadata"]["name"]])


def _owner(obj: Object) -> Object:
    metadata = obj["metadata"]
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def _plain(template: Object) -> Any:
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH}
    return labels, metadata.get("annotations") or {}, template["spec"]


def template_hash(template: Object) -> str:
    word = hashlib.sha256(orjson.dumps(_plain(template), option=orjson.OPT_SORT_KEYS)).digest()[:4]
    return clock.safe(str(int.from_bytes(word, "big")))


def revision_of(obj: Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))
