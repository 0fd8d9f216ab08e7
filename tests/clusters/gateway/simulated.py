"""A simulated cluster behind the gateway, and what its informers would have written."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from clusters.drivers.runtime.kubernetes.names import DEPLOYMENTS, Resource
from clusters.models import Cluster, ClusterObject
from fangduoduo_release.common.models import Connection
from tests.simulators.kubernetes_rig import Rig

from .rows import feed, put

WEB = {"app": "web"}


def manifest(
    name: str = "web", namespace: str = "shop", *, labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A small Deployment."""
    container = {
        "name": "app",
        "image": "shop:1",
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}],
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": WEB},
            "template": {
                "metadata": {"labels": WEB},
                "spec": {"containers": [container], **spec.pop("pod", {})},
            },
            **spec,
        },
    }


def connect(cluster: Cluster, rig: Rig) -> None:
    """Let the cluster of the rows be the simulated one."""
    cluster.connection = Connection.objects.create(
        name="east", kind="kubernetes", config={}, secrets={"kubeconfig": rig.kubeconfig()}
    )
    cluster.save()


@transaction.atomic
def show(cluster: Cluster, rig: Rig, resource: Resource = DEPLOYMENTS) -> None:
    """Write what there is, as the informers do; once."""
    version = str(rig.revision)
    feed(cluster, resource, resource_version=version)
    there = rig.all(resource.plural)
    names = {(one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in there}
    rows = ClusterObject.objects.filter(cluster=cluster, resource=resource.key, gone=False)
    gone = [one for one in rows if (one.namespace, one.name) not in names]
    put(cluster, *there, resource=resource, version=version)
    if gone:
        put(cluster, *[{"metadata": {"name": one.name, "namespace": one.namespace, "uid": one.uid}} for one in gone], resource=resource, gone=True, version=version)  # fmt: skip
