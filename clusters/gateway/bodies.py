"""What callers send, read within limits. What was judged is what is sent on: never the bytes that came, always our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import RawPostDataException

from clusters.drivers.runtime.kubernetes.api import APPLY_PATCH, MERGE_PATCH
from clusters.gateway.paths import Target
from clusters.gateway.statuses import Refused
from fangduoduo_release.common import safe_yaml
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

MAX_BYTES = safe_yaml.MAX_BYTES
JSON, YAML = "application/json", "application/yaml"
STRATEGIC_PATCH, JSON_PATCH = "application/strategic-merge-patch+json", "application/json-patch+json"
PATCHES = frozenset({MERGE_PATCH, STRATEGIC_PATCH, JSON_PATCH})
OPS = frozenset({"add", "replace", "remove", "test"})


def media_type(request: HttpRequest) -> str:
    """The content type without its parameters."""
    return str(request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def raw_of(request: HttpRequest) -> bytes:
    """The body. Raises Refused (413) for more than 1 MiB, before it is taken into memory where its size was told."""
    told = str(request.META.get("CONTENT_LENGTH") or "")
    if told.isdecimal() and int(told) > MAX_BYTES:
        raise _too_large()
    try:
        raw = request.body if told else request.read(MAX_BYTES + 1)  # one in chunks may be of any size
    except RequestDataTooBig as error:
        raise _too_large() from error
    except RawPostDataException as error:  # a form, which somebody read before us
        raise Refused(415, S("Send JSON or YAML with its content type.")) from error
    if len(raw) > MAX_BYTES:
        raise _too_large()
    return raw


def _too_large() -> Refused:
    return Refused(413, S("The body is larger than %(limit)s KiB.", limit=MAX_BYTES // 1024))


def parsed(raw: bytes, kind: str) -> Any:
    """The body as data. Raises Refused: 400 for what cannot be read, 413 for what is too large."""
    if kind in {YAML, APPLY_PATCH}:
        try:
            return safe_yaml.load_one(raw.decode())
        except UnicodeDecodeError as error:
            raise Refused(400, S("The body is not UTF-8.")) from error
        except Invalid as error:
            raise Refused(400, error.sentence) from error
    try:
        value = orjson.loads(raw)
    except ValueError as error:
        raise Refused(400, S("The body is not valid JSON: %(problem)s", problem=str(error)[:200])) from error
    _require_shallow(value)
    return value


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(safe_yaml.MAX_DEPTH + 1):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise Refused(400, S("The JSON is nested deeper than %(limit)s levels.", limit=safe_yaml.MAX_DEPTH))


def require_manifest(value: Any, target: Target) -> dict[str, Any]:
    """The object for that path. Raises Refused (400) where it says another kind, namespace or name than the path."""
    resource = target.kind.resource
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        raise Refused(400, S("A manifest is an object with apiVersion, kind and metadata."), details=target.details)
    said = (value.get("apiVersion"), value.get("kind"))
    if said != (resource.api_version, resource.kind):
        raise Refused(
            400,
            S("The body is a “%(kind)s” of “%(version)s”, and the path is of “%(expected)s”.",
              kind=str(said[1])[:60], version=str(said[0])[:60], expected=f"{resource.kind} {resource.api_version}"),
            details=target.details,
        )  # fmt: skip
    require_same_place(value["metadata"], target)
    return value


def require_same_place(metadata: Any, target: Target) -> None:
    """Raises Refused: 403 for another namespace, 400 for another name."""
    if not isinstance(metadata, Mapping):
        return
    namespace, name = metadata.get("namespace"), metadata.get("name")
    if namespace not in (None, "", target.namespace):
        sentence = S(
            "The namespace of the body, “%(other)s”, is not that of the path, “%(namespace)s”.",
            other=str(namespace)[:63], namespace=target.namespace,
        )  # fmt: skip
        raise Refused(403, sentence, details=target.details)
    if target.name and name not in (None, target.name):
        sentence = S("The name of the body, “%(other)s”, is not that of the path, “%(name)s”.", other=str(name)[:253], name=target.name)  # fmt: skip
        raise Refused(400, sentence, details=target.details)


def require_patch(value: Any, kind: str, target: Target) -> Any:
    """A patch that says itself all that it sets. Raises Refused (400, 403)."""
    if kind != JSON_PATCH:
        if not isinstance(value, dict):
            raise Refused(400, S("A patch is an object."), details=target.details)
        require_same_place(value.get("metadata"), target)
        return value
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Refused(400, S("A JSON patch is a list of operations."), details=target.details)
    for one in value:
        if one.get("op") not in OPS:  # what `copy` brings is known only when it is too late to judge it
            raise Refused(
                400,
                S("The gateway takes add, replace, remove and test in a JSON patch, not “%(op)s”.", op=str(one.get("op"))[:20]),
                details=target.details,
            )  # fmt: skip
    return value


def require_scale(value: Any, target: Target) -> dict[str, Any]:
    """What a patch of the scale may say: how many. Raises Refused (400, 403)."""
    if not isinstance(value, dict):
        raise Refused(400, S("A patch is an object."), details=target.details)
    require_same_place(value.get("metadata"), target)
    spec = value.get("spec")
    replicas = spec.get("replicas") if isinstance(spec, dict) else None
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise Refused(400, S('Say how many: {"spec": {"replicas": 3}}.'), details=target.details)
    return {"spec": {"replicas": replicas}}
