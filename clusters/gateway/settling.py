"""A write answers once the rows show it, so that whoever reads next reads what was written."""

from __future__ import annotations

import time
from typing import Any

import orjson

from clusters.drivers.runtime.kubernetes.api import Answer
from clusters.gateway.paths import Target
from clusters.models import Cluster, ClusterFeed, ClusterObject

PATIENCE_S = 2.0
LOOKS_S = (0.01, 0.02, 0.03, 0.05, 0.05, 0.1)


def wait(cluster: Cluster, target: Target, answer: Answer, patience_s: float = PATIENCE_S) -> bool:
    """Whether the rows show what the answer says; waits for it a moment, unless nobody follows the cluster."""
    item = _object(answer.body)
    metadata = item.get("metadata") or {}
    name = str(metadata.get("name") or target.name)
    version = str(metadata.get("resourceVersion") or "")
    if item.get("kind") == "Status":  # of a deletion: the object is gone
        name, version = target.name, ""
    uid = str(metadata.get("uid") or (item.get("details") or {}).get("uid") or "")
    rows = ClusterObject.objects.filter(
        cluster=cluster, resource=target.kind.resource.key, namespace=target.namespace, name=name
    )
    until, looks = time.monotonic() + patience_s, iter(LOOKS_S)
    while True:
        row = rows.values_list("uid", "resource_version", "gone").first()
        if shows(row, uid, version):
            return True
        if time.monotonic() >= until or not _followed(cluster, target):
            return False
        time.sleep(next(looks, LOOKS_S[-1]))


def shows(row: tuple[str, str, bool] | None, uid: str, version: str) -> bool:
    """Whether a row is as new as that object. `version` "": the object is gone."""
    if not version:
        return row is None or row[2] or bool(uid and row[0] != uid)
    if row is None:
        return False
    seen, gone = row[1], row[2]
    if gone and row[0] == uid:
        return True  # it has come and gone
    if seen == version:
        return not gone
    return not gone and seen.isdecimal() and version.isdecimal() and int(seen) > int(version)


def _followed(cluster: Cluster, target: Target) -> bool:
    feeds = ClusterFeed.objects.filter(cluster=cluster, resource=target.kind.resource.key)
    return feeds.exclude(state=ClusterFeed.State.DOWN).exclude(synced_at=None).exists()


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
