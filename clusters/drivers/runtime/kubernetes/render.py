"""From the goal of a service to manifests. Pure: the same goal always gives the same manifests.

Where the goal brings manifests of its own (`Wanted.base`) they are taken and filled in (`overlay`); else all is made from the
neutral spec. Nothing here says *when* something was applied: generation and deployment are stamped on afterwards, so that a
manifest can be shown, hashed and approved before there is a deployment.

Config files and secret values lie in objects whose names end in what they hash to: pods that run keep what they were started
with, and going back finds it unchanged.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from clusters.drivers.runtime.base import STABLE, PullSecret, Wanted
from clusters.drivers.runtime.spec import Check
from fangduoduo_release.common import image_names
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from . import names

CONTAINER = "app"
PORT_NAME = "http"
REFERENCE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Manifest = dict[str, Any]


def name_of(wanted: Wanted) -> str:
    """What the service's objects are called in its namespace. Raises Invalid for a project no object can be named after."""
    name = wanted.project if wanted.service.group == STABLE else f"{wanted.project}-{wanted.service.group}"
    if not names.DNS_LABEL.match(name) or not name[0].isalpha() or len(name) > 50:
        sentence = S(
            "“%(name)s” is no name for objects in Kubernetes (small letters, digits and hyphens).", name=name[:100]
        )
        raise Invalid(sentence, code="bad_name")
    return name


def image_of(wanted: Wanted) -> str:
    """The image as pods are told it: by its digest where that is known. Raises Invalid without an image."""
    image, digest = wanted.artifact.image, wanted.artifact.digest
    if not image:
        raise Invalid(
            S("This version has no image, and Kubernetes runs nothing else; let its pipeline push one."),
            code="no_image",
        )
    if not digest:
        return image
    return f"{image_names.without_reference(image)}@{digest}"


def labels_of(wanted: Wanted) -> dict[str, str]:
    """On everything we make. Without the deployment: pods would be replaced for it."""
    return {
        "app.kubernetes.io/name": wanted.project,
        "app.kubernetes.io/managed-by": names.MANAGER,
        names.SERVICE: wanted.service.key,
        names.GROUP: wanted.service.group,
        names.PROJECT: wanted.project,
        **({names.VERSION: wanted.version} if wanted.version else {}),
    }


def selector_of(wanted: Wanted) -> dict[str, str]:
    return {names.SERVICE: wanted.service.key, names.GROUP: wanted.service.group}


class Parts:
    """The objects that go with a Deployment, under names that say what is in them. `key`: of this installation."""

    def __init__(self, wanted: Wanted, namespace: str, key: bytes) -> None:
        self.wanted, self.namespace, self.key = wanted, namespace, key
        self.name = name_of(wanted)
        spec = wanted.spec
        files = {file.path: file.content for file in spec.files}
        self.files_name = f"{self.name}-files-{self._mark(files)}" if files else ""
        self.secret_name = f"{self.name}-env-{self._mark(dict(spec.secrets))}" if spec.secrets else ""
        self.pull_name = f"{self.name}-registry" if wanted.pull is not None else ""

    def _mark(self, values: Mapping[str, str]) -> str:
        text = json.dumps(values, sort_keys=True, ensure_ascii=True).encode()
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:10]

    def metadata(self, name: str) -> Manifest:
        return {"name": name, "namespace": self.namespace, "labels": labels_of(self.wanted)}

    def manifests(self) -> list[Manifest]:
        spec, found = self.wanted.spec, []
        if self.wanted.pull is not None:
            found.append(
                self._secret(self.pull_name, "kubernetes.io/dockerconfigjson", _docker_config(self.wanted.pull))
            )
        if self.secret_name:
            found.append(self._secret(self.secret_name, "Opaque", dict(spec.secrets)))
        if self.files_name:
            data = {key_of(number): file.content for number, file in enumerate(spec.files)}
            found.append(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata(self.files_name), "data": data}
            )
        return found

    def _secret(self, name: str, kind: str, values: Mapping[str, str]) -> Manifest:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": self.metadata(name), "type": kind, "data": data}

    def environment(self) -> list[Manifest]:
        """Of the container: ours first, then people's, then secrets by reference."""
        spec = self.wanted.spec
        plain = {"FDD_PROJECT": self.wanted.project, "FDD_MACHINE": self.wanted.machine, "HOST": "0.0.0.0"}  # noqa: S104 - inside a pod
        plain |= {"PORT": str(spec.port)} if spec.port_name else {}
        found: list[Manifest] = [
            {"name": name, "value": literal(value)} for name, value in (plain | dict(spec.env)).items()
        ]
        for name in spec.secrets:
            found.append({"name": name, "valueFrom": {"secretKeyRef": {"name": self.secret_name, "key": name}}})
        return found

    def volumes(self) -> list[Manifest]:
        return [{"name": "fdd-files", "configMap": {"name": self.files_name}}] if self.files_name else []

    def mounts(self) -> list[Manifest]:
        where = self.wanted.spec.files_at.rstrip("/")
        return [
            {"name": "fdd-files", "mountPath": f"{where}/{file.path}", "subPath": key_of(number), "readOnly": True}
            for number, file in enumerate(self.wanted.spec.files)
        ]


