"""A write answers once the rows show it, so that whoever reads next reads what was written."""

from __future__ import annotations

import time
from typing import Any

import orjson

from clusters import observed
from clusters.drivers.runtime.kubernetes.api import Answer
from clusters.gateway.paths import Target
from clusters.models import Cluster, ClusterFeed, ClusterObject

PATIENCE_S = 2.0
LOOK_S = 0.03


def wait(cluster: Cluster, target: Target, answer: Answer, *, deleting: bool) -> bool:
    """Whether the rows show what the answer says; waits for it a moment, unless nobody follows the cluster."""
    metadata = _object(answer.body).get("metadata") or {}
    name = target.name or str(metadata.get("name") or "")
    version = str(metadata.get("resourceVersion") or "")
    resource = target.kind.resource.key
    feed = ClusterFeed.objects.filter(cluster=cluster, resource=resource).exclude(synced_at=None).first()
    patience = PATIENCE_S if feed is not None and feed.state != ClusterFeed.State.DOWN else 0.0
    if deleting and not _stays(metadata):
        return _gone(cluster, resource, target.namespace, name, patience)
    return observed.wait_for(cluster, resource, target.namespace, name, version, patience)


def _stays(metadata: dict[str, Any]) -> bool:
    """Whether what was deleted is there until somebody has done something about it."""
    waited_for = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    return bool(metadata.get("deletionTimestamp") and waited_for)


def _gone(cluster: Cluster, resource: str, namespace: str, name: str, patience_s: float) -> bool:
    rows = ClusterObject.objects.filter(cluster=cluster, resource=resource, namespace=namespace, name=name, gone=False)
    until = time.monotonic() + patience_s
    while rows.exists():
        if time.monotonic() + LOOK_S > until:
            return False
        time.sleep(LOOK_S)
    return True


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
