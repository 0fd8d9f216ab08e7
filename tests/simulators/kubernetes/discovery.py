"""What an API server tells about itself: enough for the official client and for kubectl."""

from __future__ import annotations

from .kinds import ALL, GROUPS, Kind, Object

VERSION = """{
  "major": "1",
  "minor": "33",
  "emulationMajor": "1",
  "emulationMinor": "33",
  "minCompatibilityMajor": "1",
  "minCompatibilityMinor": "32",
  "gitVersion": "v1.33.13",
  "gitCommit": "2df3632e823a813f64218dfc6f5c2e70d28ecdf0",
  "gitTreeState": "clean",
  "buildDate": "2026-11-23T07:52:52Z",
  "goVersion": "go1.24.11",
  "compiler": "gc",
  "platform": "linux/amd64"
}"""
# A document of OpenAPI v2 without definitions, in protocol buffers: kubectl then leaves validation to the server.
OPENAPI_PROTOBUF = b"\n\x032.0\x12\x15\n\nKubernetes\x12\x07v1.33.0B\x00"
OPENAPI = '{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1.33.13"},"paths":{},"definitions":{}}'
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_PLAIN = {"/readyz": "ok", "/livez": "ok", "/healthz": "ok"}


def plain(path: str) -> str | None:
    return _PLAIN.get(path)


def document(path: str) -> Object | None:
    """At `/api`, `/apis`, `/apis/apps`, `/apis/apps/v1` and so on."""
    words = path.strip("/").split("/")
    if words == ["api"]:
        return {
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        }  # fmt: skip
    if words == ["apis"]:
        groups = [_group(name, version) for name, version in GROUPS.items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if words[0] == "apis" and len(words) == 2 and words[1] in GROUPS:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(words[1], GROUPS[words[1]])}
    group, version = ("", words[1]) if words[0] == "api" and len(words) == 2 else ("", "")
    if words[0] == "apis" and len(words) == 3:
        group, version = words[1], words[2]
    if version and (group, version) in {("", "v1"), *GROUPS.items()}:
        return _resources(group, version)
    return None


def _group(name: str, version: str) -> Object:
    only = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [only], "preferredVersion": only}


def _resources(group: str, version: str) -> Object:
    found: list[Object] = []
    for kind in ALL:
        if (kind.group, kind.version) == (group, version):
            found += _resource(kind)
    if group == "authorization.k8s.io":
        for name in ("SelfSubjectAccessReview", "SelfSubjectRulesReview"):
            found.append(
                {
                    "name": f"{name.lower()}s",
                    "singularName": name.lower(),
                    "namespaced": False,
                    "kind": name,
                    "verbs": ["create"],
                }
            )
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}" if group else version,
        "resources": found,
    }  # fmt: skip


def _resource(kind: Kind) -> list[Object]:
    base: Object = {
        "name": kind.plural, "singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name,
        "verbs": _VERBS,
    }  # fmt: skip
    if kind.short:
        base["shortNames"] = list(kind.short)
    if kind.plural in ("pods", "deployments", "services", "replicasets", "statefulsets"):
        base["categories"] = ["all"]
    found = [base]
    subs: list[tuple[str, str, list[str]]] = []
    if kind.status:
        subs.append(("status", kind.name, ["get", "patch", "update"]))
    if kind.plural == "pods":
        subs += [("log", "Pod", ["get"]), ("exec", "PodExecOptions", ["create", "get"])]
    for name, of, verbs in subs:
        found.append(
            {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": of,
                "verbs": verbs,
            }
        )
    if kind.scale:
        found.append(
            {"name": f"{kind.plural}/scale", "singularName": "", "namespaced": True, "group": "autoscaling",
             "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"]}
        )  # fmt: skip
    return found
