"""From the goal of a service to manifests. Pure: the same goal always gives the same manifests.

Where the goal brings manifests of its own (`Wanted.base`) they are taken and filled in (`overlay`); else all is made from the
neutral spec. Nothing here says *when* something was applied: generation and deployment are stamped on afterwards, so that a
manifest can be shown, hashed and approved before there is a deployment.
"""

from __future__ import annotations

import math

from clusters.drivers.runtime.base import Wanted
from clusters.drivers.runtime.spec import FETCH_S, Check
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from . import names
from .parts import CONTAINER, Manifest, Parts, image_of, labels_of, selector_of, word_of


def probe(check: Check, port: int, environment: list[Manifest]) -> Manifest:
    """A check in Kubernetes' words, which knows whole seconds only; its command may name what stands in the environment."""
    number = check.port or port
    if check.kind == "http":
        how: Manifest = {"httpGet": {"path": check.path, "port": number}}
    elif check.kind == "tcp":
        how = {"tcpSocket": {"port": number}}
    else:
        # A kubelet knows no values from elsewhere when it fills in a check's command.
        known = {str(one["name"]) for one in environment if "value" in one}
        how = {"exec": {"command": [word_of(word, known) for word in check.command]}}
    delay = {"initialDelaySeconds": math.ceil(check.initial_delay_s)} if check.initial_delay_s else {}
    return {
        **how,
        **delay,
        "periodSeconds": max(1, math.ceil(check.period_s)),
        "timeoutSeconds": max(1, math.ceil(check.timeout_s)),
        "failureThreshold": check.failure_threshold,
    }


def probes(wanted: Wanted, environment: list[Manifest]) -> Manifest:
    """The probes of the container; one that takes traffic is looked at even when nobody said how."""
    spec = wanted.spec
    checks = {"startup": spec.health.startup, "readiness": spec.health.readiness, "liveness": spec.health.liveness}
    if spec.port_name and checks["readiness"] is None:
        checks["readiness"] = Check("tcp", period_s=1.0)
    return {f"{name}Probe": probe(check, spec.port, environment) for name, check in checks.items() if check is not None}


def lifecycle(wanted: Wanted) -> Manifest:
    """Before it is told to stop, a pod waits until nobody sends it requests any more."""
    seconds = math.ceil(wanted.spec.drain_s)
    return {"preStop": {"sleep": {"seconds": seconds}}} if seconds and wanted.spec.port_name else {}


def grace_of(wanted: Wanted) -> int:
    return math.ceil(wanted.spec.drain_s + wanted.spec.stop_grace_s) or 1


def resources(wanted: Wanted) -> Manifest:
    limits: dict[str, str] = {}
    if wanted.spec.resources.cpu:
        limits["cpu"] = f"{round(wanted.spec.resources.cpu * 1000)}m"
    if wanted.spec.resources.memory:
        limits["memory"] = str(wanted.spec.resources.memory)
    return {"limits": limits, "requests": dict(limits)} if limits else {}


def container(wanted: Wanted, parts: Parts) -> Manifest:
    """The one container of a service that has no manifests of its own."""
    spec = wanted.spec
    environment = parts.environment()
    known = {str(one["name"]) for one in environment}
    found: Manifest = {"name": CONTAINER, "image": image_of(wanted), "env": environment}
    if spec.command:
        found["command"] = [word_of(word, known) for word in spec.command]
    if spec.port_name:
        found["ports"] = [{"name": spec.port_name, "containerPort": spec.port, "protocol": "TCP"}]
    if parts.files_name:
        found["volumeMounts"] = parts.mounts()
    limits = resources(wanted)
    if limits:
        found["resources"] = limits
    if cycle := lifecycle(wanted):
        found["lifecycle"] = cycle
    return found | probes(wanted, environment)


def notes_of(wanted: Wanted, main: str) -> dict[str, str]:
    """Annotations of pods: which container is the service (everybody's word for it), and when all were to start anew."""
    return {names.MAIN: main, **({names.RESTARTED: wanted.restart_nonce} if wanted.restart_nonce else {})}


def deployment(wanted: Wanted, parts: Parts) -> Manifest:
    spec = wanted.spec
    pod: Manifest = {"containers": [container(wanted, parts)], "terminationGracePeriodSeconds": grace_of(wanted)}
    if parts.files_name:
        pod["volumes"] = parts.volumes()
    if parts.pull_name:
        pod["imagePullSecrets"] = [{"name": parts.pull_name}]
    metadata: Manifest = {"labels": labels_of(wanted), "annotations": notes_of(wanted, CONTAINER)}
    body: Manifest = {
        "selector": {"matchLabels": selector_of(wanted)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "progressDeadlineSeconds": math.ceil(spec.start_deadline_s + FETCH_S),
        "template": {"metadata": metadata, "spec": pod},
    }
    if spec.autoscale is None:
        body["replicas"] = spec.replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": parts.metadata(parts.name), "spec": body}


def service(wanted: Wanted, parts: Parts) -> Manifest:
    port = {"name": wanted.spec.port_name, "port": wanted.spec.port, "targetPort": wanted.spec.port, "protocol": "TCP"}
    body = {"selector": selector_of(wanted), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": parts.metadata(parts.name), "spec": body}


def ingress(wanted: Wanted, parts: Parts, target: str = "", port: int = 0) -> Manifest:
    """`target`: the Service behind it, where that is not ours; `port`: of it."""
    wish = wanted.spec.ingress
    if wish is None:
        raise ValueError("this service wants no ingress")
    backend = {"service": {"name": target or parts.name, "port": {"number": port or wanted.spec.port}}}
    rule = {"host": wish.host, "http": {"paths": [{"path": wish.path, "pathType": "Prefix", "backend": backend}]}}
    body: Manifest = {"rules": [rule]}
    if wish.class_name:
        body["ingressClassName"] = wish.class_name
    if wish.tls_secret:
        body["tls"] = [{"hosts": [wish.host], "secretName": wish.tls_secret}]
    version = names.INGRESSES.api_version
    return {"apiVersion": version, "kind": "Ingress", "metadata": parts.metadata(parts.name), "spec": body}


def autoscaler(wanted: Wanted, parts: Parts, target: str = "") -> Manifest:
    """`target`: the Deployment that it scales, where that is not ours and says itself how much CPU it gets."""
    wish = wanted.spec.autoscale
    if wish is None:
        raise ValueError("this service does not scale by itself")
    if not wanted.spec.resources.cpu and not target:
        sentence = S("To scale by the use of its CPU, a service must say how much CPU an instance gets.")
        raise Invalid(sentence, code="autoscale_without_cpu")
    use = {"type": "Utilization", "averageUtilization": wish.cpu_percent}
    body = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or parts.name},
        "minReplicas": wish.low,
        "maxReplicas": wish.high,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": use}}],
    }
    version = names.AUTOSCALERS.api_version
    return {
        "apiVersion": version,
        "kind": "HorizontalPodAutoscaler",
        "metadata": parts.metadata(parts.name),
        "spec": body,
    }


def from_spec(wanted: Wanted, namespace: str, key: bytes) -> list[Manifest]:
    """Every object of the service, made from its spec, in the order they are applied. Raises Invalid."""
    parts = Parts(wanted, namespace, key)
    found = parts.manifests()
    if wanted.spec.port_name:
        found.append(service(wanted, parts))
    found.append(deployment(wanted, parts))
    if wanted.spec.ingress is not None:
        found.append(ingress(wanted, parts))
    if wanted.spec.autoscale is not None:
        found.append(autoscaler(wanted, parts))
    return found
