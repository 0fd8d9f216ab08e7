"""Kubernetes' paths as the gateway reads them. What is not plainly one of ours is refused before anything is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusters.drivers.runtime.kubernetes.names import DNS_LABEL
from clusters.gateway.kinds import BY_PATH, SUBRESOURCES, Kind
from clusters.gateway.statuses import Refused
from fangduoduo_release.common.sentence import S

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
WORD = re.compile(r"[a-z0-9.-]{1,100}\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means. `namespace` "" : all that one may read, or a kind without namespaces; `name` "": the list."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        """The same at the API server."""
        return self.kind.resource.path(self.namespace, self.name, self.subresource)

    @property
    def details(self) -> dict[str, str]:
        """As a Status names it."""
        group = self.kind.resource.group
        return {
            **({"name": self.name} if self.name else {}),
            **({"group": group} if group else {}),
            "kind": self.kind.resource.plural,
        }


def namespace_in(path: str) -> str:
    """The namespace that a path speaks of, whatever else it says; "" when it names none."""
    parts = path.strip("/").split("/")
    at = 3 if parts[0] == "apis" else 2
    return parts[at + 1] if len(parts) > at + 2 and parts[at] == "namespaces" else ""


def parse(path: str) -> Target:
    """The target of a path below `/k8s/`. Raises Refused: 404 for what is no such path, 403 for what is not offered."""
    parts = path.removesuffix("/").split("/")
    if not all(WORD.match(part) or NAME.match(part) for part in parts) or ".." in parts or "." in parts:
        raise unknown()
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise unknown()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3:
        namespace, rest = rest[1], rest[2:]
        if not DNS_LABEL.match(namespace):
            raise unknown()
    if len(rest) > 3:
        raise unknown()
    plural, name, subresource = (*rest, "", "")[:3]
    return _judged(group, version, namespace, plural, name, subresource)


def _judged(group: str, version: str, namespace: str, plural: str, name: str, subresource: str) -> Target:
    kind = BY_PATH.get((group, version, plural))
    what = f"{plural}.{group}" if group else plural
    details = {"kind": plural, **({"group": group} if group else {})}
    if kind is None:
        if plural == "secrets":
            raise Refused(403, S("The gateway never shows or changes Secrets."), details=details)
        if not namespace:
            raise Refused(
                403, S("“%(what)s” belong to the whole cluster; the gateway stays in namespaces.", what=what),
                details=details,
            )  # fmt: skip
        raise Refused(403, S("The gateway does not offer “%(what)s” of %(version)s.", what=what, version=version), details=details)  # fmt: skip
    if kind.resource.namespaced and not namespace and name:
        raise unknown()
    if not kind.resource.namespaced and namespace:
        raise unknown()
    if subresource and plural not in SUBRESOURCES.get(subresource, ()):
        raise Refused(
            403, S("The gateway does not offer “%(sub)s” of “%(what)s”.", sub=subresource, what=what), details=details
        )
    return Target(kind, namespace, name, subresource)


def unknown() -> Refused:
    """As the API server says it of an address that it does not serve."""
    return Refused(404, S("the server could not find the requested resource"))