def key_of(number: int) -> str:
    """A file's key in its ConfigMap: keys take no “/”."""
    return f"file-{number:03d}"


def _docker_config(pull: PullSecret) -> dict[str, str]:
    token = base64.b64encode(f"{pull.username}:{pull.password}".encode()).decode()
    entry = {"username": pull.username, "password": pull.password, "auth": token}
    return {".dockerconfigjson": json.dumps({"auths": {pull.host: entry}}, sort_keys=True)}


def literal(text: str) -> str:
    """Text that Kubernetes would otherwise read references into."""
    return text.replace("$(", "$$(")


def word_of(word: str, known: set[str]) -> str:
    """An argument with our references (`${NAME}`) as Kubernetes' own (`$(NAME)`); unknown names stay as they are written."""
    parts, end = [], 0
    for found in REFERENCE.finditer(word):
        parts.append(literal(word[end : found.start()]))
        if found[1]:
            parts.append(found[0][1:])
        else:
            parts.append(f"$({found[2]})" if found[2] in known else found[0])
        end = found.end()
    return "".join(parts) + literal(word[end:])


def probe(check: Check, port: int, command: list[str] | None = None) -> Manifest:
    """A check in Kubernetes' words, which knows whole seconds only."""
    number = check.port or port
    if check.kind == "http":
        how: Manifest = {"httpGet": {"path": check.path, "port": number}}
    elif check.kind == "tcp":
        how = {"tcpSocket": {"port": number}}
    else:
        how = {"exec": {"command": command if command is not None else list(check.command)}}
    delay = {"initialDelaySeconds": math.ceil(check.initial_delay_s)} if check.initial_delay_s else {}
    return {
        **how,
        **delay,
        "periodSeconds": max(1, math.ceil(check.period_s)),
        "timeoutSeconds": max(1, math.ceil(check.timeout_s)),
        "failureThreshold": check.failure_threshold,
    }


def probes(wanted: Wanted) -> Manifest:
    """The probes of the container; one that takes traffic is looked at even when nobody said how."""
    spec = wanted.spec
    checks = {"startup": spec.health.startup, "readiness": spec.health.readiness, "liveness": spec.health.liveness}
    if spec.port_name and checks["readiness"] is None:
        checks["readiness"] = Check("tcp", period_s=1.0)
    return {f"{name}Probe": probe(check, spec.port) for name, check in checks.items() if check is not None}


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
    return found | probes(wanted)


def deployment(wanted: Wanted, parts: Parts) -> Manifest:
    spec = wanted.spec
    pod: Manifest = {"containers": [container(wanted, parts)], "terminationGracePeriodSeconds": grace_of(wanted)}
    if parts.files_name:
        pod["volumes"] = parts.volumes()
    if parts.pull_name:
        pod["imagePullSecrets"] = [{"name": parts.pull_name}]
    metadata: Manifest = {"labels": labels_of(wanted)}
    if wanted.restart_nonce:
        metadata["annotations"] = {names.RESTARTED: wanted.restart_nonce}
    body: Manifest = {
        "selector": {"matchLabels": selector_of(wanted)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "progressDeadlineSeconds": max(1, math.ceil(spec.start_deadline_s)),
        "template": {"metadata": metadata, "spec": pod},
    }
    if spec.autoscale is None:
        body["replicas"] = spec.replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": parts.metadata(parts.name), "spec": body}


def service(wanted: Wanted, parts: Parts) -> Manifest:
    port = {"name": wanted.spec.port_name, "port": wanted.spec.port, "targetPort": wanted.spec.port, "protocol": "TCP"}
    body = {"selector": selector_of(wanted), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": parts.metadata(parts.name), "spec": body}


def ingress(wanted: Wanted, parts: Parts) -> Manifest:
    wish = wanted.spec.ingress
    if wish is None:
        raise ValueError("this service wants no ingress")
    backend = {"service": {"name": parts.name, "port": {"number": wanted.spec.port}}}
    rule = {"host": wish.host, "http": {"paths": [{"path": wish.path, "pathType": "Prefix", "backend": backend}]}}
    body: Manifest = {"rules": [rule]}
    if wish.class_name:
        body["ingressClassName"] = wish.class_name
    if wish.tls_secret:
        body["tls"] = [{"hosts": [wish.host], "secretName": wish.tls_secret}]
    version = names.INGRESSES.api_version
    return {"apiVersion": version, "kind": "Ingress", "metadata": parts.metadata(parts.name), "spec": body}


def autoscaler(wanted: Wanted, parts: Parts) -> Manifest:
    wish = wanted.spec.autoscale
    if wish is None:
        raise ValueError("this service does not scale by itself")
    if not wanted.spec.resources.cpu:
        sentence = S("To scale by the use of its CPU, a service must say how much CPU an instance gets.")
        raise Invalid(sentence, code="autoscale_without_cpu")
    target = {"type": "Utilization", "averageUtilization": wish.cpu_percent}
    body = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": parts.name},
        "minReplicas": wish.low,
        "maxReplicas": wish.high,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
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
