"""What fits an object's schema and is yet no value of its type: the server fails at it half-way, with a 500."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from .kinds import Kind, Object

_QUANTITY = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


def unconvertible(kind: Kind, obj: Object) -> str:
    """What the server says of the first such value; "" when there is none."""
    said = next(_odd(kind, obj), "")
    return f"unable to convert unstructured object to {_version(kind)}, Kind={kind.name}: {said}" if said else ""


def _version(kind: Kind) -> str:
    return kind.api_version if kind.group else f"/{kind.api_version}"


def _odd(kind: Kind, obj: Object) -> Iterator[str]:
    if kind.name == "Secret":
        for value in (obj.get("data") or {}).values():
            try:
                base64.b64decode(value or "", validate=True)
            except binascii.Error:
                yield "error decoding from json: illegal base64 data at input byte 0"
    for value in _quantities(obj.get("spec")):
        if not re.fullmatch(_QUANTITY, str(value)):
            yield f"quantities must match the regular expression '{_QUANTITY}'"


def _quantities(value: Any) -> Iterator[Any]:
    """Whatever containers ask for, however deep."""
    if isinstance(value, list):
        for each in value:
            yield from _quantities(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name == "resources" and isinstance(each, dict):
                for part in ("requests", "limits"):
                    yield from (each.get(part) or {}).values()
            else:
                yield from _quantities(each)
