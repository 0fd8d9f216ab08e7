"""A project on a namespace of a simulated cluster, deployed by the portal's own engine, and somebody who looks at it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from builds.models import Version
from clusters.models import Cluster, ClusterFeed, Machine
from clusters.runtimes import SEEN
from deployments import actions
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, Instance, Service
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from permissions.models import User
from projects.actions import grant_machine, save_spec
from projects.models import Project
from tests import world
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

IMAGE = "registry.example.com/shop/app"
SPEC: dict[str, Any] = {"replicas": 2, "port": 8080, "health_check": {"readiness": {"http": {"path": "/healthz"}}}}


def digest(word: str) -> str:
    return "sha256:" + hashlib.sha256(word.encode()).hexdigest()


def image_version(of: Project, number: int = 0, *, pinned: bool = True) -> Version:
    """A version that is an image; without a digest where no registry says what its tag means."""
    made = world.build(of)
    tag = number or made.number
    return Version.objects.create(
        project=of, build=made, number=made.number, commit_sha=made.commit_sha, commit_subject=f"Change number {tag}",
        ref=made.ref, image=f"{IMAGE}:{tag}", digest=digest(f"app {tag}") if pinned else "",
    )  # fmt: skip


def followed(cluster: Cluster, seen: datetime | None = None) -> None:
    """As if the watch had looked then (now, when nothing is said)."""
    at = seen or timezone.now()
    for resource in SEEN:
        ClusterFeed.objects.update_or_create(
            cluster=cluster, resource=resource, defaults={"state": "live", "seen_at": at, "synced_at": at}
        )


def cluster_rows(name: str = "cluster-a", namespace: str = "shop-test", environment: str = "test") -> Machine:
    """A machine of a cluster that nobody can reach."""
    cluster, _ = Cluster.objects.get_or_create(name=name, defaults={"kind": "kubernetes"})
    return Machine.objects.create(
        name=f"{name}-{namespace}", cluster=cluster, environment=environment, placement={"namespace": namespace}
    )


def service_rows(of: Project, machine: Machine, count: int = 2, **facts: Any) -> Service:
    """A service as if a deployment had ended well there, with `count` instances."""
    version = image_version(of)
    spec = save_spec(actor=SYSTEM, project=of, spec=SPEC)
    now = timezone.now()
    service = Service.objects.create(
        project=of, machine=machine, version=version, spec_revision=spec, replicas=count, generation=2, changed_at=now,
        **{"state": "healthy", "ready": count, "total": count, "observed_digest": version.digest, "observed_at": now, **facts},
    )  # fmt: skip
    last = Deployment.objects.create(
        number=1, service=service, version=version, spec_revision=spec, action="deploy", state="succeeded", replicas=count,
        pins={"digest": version.digest}, started_by=of.created_by, started_at=now - timedelta(seconds=5), finished_at=now,
    )  # fmt: skip
    Service.objects.filter(pk=service.pk).update(last_deployment=last)
    Instance.objects.bulk_create(
        Instance(
            service=service, name=f"{of.slug}-7d9c5b6f48-{n:05x}", state="running", ready=True, digest=version.digest,
            node=f"node-{n % 7}", started_at=now, containers=["app", "sidecar"] if n % 2 else ["app"],
        )
        for n in range(count)
    )  # fmt: skip
    service.refresh_from_db()
    return service


@dataclass
class Ground:
    """`rig`: the cluster. `page` and `panel` are what `who` (the owner) sees."""

    rig: Rig
    slug: str = "shop"
    namespace: str = "shop-test"
    owner: User = field(init=False)
    project: Project = field(init=False)
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self.rig.namespace(self.namespace)
        self.owner = world.person("ann")
        self.project = world.bare_project(self.owner, self.slug)
        connection = Connection.objects.create(
            name="simulated", kind="kubernetes", config={}, secrets={"kubeconfig": self.rig.kubeconfig()}
        )
        cluster = Cluster.objects.create(name="simulated", kind="kubernetes", connection=connection)
        self.machine = Machine.objects.create(
            name="shop-test", cluster=cluster, environment="test", placement={"namespace": self.namespace}
        )
        grant_machine(actor=SYSTEM, project=self.project, machine=self.machine)
        save_spec(actor=SYSTEM, project=self.project, spec=SPEC)

    def version(self, *, pinned: bool = True) -> Version:
        made = image_version(self.project, pinned=pinned)
        self.behaves(made)
        return made

    def behaves(self, version: Version, **how: Any) -> None:
        """How containers of this version behave, whether they are named by tag or by digest."""
        for reference in (version.image, f"{IMAGE}@{version.digest}"):
            self.rig.image(reference, digest=digest(f"app {version.number}"), **how)

    def deploy(self, action: str = "deploy", **more: Any) -> Deployment:
        """Deploy, and follow it to its end as a worker does."""
        deployment = actions.start_deployment(
            actor=self.owner, project=self.project, machine=self.machine, action=action, **more
        )
        return self.follow(deployment)

    @staticmethod
    def follow(deployment: Deployment) -> Deployment:
        engine = DeploymentEngine()

        def ended() -> bool:
            runs.poke(deployment)
            engines.drive(engine, deployment.pk)  # type: ignore[arg-type]
            deployment.refresh_from_db()
            return deployment.is_final

        until(ended, what="the deployment to end")
        return deployment

    @property
    def service(self) -> Service:
        return Service.objects.get(project=self.project, machine=self.machine)

    def panel(self, action: str = "deploy", *, client: Client | None = None, **more: str) -> str:
        query = {"action": action, "machine": self.machine.name, **more}
        return (client or self.browser()).get(f"/projects/{self.slug}/change/", query).content.decode()

    def confirm(self, action: str = "deploy", **more: str) -> Any:
        data = {"action": action, "machine": self.machine.name, **more}
        return self.browser().post(f"/projects/{self.slug}/change/", data, headers={"HX-Request": "true"})

    def browser(self, who: User | None = None) -> Client:
        return signed_in(who or self.owner)


def signed_in(user: User | None, language: str = "en") -> Client:
    client = Client()
    assert user is not None
    client.force_login(user)
    client.cookies["django_language"] = language
    return client
