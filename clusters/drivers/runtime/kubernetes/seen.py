"""An object as it was read from a list or a watch, small enough to be kept by the thousand until it is stored. Django-free.

managedFields are dropped (half of an object, read by nobody here), and the images of nodes (hundreds of names each).
"""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from .names import EVENTS, NODES, SERVICE, Resource

LEVEL = 1
LONGEST_NAME, LONGEST_NAMESPACE, LONGEST_UID, LONGEST_VERSION = 253, 63, 64, 40
Key = tuple[str, str]  # namespace ("" for what lies in none) and name


class Unreadable(ValueError):
    """Not an object as Kubernetes makes them."""


class Seen(NamedTuple):
    """An object's newest state. `body` None: it was found gone, and how it was last is not known anew.

    `service`: the key in our label. `about`: of an Event the uid of what it is about, else the controller's.
    `at`: when it happened by the server's clock (an Event), else None. `read_at`: monotonic.
    """

    resource: str
    namespace: str
    name: str
    uid: str
    version: str
    service: str
    about: str
    body: bytes | None
    gone: bool
    at: float | None
    read_at: float

    @property
    def key(self) -> Key:
        return self.namespace, self.name


def pack(item: dict[str, Any]) -> bytes:
    """An object as rows hold it."""
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return zlib.compress(orjson.dumps(item), LEVEL)


def unpack(body: bytes | memoryview) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(zlib.decompress(body))
    return found


def read(resource: Resource, item: Any, deleted: bool = False) -> Seen:
    """Take an object apart; it is changed on the way. Raises Unreadable."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(metadata, dict):
        raise Unreadable
    namespace, name = _text(metadata, "namespace", LONGEST_NAMESPACE), _text(metadata, "name", LONGEST_NAME)
    uid, version = _text(metadata, "uid", LONGEST_UID), _text(metadata, "resourceVersion", LONGEST_VERSION)
    if not name or not version or bool(namespace) != resource.namespaced:
        raise Unreadable
    if "kind" not in item:  # in lists only the list says what its items are
        item = {"kind": resource.kind, "apiVersion": resource.api_version, **item}
    at = None
    if resource is EVENTS:
        at = happened_at(item)
    elif resource is NODES and isinstance(item.get("status"), dict):
        item["status"].pop("images", None)
    labels = metadata.get("labels")
    service = labels.get(SERVICE) if isinstance(labels, dict) else None
    service = service if isinstance(service, str) and len(service) <= 40 else ""
    about = _about(resource, item, metadata)
    return Seen(
        resource.key, namespace, name, uid, version, service, about, pack(item), deleted, at, time.monotonic()
    )  # fmt: skip


def gone(resource: str, key: Key, version: str) -> Seen:
    """It is there no more, as of this version; how it was last is what is stored."""
    return Seen(resource, *key, "", version, "", "", None, True, None, time.monotonic())


def version_of(page: Any) -> str:
    """The resourceVersion of a list or a bookmark; "" when it has none."""
    metadata = page.get("metadata") if isinstance(page, dict) else None
    found = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) and len(found) <= LONGEST_VERSION else ""


def newer(one: str, other: str) -> bool:
    """Whether a resourceVersion is newer; of what are no integers nobody may say."""
    return one.isdecimal() and other.isdecimal() and int(one) > int(other)


def happened_at(event: dict[str, Any]) -> float | None:
    """When an Event was last seen to happen; None when it does not say."""
    series, metadata = event.get("series"), event.get("metadata")
    told = [
        series.get("lastObservedTime") if isinstance(series, dict) else None,
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        metadata.get("creationTimestamp") if isinstance(metadata, dict) else None,
    ]
    for text in told:
        if isinstance(text, str) and text:
            try:
                return datetime.fromisoformat(text).astimezone(UTC).timestamp()
            except (ValueError, OverflowError):
                continue
    return None


def _about(resource: Resource, item: dict[str, Any], metadata: dict[str, Any]) -> str:
    if resource is EVENTS:
        involved = item.get("involvedObject")
        return _text(involved, "uid", LONGEST_UID) if isinstance(involved, dict) else ""
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, dict) and owner.get("controller") is True:
            return _text(owner, "uid", LONGEST_UID)
    return ""


def _text(data: dict[str, Any], name: str, longest: int) -> str:
    value = data.get(name) or ""
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise Unreadable
    return value
