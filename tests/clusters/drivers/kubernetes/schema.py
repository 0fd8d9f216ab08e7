"""What fields Kubernetes knows, from the official client's own models: a typing error in a manifest is found without a server."""

from __future__ import annotations

import re
from typing import Any

from kubernetes import client

TOP = {
    "Deployment": "V1Deployment", "Service": "V1Service", "ConfigMap": "V1ConfigMap", "Secret": "V1Secret",
    "Ingress": "V1Ingress", "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
}  # fmt: skip


def unknown(manifest: dict[str, Any]) -> list[str]:
    """Paths of fields that Kubernetes does not know, or that hold something of another type."""
    return list(_walk(manifest, TOP[manifest["kind"]], manifest["kind"]))


def _walk(value: Any, kind: str, where: str) -> Any:
    if found := re.fullmatch(r"[Ll]ist\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{where}: a list"
            return
        for number, one in enumerate(value):
            yield from _walk(one, found[1], f"{where}[{number}]")
    elif found := re.fullmatch(r"[Dd]ict[\[(]str, (.+)[\])]", kind):
        if not isinstance(value, dict):
            yield f"{where}: an object"
            return
        for name, one in value.items():
            yield from _walk(one, found[1], f"{where}.{name}")
    elif kind in ("str", "bytes", "int", "bool", "float", "object", "datetime"):
        wanted = {"str": str, "bytes": str, "int": int, "bool": bool, "float": int | float}.get(kind, object)
        # The client's models call a number-or-text `object`.
        if not isinstance(value, wanted) or (kind == "int" and isinstance(value, bool)):
            yield f"{where}: {kind}"
    else:
        yield from _fields(value, getattr(client, kind), where)


def _fields(value: Any, model: Any, where: str) -> Any:
    if not isinstance(value, dict):
        yield f"{where}: an object"
        return
    types = {written: model.openapi_types[name] for name, written in model.attribute_map.items()}
    for name, one in value.items():
        if name not in types:
            yield f"{where}.{name}: unknown"
        else:
            yield from _walk(one, types[name], f"{where}.{name}")
