"""Who decides how many instances run: the replicas that people choose, or the load, where a Kubernetes scales by it."""

from __future__ import annotations

from clusters.drivers.runtime.spec_parts import Autoscale
from clusters.placing import KUBERNETES
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.sentence import S
from projects import specs
from projects.models import SpecRevision


def load_decides(service: Service, spec: SpecRevision | None) -> Autoscale | None:
    """Between which numbers a Kubernetes chooses; None: the replicas count."""
    if spec is None or service.machine.cluster.kind != KUBERNETES:
        return None
    return specs.service_spec(spec).autoscale


def decided_by_load(deployment: Deployment) -> Autoscale | None:
    """The same of what a deployment brings; asks nothing elsewhere than on a Kubernetes."""
    if deployment.service.machine.cluster.kind != KUBERNETES:
        return None
    return load_decides(deployment.service, deployment.spec_revision)


def require_scalable(service: Service, replicas: int | None) -> None:
    """A number is given, and it is what decides. Raises Invalid, Conflict."""
    if replicas is None:
        raise Invalid(S("Say how many replicas you want."), fields={"replicas": []})
    wish = load_decides(service, service.spec_revision)
    if wish is not None:
        sentence = S(
            "The load decides how many instances run here, from %(low)s to %(high)s: change these in the project's settings, then deploy.",
            low=wish.low,
            high=wish.high,
        )
        raise Conflict(sentence, code="autoscaled")


def require_uncontested(action: str, scaled_by: str) -> None:
    """Where something else in the cluster decides, a number that people choose would be taken and change nothing.
    Raises Conflict."""
    if action == Deployment.Action.SCALE and scaled_by:
        sentence = S(
            "%(what)s decides how many instances run here, so a number given here does not count. Change it where it comes from: in this service's manifest, then deploy, or in the cluster. To stop every instance at once, remove the service.",
            what=scaled_by,
        )
        raise Conflict(sentence, code="autoscaled")
