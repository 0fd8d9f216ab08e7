"""From rows to the goal a runtime is given: one deployment's, or the one a service has now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from builds import registries, versions
from builds.models import Version
from clusters.drivers.runtime.base import Artifact, ServiceRef, Wanted
from clusters.kubernetes import namespace_of
from deployments import configuring, outside, pinning
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S
from projects import specs
from projects.models import SpecRevision


def ref_of(service: Service) -> ServiceRef:
    return ServiceRef(str(service.key), where=namespace_of(service.machine.placement))


def artifact_of(version: Version, cluster_kind: str, digest: str = "") -> Artifact:
    """The version as a runtime takes it; `digest`: of an image that the version knows by its tag only. Raises Rejected when
    retention has removed its files."""
    path = versions.archive_path(version) if cluster_kind == "local" else None
    if path is None and not version.image:
        raise Rejected(
            S("The files of version #%(number)s are gone; build its commit again.", number=version.number),
            code="no_artifact",
        )
    return Artifact(digest=version.pin_on(cluster_kind) or digest, archive=str(path or ""), image=version.image)


def goal(
    service: Service,
    *,
    version: Version,
    spec: SpecRevision,
    replicas: int,
    nonce: int,
    generation: int,
    deployment: str = "",
    config: Mapping[str, Any] | None = None,
    take_over: bool = False,
    paused: bool = False,
    digest: str = "",
) -> Wanted:
    """The whole goal for `service`; `config`: its pin; `digest`: of an image known by its tag, "" to go by that. Raises
    Rejected (files gone), Invalid (a spec this runtime cannot render)."""
    artifact = artifact_of(version, service.machine.cluster.kind, digest)
    typed = replace(specs.service_spec(spec), replicas=replicas)
    typed = replace(typed, ingress=outside.filled(typed.ingress, service))
    base, files = configuring.texts(config, service, version, replicas=replicas, digest=artifact.digest)
    if files:
        written = {file.path for file in files}
        typed = replace(typed, files=(*(f for f in typed.files if f.path not in written), *files))
    return Wanted(
        service=ref_of(service),
        generation=generation,
        project=service.project.slug,
        machine=service.machine.name,
        deployment=deployment,
        spec=typed,
        artifact=artifact,
        stable_port=service.port or 0,
        placement=service.machine.placement,
        restart_nonce=str(nonce) if nonce else "",
        version=str(version.number),
        base=base,
        pull=registries.pull_secret(service.project, version.image) if artifact.image else None,
        take_over=take_over,
        paused=paused,
    )


def of_deployment(deployment: Deployment, *, paused: bool = False) -> Wanted:
    """What this deployment wants to reach (not for remove); `paused`: and stay on its way there."""
    if deployment.version is None or deployment.spec_revision is None:
        raise Rejected(S("This deployment has no version to run."), code="no_version")
    return goal(
        deployment.service,
        version=deployment.version,
        spec=deployment.spec_revision,
        replicas=deployment.replicas,
        nonce=deployment.restart_nonce,
        generation=generation_of(deployment),
        deployment=str(deployment.key),
        config=deployment.pins.get("config"),
        take_over=deployment.take_over,
        paused=paused,
        digest=pinning.digest_of(deployment),
    )


def of_service(service: Service, *, generation: int | None = None) -> Wanted | None:
    """What the service is to be when nothing is being changed; None when nothing is to run."""
    if service.version is None or service.spec_revision is None:
        return None
    last = service.last_deployment
    return goal(
        service,
        version=service.version,
        spec=service.spec_revision,
        replicas=service.replicas,
        nonce=service.restart_nonce,
        generation=service.generation if generation is None else generation,
        deployment=str(last.key) if last else "",
        config=service.config,
        digest=pinning.digest_of(last) if last else "",
    )


def generation_of(deployment: Deployment, *, restoring: bool = False) -> int:
    """Generations grow with the deployments of a service: even towards the goal, odd on the way back."""
    return deployment.number * 2 + (1 if restoring else 0)
