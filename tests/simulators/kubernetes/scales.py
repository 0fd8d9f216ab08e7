"""The scale subresource: a deployment's replicas as an object of its own."""

from __future__ import annotations

from . import status
from .kinds import Kind, Object
from .managers import updated
from .objects import How, Objects
from .patches import merged
from .selectors import spoken


class Scales:
    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return self._scale(self.objects.get(kind, namespace, name).obj)

    def patch(self, kind: Kind, namespace: str, name: str, patch: Object, how: How) -> Object:
        live = self.objects.get(kind, namespace, name)
        wanted = merged(self._scale(live.obj), patch)
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        version = wanted["metadata"].get("resourceVersion")
        if version and version != live.obj["metadata"]["resourceVersion"]:
            raise status.outdated(kind, name)
        if not isinstance(replicas, int) or replicas < 0:
            causes = [
                status.cause(
                    "FieldValueInvalid",
                    f"Invalid value: {replicas}: must be greater than or equal to 0",
                    "spec.replicas",
                )
            ]
            raise status.invalid(kind, name, causes)
        if replicas == live.obj["spec"].get("replicas"):
            return self._scale(live.obj)
        new = live.thaw()
        new["spec"]["replicas"] = replicas
        new["metadata"]["generation"] = live.obj["metadata"].get("generation", 0) + 1
        updated(kind, live.obj, new, how.manager, "scale")
        if how.dry:
            return self._scale(new)
        return self._scale(self.objects.store.put(kind, new).obj)

    def _scale(self, obj: Object) -> Object:
        metadata, spec = obj["metadata"], obj["spec"]
        kept = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
        return {
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept,
            "spec": {"replicas": spec["replicas"]} if spec["replicas"] else {},
            "status": {"replicas": (obj.get("status") or {}).get("replicas", 0), "selector": spoken(spec["selector"])},
        }  # fmt: skip
