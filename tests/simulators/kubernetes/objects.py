"""Create, read, update, patch: what the API server does with one object, for clients and for its controllers alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from . import clock, defaults, status
from .admission import Admission
from .kinds import NAMESPACES, PODS, Kind, Object
from .managers import Applied, same, updated
from .patches import merged, pointed, strategic
from .schema import problems, type_of
from .store import Store, Stored
from .validation import check

APPLY = "application/apply-patch+yaml"
CONTROLLER = "kube-controller-manager"
ETCD_LIMIT = 1536 * 1024


@dataclass(frozen=True, slots=True)
class How:
    """What the query of a write says."""

    manager: str = "unknown"
    dry: bool = False
    force: bool = False
    strict: str = "Warn"
    subresource: str = ""


class Objects:
    """`warnings` are those of the latest write."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self.store = store
        self.admission = admission
        self.warnings: list[str] = []

    def get(self, kind: Kind, namespace: str, name: str) -> Stored:
        found = self.store.get(kind, namespace, name)
        if found is None:
            raise status.not_found(kind, name)
        return found

    # -- whole objects ----------------------------------------------------------------------------------------------

    def create(self, kind: Kind, namespace: str, obj: Object, how: How) -> Stored:
        obj = self._decoded(kind, obj, how)
        metadata = obj.setdefault("metadata", {})
        self._right_place(kind, namespace, metadata)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self.store.unused(kind, namespace, metadata["generateName"])
        name = metadata.get("name", "")
        if not name:
            raise status.invalid(
                kind,
                "",
                [
                    status.cause(
                        "FieldValueRequired", "Required value: name or generateName is required", "metadata.name"
                    )
                ],
            )
        self._home(kind, namespace, name)
        if self.store.get(kind, namespace, name) is not None:
            raise status.exists(kind, name)
        if kind.status:
            obj.pop("status", None)
        metadata.pop("managedFields", None)
        self._born(kind, namespace, obj)
        given = obj.pop("status", None) if kind.status else None
        updated(kind, None, obj, how.manager)
        if given is not None:
            obj["status"] = given
        if kind is PODS:
            defaults.admit(obj)
        return self._keep(kind, obj, None, how)

    def replace(self, kind: Kind, namespace: str, name: str, obj: Object, how: How) -> Stored:
        live = self.get(kind, namespace, name)
        obj = self._decoded(kind, obj, how)
        metadata = obj.setdefault("metadata", {})
        self._right_place(kind, namespace, metadata)
        if metadata.get("name", name) != name:
            raise status.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        return self._change(kind, live, obj, how)

    def patch(self, kind: Kind, namespace: str, name: str, media: str, body: bytes, how: How) -> tuple[Stored, bool]:
        """And whether it was created."""
        if media == APPLY:
            return self._apply(kind, namespace, name, body, how)
        live = self.get(kind, namespace, name)
        given = self.parse(body)
        if media == "application/merge-patch+json":
            new = merged(live.thaw(), given)
        elif media == "application/strategic-merge-patch+json" and kind.model:
            new = strategic(live.thaw(), given, type_of(kind))
        elif media == "application/json-patch+json":
            new = pointed(live.thaw(), given)
        else:
            raise status.Refused(
                415, "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: "
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )  # fmt: skip
        if not (isinstance(given, dict) and (given.get("metadata") or {}).get("resourceVersion")):
            new["metadata"]["resourceVersion"] = str(live.revision)
        return self._change(kind, live, self._decoded(kind, new, how), how), False

    def parse(self, body: bytes) -> Any:
        if body.startswith(b"k8s\0"):
            said = "the simulator reads JSON and YAML, not protocol buffers"
            raise status.Refused(415, "UnsupportedMediaType", said)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            try:
                return yaml.load(body, yaml.CSafeLoader)
            except yaml.YAMLError as wrong:
                raise status.bad_request(f"error decoding YAML: {wrong}") from None

    # -- server-side apply ------------------------------------------------------------------------------------------

    def _apply(self, kind: Kind, namespace: str, name: str, body: bytes, how: How) -> tuple[Stored, bool]:
        config = self.parse(body)
        if not isinstance(config, dict):
            raise status.bad_request("error decoding YAML: not an object")
        wanted = config.get("apiVersion"), config.get("kind")
        if wanted != (kind.api_version, kind.name):
            raise status.bad_request(f"incorrect version specified in apply patch: {wanted[0]}, Kind={wanted[1]}")
        metadata = config.setdefault("metadata", {})
        if "managedFields" in metadata:
            raise status.bad_request("metadata.managedFields must be nil")
        self._right_place(kind, namespace, metadata)
        if metadata.get("name", name) != name:
            raise status.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        metadata["name"] = name
        live = self.store.get(kind, namespace, name)
        if live is None and how.subresource:
            raise status.not_found(kind, name)
        before = live.obj if live else None
        at = f"{namespace}/{name}" if namespace else f"/{name}"
        applied = Applied(kind, before, config, how.manager, force=how.force, at=at)
        new = orjson.loads(orjson.dumps(applied.obj))
        if live is None:
            self._home(kind, namespace, name)
            self._born(kind, namespace, new)
        else:
            self._live_on(kind, live.obj, new, how)
        applied.sign(before, new)
        if kind is PODS and live is None:
            defaults.admit(new)
        return self._keep(kind, new, live, how), live is None

    # -- common steps -----------------------------------------------------------------------------------------------

    def _decoded(self, kind: Kind, obj: Object, how: How) -> Object:
        if not isinstance(obj, dict):
            raise status.bad_request("the body of the request is not an object")
        if obj.get("kind", kind.name) != kind.name or obj.get("apiVersion", kind.api_version) != kind.api_version:
            raise status.bad_request(
                f'{obj.get("kind")} in version "{obj.get("apiVersion")}" cannot be handled as a {kind.name}'
            )
        self.warnings = []
        if how.manager == CONTROLLER:
            return obj  # made of what was looked at before
        for said in problems(obj, type_of(kind)):
            path, _, what = said.partition(": ")
            if "not declared" not in what:
                raise status.bad_request(
                    f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: json: {what} at {path}'
                )
            self.warnings.append(f'unknown field "{path[1:]}"')
            _drop(obj, path[1:])
        if self.warnings and how.strict == "Strict":
            raise status.bad_request("strict decoding error: " + ", ".join(self.warnings))
        if how.strict == "Ignore":
            self.warnings = []
        return obj

    def _right_place(self, kind: Kind, namespace: str, metadata: Object) -> None:
        said = metadata.get("namespace") or namespace
        if kind.namespaced and said != namespace:
            raise status.bad_request(
                f"the namespace of the provided object does not match the namespace sent on the request"
                f" ({said}, {namespace})"
            )

    def _home(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        home = self.store.get(NAMESPACES, "", namespace)
        if home is None:
            raise status.not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in home.obj["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            causes = [
                status.cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
            ]
            raise status.forbidden(kind, name, why, causes)

    def _born(self, kind: Kind, namespace: str, obj: Object) -> None:
        metadata = obj["metadata"]
        for name in ("resourceVersion", "generation", "deletionTimestamp", "selfLink"):
            metadata.pop(name, None)
        metadata |= {"uid": clock.uid(), "creationTimestamp": clock.now()}
        if kind.generation:
            metadata["generation"] = 1
        defaults.fill(kind.name, obj, namespace)
        self.admission.mutate(kind, obj, None)

    def _live_on(self, kind: Kind, live: Object, new: Object, how: How) -> None:
        """What no client decides."""
        old, metadata = live["metadata"], new["metadata"]
        wanted = metadata.get("resourceVersion")
        if wanted and wanted != old["resourceVersion"]:
            raise status.outdated(kind, old["name"])
        if metadata.get("uid", old["uid"]) != old["uid"]:
            raise status.outdated(kind, old["name"])
        for name in (
            "name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
            "deletionGracePeriodSeconds", "generateName", "managedFields", "resourceVersion",
        ):  # fmt: skip
            if name in old:
                metadata[name] = old[name]
            else:
                metadata.pop(name, None)
        if how.subresource == "status":
            for name in [name for name in new if name not in ("status", "metadata")]:
                del new[name]
            new |= {name: value for name, value in live.items() if name not in ("status", "metadata")}
        elif kind.status and "status" in live:
            new["status"] = live["status"]
        elif kind.status:
            new.pop("status", None)
        defaults.fill(kind.name, new, old.get("namespace", ""))
        if kind.generation and new.get("spec") != live.get("spec"):
            metadata["generation"] = old.get("generation", 0) + 1
        if how.subresource != "status":
            self.admission.mutate(kind, new, live)

    def _change(self, kind: Kind, live: Stored, new: Object, how: How) -> Stored:
        self._live_on(kind, live.obj, new, how)
        if same(live.obj, new):
            return live
        updated(kind, live.obj, new, how.manager, how.subresource)
        return self._keep(kind, new, live, how)

    def _keep(self, kind: Kind, new: Object, live: Stored | None, how: How) -> Stored:
        check(kind, new, live.obj if live else None)
        self.admission.judge(kind, new, live.obj if live else None)
        if live is not None and same(live.obj, new) and _owners(live.obj) == _owners(new):
            return live
        if how.dry:
            if live is None:
                new["metadata"].pop("resourceVersion", None)
            ordered = {"kind": kind.name, "apiVersion": kind.api_version, **new}
            return Stored(ordered, orjson.dumps(ordered), live.revision if live else 0)
        if len(orjson.dumps(new)) > ETCD_LIMIT:
            raise status.Refused(500, "", "etcdserver: request is too large")
        ending = "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers")
        if live is not None and ending and kind not in (PODS, NAMESPACES):
            return self.store.remove(kind, (new["metadata"].get("namespace", ""), new["metadata"]["name"]))
        return self.store.put(kind, new)

    # -- for controllers --------------------------------------------------------------------------------------------

    def write(self, kind: Kind, new: Object, manager: str = "kube-controller-manager", subresource: str = "") -> Stored:
        """A controller's update, from a thawed copy: as is, with the ownership that follows from it."""
        metadata = new["metadata"]
        live = self.store.get(kind, metadata.get("namespace", ""), metadata["name"])
        if live is None:
            raise status.not_found(kind, metadata["name"])
        if same(live.obj, new):
            return live
        if kind.generation and new.get("spec") != live.obj.get("spec"):
            metadata["generation"] = live.obj["metadata"].get("generation", 0) + 1
        updated(kind, live.obj, new, manager, subresource)
        return self.store.put(kind, new)


def _owners(obj: Object) -> Any:
    return obj["metadata"].get("managedFields")


def _drop(obj: Any, path: str) -> None:
    names = path.replace("[", ".[").split(".")
    for name in names[:-1]:
        obj = obj[int(name[1:-1])] if name.startswith("[") else obj[name]
    obj.pop(names[-1], None)
