"""What the fields of the built-in kinds are: read from the official client's models, completed by what server-side apply
needs to know of lists and maps (which are merged by key, which are sets, which are replaced as a whole).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client

from .kinds import Kind

_KEYED = {
    "V1PodSpec.containers": ("name",),
    "V1PodSpec.initContainers": ("name",),
    "V1PodSpec.ephemeralContainers": ("name",),
    "V1PodSpec.volumes": ("name",),
    "V1PodSpec.imagePullSecrets": ("name",),
    "V1PodSpec.hostAliases": ("ip",),
    "V1PodSpec.resourceClaims": ("name",),
    "V1PodSpec.topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "V1Container.env": ("name",),
    "V1Container.ports": ("containerPort", "protocol"),
    "V1Container.volumeMounts": ("mountPath",),
    "V1Container.volumeDevices": ("devicePath",),
    "V1ResourceRequirements.claims": ("name",),
    "V1ServiceSpec.ports": ("port", "protocol"),
    "V1ObjectMeta.ownerReferences": ("uid",),
    "V1PodStatus.conditions": ("type",),
    "V1PodStatus.podIPs": ("ip",),
    "V1DeploymentStatus.conditions": ("type",),
    "V1ReplicaSetStatus.conditions": ("type",),
    "V1StatefulSetStatus.conditions": ("type",),
    "V1NamespaceStatus.conditions": ("type",),
    "V1NodeStatus.conditions": ("type",),
    "V1NodeStatus.addresses": ("type",),
    "V1ServiceStatus.conditions": ("type",),
    "V1ServiceAccount.secrets": ("name",),
    "V2HorizontalPodAutoscalerStatus.conditions": ("type",),
}
_SETS = {"V1ObjectMeta.finalizers"}
_ATOMIC = {
    "V1LabelSelector", "V1SecretKeySelector", "V1ConfigMapKeySelector", "V1ObjectFieldSelector", "V1NodeSelector",
    "V1ResourceFieldSelector", "V1ObjectReference", "V1LocalObjectReference", "V2CrossVersionObjectReference",
    "V1TypedLocalObjectReference", "V1OwnerReference",
}  # fmt: skip
_ATOMIC_FIELDS = {"V1PodSpec.nodeSelector", "V1ServiceSpec.selector", "V1ReplicationControllerSpec.selector"}
DEFAULT_KEYS = {"protocol": "TCP"}
# Fields that are there, if empty, in every object that Go writes.
ALWAYS: dict[str, Mapping[str, Any]] = {
    "": {"spec": {}, "status": {}},
    "Deployment": {
        "spec": {"selector": None, "template": {"metadata": {}, "spec": {"containers": []}}, "strategy": {}}
    },
    "ReplicaSet": {"spec": {"selector": None, "template": {"metadata": {}, "spec": {"containers": []}}}},
    "StatefulSet": {"spec": {"selector": None, "template": {"metadata": {}, "spec": {"containers": []}}}},
    "Pod": {"spec": {"containers": []}},
}


@dataclass(eq=False)
class Type:
    """`form`: scalar, struct, map, list (replaced as a whole), keyed, set, atomic, any (a custom resource's)."""

    form: str
    name: str = ""
    fields: dict[str, Type] = field(default_factory=dict)
    item: Type | None = None
    keys: tuple[str, ...] = ()

    def of(self, name: str) -> Type:
        if self.form == "struct":
            return self.fields.get(name, ANY)
        return self.item or ANY


ANY = Type("any")
_SCALARS = {"str": "string", "bytes": "string", "int": "integer", "float": "number", "bool": "boolean"}  # bytes: base64


@functools.cache
def type_of(kind: Kind) -> Type:
    if kind.model:
        return _model(kind.model)
    return Type("struct", kind.name, {"apiVersion": Type("scalar", "string"), "kind": Type("scalar", "string"),
                                     "metadata": _model("V1ObjectMeta"), "spec": ANY, "status": ANY})  # fmt: skip


@functools.cache
def _model(name: str) -> Type:
    made = Type("atomic" if name in _ATOMIC else "struct", name)
    model = getattr(client, name)
    for attribute, text in model.openapi_types.items():
        json_name = model.attribute_map[attribute]
        made.fields[json_name] = _field(f"{name}.{json_name}", text)
    return made


class _Lazy(Type):
    """A model that is looked at when it is needed: some contain themselves."""

    def __init__(self, name: str) -> None:
        self.form = "atomic" if name in _ATOMIC else "struct"
        self.name = name
        self.item = None
        self.keys = ()

    @functools.cached_property
    def fields(self) -> dict[str, Type]:  # type: ignore[override]
        return _model(self.name).fields


def _field(path: str, text: str) -> Type:
    word, _, inner = text.partition("[") if "[" in text else text.partition("(")
    if word.lower() == "list":
        item = _field("", inner[:-1])
        if path in _KEYED:
            return Type("keyed", item=item, keys=_KEYED[path])
        return Type("set" if path in _SETS else "list", item=item)
    if word.lower() == "dict":
        item = _field("", inner[:-1].partition(",")[2].strip())
        return Type("atomic" if path in _ATOMIC_FIELDS else "map", item=item)
    if text in _SCALARS:
        return Type("scalar", _SCALARS[text])
    if text in ("object", "datetime"):
        return Type("scalar", "")
    return _Lazy(text)


def problems(value: Any, type_: Type, at: str = "") -> list[str]:
    """What is not declared, and what is of the wrong type; in the words of server-side apply."""
    if value is None or type_.form == "any":
        return []
    if type_.form == "scalar":
        return _wrong_scalar(value, type_.name, at)
    if type_.form in ("list", "keyed", "set"):
        if not isinstance(value, list):
            return [f"{at}: expected list, got {_word(value)}"]
        item = type_.item or ANY
        return [said for number, each in enumerate(value) for said in problems(each, item, f"{at}[{number}]")]
    if not isinstance(value, dict):
        return [f"{at}: expected map, got {_word(value)}"]
    found: list[str] = []
    for name, each in value.items():
        if type_.fields and name not in type_.fields:
            found.append(f"{at}.{name}: field not declared in schema")
        else:
            found += problems(each, type_.fields.get(name) or type_.item or ANY, f"{at}.{name}")
    return found


def _wrong_scalar(value: Any, wanted: str, at: str) -> list[str]:
    right = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
    }.get(wanted, True)
    word = {"integer": "numeric (int or float)", "number": "numeric (int or float)"}.get(wanted, wanted)
    return [] if right else [f"{at}: expected {word}, got {_word(value)}"]


def _word(value: Any) -> str:
    return {dict: "map", list: "list", str: "string", bool: "boolean"}.get(type(value), "numeric")
