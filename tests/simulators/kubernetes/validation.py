"""What the API server does not accept, in its words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from .kinds import Kind, Object
from .selectors import matches
from .status import cause, invalid

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_POINTER = "(*apps.RollingUpdateDeployment)(0xc01bd51ac0)"


def check(kind: Kind, obj: Object, live: Object | None) -> None:
    """Raises what is wrong with `obj` as a whole."""
    causes = [*_metadata(obj)]
    if kind.name in ("Deployment", "ReplicaSet", "StatefulSet"):
        causes += _workload(kind, obj, live)
    elif kind.name == "Pod":
        causes += _pod_spec(obj["spec"], "spec")
    elif kind.name == "Service":
        causes += _service(obj)
    elif kind.name == "HTTPRoute":
        causes += _route(obj)
    elif kind.name in ("ConfigMap", "Secret"):
        causes += _size(obj)
    if causes:
        raise invalid(kind, obj["metadata"]["name"], causes)


def _metadata(obj: Object) -> Iterator[Object]:
    name = obj["metadata"]["name"]
    if not _LABEL.match(name) or len(name) > 253:
        yield cause("FieldValueInvalid", f'Invalid value: "{name}": {_SUBDOMAIN}', "metadata.name")
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if not re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value) or len(value) > 63:
            said = (
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric characters, '
                "'-', '_' or '.', and must start and end with an alphanumeric character"
            )
            yield cause("FieldValueInvalid", said, "metadata.labels")
        del key
    size = sum(len(key) + len(value) for key, value in (obj["metadata"].get("annotations") or {}).items())
    if size > 256 * 1024:
        yield cause("FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations")


def _go_map(values: dict[str, str]) -> str:
    return "map[string]string{" + ", ".join(f'"{name}":"{value}"' for name, value in sorted(values.items())) + "}"


def _workload(kind: Kind, obj: Object, live: Object | None) -> Iterator[Object]:
    spec = obj["spec"]
    selector = spec.get("selector") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if (spec.get("replicas") or 0) < 0:
        said = f"Invalid value: {spec['replicas']}: must be greater than or equal to 0"
        yield cause("FieldValueInvalid", said, "spec.replicas")
    if not selector:
        yield cause("FieldValueRequired", "Required value", "spec.selector")
    elif not matches(selector, labels):
        said = f"Invalid value: {_go_map(labels)}: `selector` does not match template `labels`"
        yield cause("FieldValueInvalid", said, "spec.template.metadata.labels")
    if live is not None and live["spec"].get("selector") != selector:
        said = (
            f"Invalid value: v1.LabelSelector{{MatchLabels:{_go_map(selector.get('matchLabels') or {})}, "
            "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"
        )
        yield cause("FieldValueInvalid", said, "spec.selector")
    if kind.name == "Deployment":
        yield from _strategy(spec)
    yield from _pod_spec(spec["template"].get("spec") or {}, "spec.template.spec")


def _strategy(spec: Object) -> Iterator[Object]:
    strategy = spec["strategy"]
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        said = (
            f'Unsupported value: apps.DeploymentStrategy{{Type:"{strategy["type"]}", RollingUpdate:{_POINTER}}}: '
            'supported values: "Recreate", "RollingUpdate"'
        )
        yield cause("FieldValueNotSupported", said, "spec.strategy")
    elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
        said = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield cause("FieldValueForbidden", said, "spec.strategy.rollingUpdate")
    elif strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        if str(rolling.get("maxUnavailable")) in ("0", "0%") and str(rolling.get("maxSurge")) in ("0", "0%"):
            said = (
                f"Invalid value: {orjson.dumps(rolling['maxUnavailable']).decode()}: may not be 0 when `maxSurge` is 0"
            )
            yield cause("FieldValueInvalid", said, "spec.strategy.rollingUpdate.maxUnavailable")
    deadline, ready = spec["progressDeadlineSeconds"], spec.get("minReadySeconds") or 0
    if deadline <= ready:
        said = f"Invalid value: {deadline}: must be greater than minReadySeconds"
        yield cause("FieldValueInvalid", said, "spec.progressDeadlineSeconds")


def _pod_spec(spec: Object, at: str) -> Iterator[Object]:
    if not spec.get("containers"):
        yield cause("FieldValueRequired", "Required value", f"{at}.containers")
    volumes = {volume["name"] for volume in spec.get("volumes") or []}
    seen: set[str] = set()
    for number, container in enumerate(spec.get("containers") or []):
        here = f"{at}.containers[{number}]"
        name = container.get("name", "")
        if not name:
            yield cause("FieldValueRequired", "Required value", f"{here}.name")
        elif name in seen:
            yield cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{here}.name")
        seen.add(name)
        if not container.get("image"):
            yield cause("FieldValueRequired", "Required value", f"{here}.image")
        for index, mount in enumerate(container.get("volumeMounts") or []):
            if mount["name"] not in volumes:
                said = f'Not found: "{mount["name"]}"'
                yield cause("FieldValueNotFound", said, f"{here}.volumeMounts[{index}].name")
        yield from _resources(container.get("resources") or {}, here)


def _resources(resources: Object, at: str) -> Iterator[Object]:
    for name, wanted in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(name)
        if limit is not None and quantity(wanted) > quantity(limit):
            said = f'Invalid value: "{wanted}": must be less than or equal to {name} limit of {limit}'
            yield cause("FieldValueInvalid", said, f"{at}.resources.requests")


def _service(obj: Object) -> Iterator[Object]:
    spec = obj["spec"]
    if spec["type"] != "ExternalName" and not spec.get("ports") and spec.get("clusterIP") != "None":
        yield cause("FieldValueRequired", "Required value", "spec.ports")
    for number, port in enumerate(spec.get("ports") or []):
        if not 1 <= (port.get("port") or 0) <= 65535:
            said = f"Invalid value: {port.get('port') or 0}: must be between 1 and 65535, inclusive"
            yield cause("FieldValueInvalid", said, f"spec.ports[{number}].port")
        if len(spec["ports"]) > 1 and not port.get("name"):
            yield cause("FieldValueRequired", "Required value", f"spec.ports[{number}].name")


def _route(obj: Object) -> Iterator[Object]:
    for number, rule in enumerate((obj.get("spec") or {}).get("rules") or []):
        for index, backend in enumerate(rule.get("backendRefs") or []):
            at = f"spec.rules[{number}].backendRefs[{index}].weight"
            if backend["weight"] < 0:
                said = f"Invalid value: {backend['weight']}: {at} in body should be greater than or equal to 0"
                yield cause("FieldValueInvalid", said, at)


def _size(obj: Object) -> Iterator[Object]:
    size = sum(len(value) for value in (obj.get("data") or {}).values())
    if size > 1024 * 1024:
        yield cause("FieldValueTooLong", "Too long: may not be more than 1048576 bytes", "data")


_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "": 1}


def quantity(text: Any) -> float:
    found = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(text))
    return float(found.group(1)) * _UNITS.get(found.group(2), 1) if found else 0.0
