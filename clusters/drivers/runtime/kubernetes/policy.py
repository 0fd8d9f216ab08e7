"""What nobody may bring into a cluster through the portal, whoever wrote the manifest. Pure.

A machine is a namespace: what reaches beyond it (other namespaces, the whole cluster, the node below) is refused, and so is
what would run with more rights than a container has by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fangduoduo_release.common.sentence import S, Sentence

from .names import DNS_LABEL, Resource, resource_of

OPEN_CAPABILITIES = frozenset({"NET_BIND_SERVICE", "CHOWN", "SETUID", "SETGID", "KILL", "DAC_OVERRIDE", "FOWNER"})
SERVICE_TYPES = frozenset({"", "ClusterIP", "NodePort", "LoadBalancer"})
RUN_ON_NODES = frozenset({"gitRepo", "flexVolume"})  # git, or a vendor's program, as the node's root
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def refusals(manifest: Any, namespace: str, resource: Resource | None = None) -> tuple[Sentence, ...]:
    """Why this manifest may not go into `namespace`; () when it may. `resource`: the kind that was judged elsewhere."""
    if not isinstance(manifest, Mapping):
        return (S("A manifest is an object with apiVersion, kind and metadata."),)
    kind = str(manifest.get("kind") or "?")[:60]
    if resource is None and resource_of(manifest) is None:
        version = str(manifest.get("apiVersion") or "?")[:60]
        return (
            S("Objects of kind “%(kind)s” (%(version)s) are not deployed by the portal.", kind=kind, version=version),
        )
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        return (S("The %(kind)s has no name.", kind=kind),)
    name = metadata["name"]
    found: list[Sentence] = []
    if not all(DNS_LABEL.match(part) for part in name.split(".")) or len(name) > 253:
        found.append(S("“%(name)s” is no name in Kubernetes.", name=name[:100]))
    elsewhere = metadata.get("namespace")
    if elsewhere not in (None, "", namespace):
        found.append(
            S(
                "The %(kind)s “%(name)s” is for the namespace “%(other)s”; this machine is “%(namespace)s”.",
                kind=kind, name=name[:100], other=str(elsewhere)[:63], namespace=namespace,
            )
        )  # fmt: skip
    spec = manifest.get("spec")
    if kind == "Service" and isinstance(spec, Mapping):
        found += _service(spec, name)
    for pod in pod_specs(manifest):
        found += _pod(pod, kind, name)
    found += _notes(manifest, kind, name)
    return tuple(found)


def pod_specs(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The specs of pods that a manifest would make."""
    for template in _templates(manifest):
        if isinstance(template.get("spec"), Mapping):
            yield template["spec"]


def _templates(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The pods that a manifest would make: their metadata and spec."""
    spec = manifest.get("spec")
    if not isinstance(spec, Mapping):
        return
    if manifest.get("kind") == "Pod":
        yield manifest
    template = spec.get("template")
    if manifest.get("kind") == "CronJob" and isinstance(spec.get("jobTemplate"), Mapping):
        inner = spec["jobTemplate"].get("spec")
        template = inner.get("template") if isinstance(inner, Mapping) else None
    if isinstance(template, Mapping):
        yield template


def _notes(manifest: Mapping[str, Any], kind: str, name: str) -> Iterator[Sentence]:
    """Before 1.30 a guard was taken off by an annotation of the pods; servers still heed it."""
    waiting: list[Any] = [manifest]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Mapping):
            continue
        waiting += [one.get(key) for key in ("spec", "template", "jobTemplate")]
        metadata = one.get("metadata")
        notes = metadata.get("annotations") if isinstance(metadata, Mapping) else None
        for note, value in notes.items() if isinstance(notes, Mapping) else ():
            if str(note).startswith(APPARMOR) and value == "unconfined":
                where = {"kind": kind, "name": name[:100]}
                yield S(
                    "The %(kind)s “%(name)s” takes off the guard “%(word)s”; that is not allowed.",
                    word="appArmorProfile", **where,
                )  # fmt: skip


def _service(spec: Mapping[str, Any], name: str) -> Iterator[Sentence]:
    if spec.get("externalIPs") or str(spec.get("type") or "") not in SERVICE_TYPES:
        yield S("The Service “%(name)s” would send its callers to addresses outside the cluster.", name=name[:100])


def _pod(pod: Mapping[str, Any], kind: str, name: str) -> Iterator[Sentence]:
    where = {"kind": kind, "name": name[:100]}
    for word in _HOST:
        if pod.get(word):
            yield S(
                "The %(kind)s “%(name)s” wants “%(word)s”, the node's own; that is not allowed.", word=word, **where
            )
    yield from _confinement(pod, where)
    for volume in _items(pod, "volumes"):
        for word in sorted(RUN_ON_NODES & set(volume)):
            yield S(
                "The %(kind)s “%(name)s” mounts a “%(word)s”, which runs programs on the node; that is not allowed.",
                word=word, **where,
            )  # fmt: skip
        if "hostPath" in volume:
            yield S("The %(kind)s “%(name)s” mounts a path of the node (hostPath); that is not allowed.", **where)
    for group in _CONTAINERS:
        for container in _items(pod, group):
            yield from _container(container, where)


def _container(container: Mapping[str, Any], where: Mapping[str, str]) -> Iterator[Sentence]:
    security = _security(container)
    if security.get("privileged") or security.get("allowPrivilegeEscalation"):
        yield S("The %(kind)s “%(name)s” wants a privileged container; that is not allowed.", **where)
    capabilities = security.get("capabilities")
    added = capabilities.get("add") if isinstance(capabilities, Mapping) else None
    wrong = [
        str(one)
        for one in (added if isinstance(added, list) else [added] if added else [])
        if str(one).removeprefix("CAP_") not in OPEN_CAPABILITIES
    ]
    if wrong:
        yield S(
            "The %(kind)s “%(name)s” wants the capability “%(word)s”; that is not allowed.", word=wrong[0][:40], **where
        )
    if security.get("procMount") not in (None, "Default"):
        yield S("The %(kind)s “%(name)s” wants an unmasked /proc; that is not allowed.", **where)
    yield from _confinement(container, where)
    for port in _items(container, "ports"):
        if port.get("hostPort"):
            yield S("The %(kind)s “%(name)s” wants a port of the node (hostPort); that is not allowed.", **where)


def _confinement(holder: Mapping[str, Any], where: Mapping[str, str]) -> Iterator[Sentence]:
    """What of the node's own guards a pod, or one of its containers, would take off."""
    security = _security(holder)
    for word in ("seccompProfile", "appArmorProfile"):
        profile = security.get(word)
        if isinstance(profile, Mapping) and profile.get("type") == "Unconfined":
            yield S("The %(kind)s “%(name)s” takes off the guard “%(word)s”; that is not allowed.", word=word, **where)
    windows = security.get("windowsOptions")
    if isinstance(windows, Mapping) and windows.get("hostProcess"):
        yield S("The %(kind)s “%(name)s” wants a process of the node (hostProcess); that is not allowed.", **where)


def _security(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    context = holder.get("securityContext")
    return context if isinstance(context, Mapping) else {}


def _items(holder: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    found = holder.get(name)
    for one in found if isinstance(found, list) else []:
        if isinstance(one, Mapping):
            yield one
