"""Rows as the informers leave them, for tests of who reads them."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.drivers.runtime.kubernetes.names import BY_KEY, PODS, Resource
from clusters.models import Cluster, ClusterFeed, ClusterObject
from clusters.observed import pack


def feed(cluster: Cluster, resource: Resource = PODS, **facts: Any) -> ClusterFeed:
    """A feed that is followed, just seen."""
    now = timezone.now()
    defaults = {"state": "live", "synced_at": now, "seen_at": now, "resource_version": "1000", **facts}
    row, _ = ClusterFeed.objects.update_or_create(cluster=cluster, resource=resource.key, defaults=defaults)
    return row


def pod(name: str, namespace: str = "shop", *, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": labels or {"app": "web"},
        "uid": f"uid-{namespace}-{name}",
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {**metadata, "resourceVersion": "5"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "shop:1"}], **more.pop("spec", {})},
        "status": {"phase": "Running", **more.pop("status", {})},
    }


@transaction.atomic
def put(
    cluster: Cluster, *items: dict[str, Any], resource: Resource = PODS, gone: bool = False, version: str = ""
) -> None:
    """Write one batch, as an informer does: rows and the feed's number together."""
    row = ClusterFeed.objects.filter(cluster=cluster, resource=resource.key).first() or feed(cluster, resource)
    seq = row.seq
    for item in items:
        seq += 1
        metadata = item["metadata"]
        ClusterObject.objects.update_or_create(
            cluster=cluster,
            resource=BY_KEY[resource.key].key,
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            defaults={
                "uid": metadata.get("uid", ""),
                "resource_version": metadata.get("resourceVersion", "1"),
                "seq": seq,
                "gone": gone,
                "body": pack({**item, "metadata": dict(metadata)}),
                "changed_at": timezone.now(),
            },
        )
    ClusterFeed.objects.filter(pk=row.pk).update(seq=seq, resource_version=version or str(1000 + seq))
