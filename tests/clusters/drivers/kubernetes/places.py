"""A runtime on a cluster, simulated or real, with what the contract of runtimes needs around it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.drivers.runtime.base import LEAVING, Artifact, Observed, ServiceRef, Wanted
from clusters.drivers.runtime.kubernetes import access, names
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.runtime import KubernetesConfig, KubernetesRuntime
from clusters.drivers.runtime.spec import Check, HealthChecks, ServiceSpec
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

REPOSITORY = "registry.example/team/shop"
# Of use to a real image; a simulated one runs nothing.
SERVE = "echo serving $SAYS; trap 'exit 0' TERM; while true; do sleep 0.2; done"
CRASH = "echo no luck; exit 7"
SPEC = ServiceSpec(
    ("sh", "-c", SERVE),
    replicas=2,
    health=HealthChecks(readiness=Check("exec", command=("sh", "-c", "! test -e /tmp/sick"), period_s=1)),
    drain_s=0,
    stop_grace_s=1.0,
    start_deadline_s=30.0,
)
Reader = Callable[[str], tuple[Sequence[dict[str, Any]], float | None]]


def nobody(_: str) -> tuple[Sequence[dict[str, Any]], float | None]:
    """Nobody watches this cluster."""
    return (), None


def watched(rig: Rig) -> Reader:
    """As if informers had seen everything up to this moment."""

    def read(key: str) -> tuple[Sequence[dict[str, Any]], float | None]:
        found = [
            {"kind": resource.kind, **one}
            for resource in (names.DEPLOYMENTS, names.REPLICASETS, names.PODS, names.SERVICES)
            for one in rig.all(resource.plural)
            if (one["metadata"].get("labels") or {}).get(names.SERVICE) == key
        ]
        uids = {one["metadata"]["uid"] for one in found}
        events = [one for one in rig.all("events") if (one.get("involvedObject") or {}).get("uid") in uids]
        return [*found, *({"kind": "Event", **one} for one in events)], 0.0

    return read


def api_of(rig: Rig, user: str = "portal") -> Api:
    return Api(access.from_kubeconfig(rig.kubeconfig(user)))


@dataclass
class KubernetesPlace:
    """`images`: by the name of a version, for those that are not simulated."""

    runtime: KubernetesRuntime
    namespace: str
    images: dict[str, str] = field(default_factory=dict)
    rig: Rig | None = None
    project: str = "shop"
    service: ServiceRef = field(default_factory=lambda: ServiceRef(str(uuid.uuid4())))
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.service = replace(self.service, where=self.namespace)
        self.seen: dict[str, str] = {}  # which digest an image turned out to be
        self.asked = ""  # the version that was asked for last: two of them may be one image

    def version(self, name: str) -> Artifact:
        self.asked = name
        if self.rig is None:
            image = self.images[name]
            return Artifact(image.partition("@")[2], image=image)
        image = f"{REPOSITORY}:{name}"
        self.behave(name)
        return Artifact(self.rig.images.digest(image), image=image)

    def behave(self, name: str, **behaviour: Any) -> None:
        """How containers of this version behave from now on, whether they are named by tag or by digest."""
        assert self.rig is not None
        tagged = f"{REPOSITORY}:{name}"
        for reference in (tagged, f"{REPOSITORY}@{self.rig.images.digest(tagged)}"):
            self.rig.image(reference, **{"lines": (f"serving {name}",), **behaviour})

    def want(self, artifact: Artifact, restart_nonce: str = "", **spec: Any) -> Wanted:
        generation = next(self.generations)
        fields = {name: spec.pop(name) for name in list(spec) if name in Wanted.__dataclass_fields__}
        says = self.asked or artifact.image.rpartition(":")[2]
        env = {"SAYS": says}
        wanted = Wanted(
            self.service, generation, self.project, "here", f"deployment-{generation}",
            replace(SPEC, **{"env": env, **spec}), artifact, placement={"namespace": self.namespace},
            restart_nonce=restart_nonce, version=str(generation),
        )  # fmt: skip
        return replace(wanted, **fields)

    def crash(self, name: str) -> Wanted:
        artifact = self.version(name)
        if self.rig is not None:
            self.behave(name, exit_code=7, lines=("no luck",))
        return self.want(artifact, command=("sh", "-c", CRASH))

    def settle(self, wanted: Wanted, timeout: float = 60.0) -> Observed:
        self.runtime.apply(wanted)

        def over() -> Observed | None:
            found = self.runtime.advance(wanted)
            return found if found.settled or found.failure else None

        seen = until(over, timeout, every=0.05, what=f"{wanted.deployment} to settle")
        if seen.settled and len(seen.serving_digests) == 1:
            self.seen[wanted.artifact.image] = next(iter(seen.serving_digests))
        return seen

    def deploy(self, name: str, **spec: Any) -> Wanted:
        wanted = self.want(self.version(name), **spec)
        seen = self.settle(wanted)
        assert seen.green(self.digest(wanted)), seen
        return wanted

    def digest(self, wanted: Wanted) -> str:
        return wanted.artifact.digest or self.seen.get(wanted.artifact.image, "")

    def answers(self) -> set[str]:
        """Which version says so in each pod that serves."""
        found = set()
        for one in self.instances().instances:
            if one.ready and one.state not in LEAVING:
                done = self.runtime.exec(self.service, one.name, ["printenv", "SAYS"])
                found.add(done.stdout.decode().strip())
        return found

    def sicken(self, instance: str) -> None:
        if self.rig is not None:
            self.rig.faults.unready(self.namespace, instance)
        else:
            self.runtime.exec(self.service, instance, ["touch", "/tmp/sick"])

    def instances(self) -> Observed:
        return self.runtime.observe(self.service)


def place_on(rig: Rig, namespace: str = "shop-test", *, user: str = "portal", reader: Reader | None = None, **more: Any) -> KubernetesPlace:  # fmt: skip
    rig.namespace(namespace)
    config = KubernetesConfig("simulated", b"of this installation")
    runtime = KubernetesRuntime(config, api_of(rig, user), reader or watched(rig))
    return KubernetesPlace(runtime, namespace, rig=rig, **more)


def objects(rig: Rig, namespace: str = "shop-test") -> dict[str, str]:
    """kind/name of what is there, and at which version."""
    return {
        f"{kind}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for kind in ("deployments", "services", "configmaps", "secrets", "ingresses", "horizontalpodautoscalers")
        for one in rig.all(kind, namespace)
    }  # fmt: skip


def replicas(rig: Rig, name: str = "shop", namespace: str = "shop-test") -> int:
    found = rig.get("deployments", namespace, name)
    assert found is not None
    return int(found["spec"]["replicas"])
