"""Names that we give to things in a cluster, and where the API server keeps each resource. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MANAGER = "fangduoduo-release"  # our field manager in server-side apply
HEIR = f"{MANAGER}-scaled"  # holds the number of replicas for whoever scales it from then on
CONTROLLERS = "kube-controller-manager"  # as which Kubernetes' own controllers write, autoscalers among them
PREFIX = "fangduoduo-release"
SERVICE = f"{PREFIX}/service"  # the service's key; on everything we make, pods too
PROJECT = f"{PREFIX}/project"
VERSION = f"{PREFIX}/version"
GROUP = f"{PREFIX}/group"  # stable or canary
DEPLOYMENT = f"{PREFIX}/deployment"  # the key of the deployment that wrote it; never on pods, which it would replace
GENERATION = f"{PREFIX}/generation"  # an annotation: of the goal that was applied
MANIFEST = f"{PREFIX}/manifest-sha256"  # an annotation: of the whole rendered manifest
RESTARTED = f"{PREFIX}/restarted"  # an annotation of pods; changed, it replaces them all
MAIN = "kubectl.kubernetes.io/default-container"  # an annotation of pods: which container is the service
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API serves it. `group` is "" for the core."""

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    @property
    def key(self) -> str:
        """As rows and selectors of permissions name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path below the server's address; names are those Kubernetes allows, so nothing is to be escaped."""
        start = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return (
            f"{start}{where}/{self.plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
        )


DEPLOYMENTS = Resource("Deployment", "deployments", "apps")
REPLICASETS = Resource("ReplicaSet", "replicasets", "apps")
STATEFULSETS = Resource("StatefulSet", "statefulsets", "apps")
PODS = Resource("Pod", "pods")
SERVICES = Resource("Service", "services")
EVENTS = Resource("Event", "events")
NODES = Resource("Node", "nodes", namespaced=False)
JOBS = Resource("Job", "jobs", "batch")
CRONJOBS = Resource("CronJob", "cronjobs", "batch")
NAMESPACES = Resource("Namespace", "namespaces", namespaced=False)
CONFIGMAPS = Resource("ConfigMap", "configmaps")
SECRETS = Resource("Secret", "secrets")
INGRESSES = Resource("Ingress", "ingresses", "networking.k8s.io")
AUTOSCALERS = Resource("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2")
ACCESS_REVIEWS = Resource(
    "SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", namespaced=False
)

# What informers follow, and what a deployment may be made of.
FOLLOWED = (DEPLOYMENTS, REPLICASETS, PODS, SERVICES, EVENTS, NODES)
DEPLOYABLE = (SECRETS, CONFIGMAPS, SERVICES, DEPLOYMENTS, INGRESSES, AUTOSCALERS)  # in the order they are applied
BY_KEY: Mapping[str, Resource] = {one.key: one for one in (*FOLLOWED, *DEPLOYABLE, STATEFULSETS, NAMESPACES)}


def resource_of(manifest: Mapping[str, Any]) -> Resource | None:
    """Which of the deployable resources a manifest is; None: none of them."""
    kind, version = manifest.get("kind"), manifest.get("apiVersion")
    return next((one for one in DEPLOYABLE if one.kind == kind and one.api_version == version), None)
