"""A service that runs on a simulated Kubernetes, with rows as informers leave them, and people of every kind."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from clusters.drivers.runtime.kubernetes import names
from clusters.models import Cluster, ClusterFeed, ClusterObject, Machine
from deployments.models import Instance, Service
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from permissions.models import User
from projects.actions import grant_machine
from projects.models import Project
from tests import world
from tests.clusters.gateway.rows import feed, put
from tests.simulators.kubernetes_rig import Rig

_numbers = itertools.count(1)
NAMESPACE = "shop-test"


@dataclass
class Ground:
    """`pods` are those that run; `see()` writes them as rows."""

    rig: Rig
    cluster: Cluster
    machine: Machine
    project: Project
    service: Service
    people: list[User] = field(default_factory=list)

    @property
    def pods(self) -> list[str]:
        found = self.rig.pods(NAMESPACE, {names.SERVICE: str(self.service.key)})
        return sorted(one["metadata"]["name"] for one in found if not one["metadata"].get("deletionTimestamp"))

    @property
    def running(self) -> int:
        """How many pods run, none of them on its way out."""
        found = self.rig.pods(NAMESPACE, {names.SERVICE: str(self.service.key)})
        here = [one for one in found if not one["metadata"].get("deletionTimestamp")]
        statuses = [one["status"].get("containerStatuses") or [] for one in here]
        return sum(bool(each) and all("running" in one["state"] for one in each) for each in statuses)

    def see(self) -> None:
        """As the informers and the observer would: rows of pods, and the service's instances."""
        items = self.rig.pods(NAMESPACE, {names.SERVICE: str(self.service.key)})
        put(self.cluster, *items)
        rows = ClusterObject.objects.filter(cluster=self.cluster, resource="pods")
        rows.update(service_key=str(self.service.key))
        here = [one["metadata"]["name"] for one in items]
        rows.exclude(name__in=here).update(gone=True)
        self.service.instances.exclude(name__in=here).delete()
        for name in here:
            facts = {"state": "running", "ready": True, "containers": ["app", "proxy"], "started_at": timezone.now()}
            Instance.objects.update_or_create(service=self.service, name=name, defaults=facts)

    def member(self, role: str) -> User:
        user = world.member(self.project, role, f"{role}-{uuid.uuid4().hex[:8]}")
        self.people.append(user)
        return user


def manifest(service: Service, name: str, replicas: int = 2) -> dict[str, Any]:
    labels = {names.SERVICE: str(service.key), "app": name}
    containers = [{"name": one, "image": "rig.local/shop:v1"} for one in ("app", "proxy")]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


@contextlib.contextmanager
def ground(rig: Rig, *, environment: str = "test", replicas: int = 2) -> Iterator[Ground]:
    """A project with one service on the rig; all its rows are removed at the end."""
    number = next(_numbers)
    owner = world.person(f"owner-{uuid.uuid4().hex[:8]}")
    project = world.bare_project(owner, f"shop-{uuid.uuid4().hex[:8]}")
    connection = Connection(name=f"rig-{uuid.uuid4().hex[:8]}", kind="kubernetes", config={})
    connection.secrets = {"kubeconfig": rig.kubeconfig()}
    connection.save()
    cluster = Cluster.objects.create(name=f"east-{uuid.uuid4().hex[:8]}", kind="kubernetes", connection=connection)
    machine = Machine.objects.create(
        name=f"m-{uuid.uuid4().hex[:8]}", cluster=cluster, environment=environment, placement={"namespace": NAMESPACE}
    )
    grant_machine(actor=SYSTEM, project=project, machine=machine)
    service = Service.objects.create(project=project, machine=machine, state="ready", replicas=replicas)
    feed(cluster)
    rig.create("deployments", NAMESPACE, manifest(service, f"shop-{number}", replicas))
    rig.rolled_out(NAMESPACE, f"shop-{number}")
    made = Ground(rig, cluster, machine, project, service, [owner])
    made.see()
    try:
        yield made
    finally:
        Service.objects.filter(pk=service.pk).delete()
        Project.objects.filter(pk=project.pk).delete()
        ClusterObject.objects.filter(cluster=cluster).delete()
        ClusterFeed.objects.filter(cluster=cluster).delete()
        machine.delete()
        cluster.delete()
        connection.delete()
