"""A project on a namespace of a simulated cluster, and an engine's steps, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from builds.models import Version
from clusters.models import Cluster, Machine
from deployments import actions
from deployments.engine import DeploymentEngine
from deployments.models import Deployment, Service
from fangduoduo_release.common import engines
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence
from projects.actions import grant_machine, save_spec
from projects.models import Project
from tests import world
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

REPOSITORY = "registry.example/team/shop"
FINAL = Deployment.STATES.final
# What is held in the middle of a roll-out must not be late there, however slowly a test goes.
SPEC = {"replicas": 2, "drain_s": 0, "stop_grace_s": 1, "start_deadline_s": 600}


@dataclass
class Ground:
    """A project on a machine that is a namespace."""

    rig: Rig
    project: Project
    machine: Machine

    @property
    def service(self) -> Service:
        return Service.objects.select_related("machine__cluster", "last_deployment", "version").get(
            project=self.project
        )

    def spec(self, **more: Any) -> None:
        save_spec(actor=SYSTEM, project=self.project, spec={**SPEC, **more})

    def version(self, name: str, *, pinned: bool = True, **behaviour: Any) -> Version:
        """A version whose image behaves so, by tag and by digest."""
        tagged, digest = self.behave(name, **behaviour)
        return world.version(self.project, image=tagged, digest=digest if pinned else "", archive_sha256="")

    def behave(self, name: str, **behaviour: Any) -> tuple[str, str]:
        """From now on the image of that tag behaves so; probes of containers that run look again, too.

        What is rolled must stay unready where a test looks into the middle of a roll-out: a fast one is over at the
        first look."""
        tagged = f"{REPOSITORY}:{name}"
        digest = self.rig.images.digest(tagged)
        for reference in (tagged, f"{REPOSITORY}@{digest}"):
            self.rig.image(reference, **{"lines": (f"serving {name}",), **behaviour})
        return tagged, digest

    def start(self, action: str = "deploy", **more: Any) -> Deployment:
        return actions.start_deployment(actor=SYSTEM, project=self.project, machine=self.machine, action=action, **more)

    def run(self, action: str = "deploy", **more: Any) -> Deployment:
        return finish(self.start(action, **more))

    def item(self, kind: str = "deployments", name: str = "shop") -> dict[str, Any]:
        found = self.rig.get(kind, "shop-test", name)
        assert found is not None
        return found

    def images(self) -> set[str]:
        """What the pods that stay run."""
        return {one["spec"]["containers"][0]["image"] for one in self.rig.pods("shop-test")}


def step(deployment: Deployment) -> Deployment:
    """One claim's worth of work, as if it were due now."""
    Deployment.objects.filter(pk=deployment.pk, lease_until=None).exclude(state__in=FINAL).update(next_at=Now())
    engines.drive(DeploymentEngine(), deployment.pk)
    deployment.refresh_from_db()
    return deployment


def reach(deployment: Deployment, *states: str, timeout: float = 60) -> Deployment:
    return until(
        lambda: step(deployment).state in states and deployment, timeout, 0.05, f"{states}, not {deployment.state}"
    )


def finish(deployment: Deployment, timeout: float = 60) -> Deployment:
    return reach(deployment, *FINAL, timeout=timeout)


def why(deployment: Deployment) -> str:
    return str(Sentence.from_json(deployment.error["sentence"]))


def ground_on(rig: Rig) -> Ground:
    """A project that may deploy to the namespace `shop-test`."""
    connection = Connection.objects.create(
        name="k8s", kind="kubernetes", config={}, secrets={"kubeconfig": rig.kubeconfig()}
    )
    cluster = Cluster.objects.create(name="k8s", kind="kubernetes", connection=connection)
    machine = Machine.objects.create(name="shop-a", cluster=cluster, placement={"namespace": "shop-test"})
    project = world.bare_project(slug="shop")
    grant_machine(actor=SYSTEM, project=project, machine=machine)
    made = Ground(rig, project, machine)
    made.spec()
    return made
