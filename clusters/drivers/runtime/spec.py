"""The neutral service spec: what people edit and every runtime kind renders in its own way.

Pure values with their own validation, so that the API, the page and a driver all refuse the same things with the same
sentence. Must not know any runtime kind, any model or where the values are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fangduoduo_release.common.sentence import S

from .spec_parts import Autoscale, Check, ConfigFile, HealthChecks, Ingress, Resources
from .spec_reader import MAX_REPLICAS, PORT_NAME, RESERVED_ENV, Reader, parse_cpu, parse_memory, safe_path

__all__ = [
    "RESERVED_ENV",
    "Autoscale",
    "Check",
    "ConfigFile",
    "HealthChecks",
    "Ingress",
    "Resources",
    "ServiceSpec",
    "parse_cpu",
    "parse_memory",
    "safe_path",
]  # fmt: skip
FILES_AT = "/app"
FETCH_S = 240.0  # what taking an image to a node that does not have it yet may take, before an instance starts


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What runs, how many times, and how one knows that it is well.

    `command` is an argv, never a shell line, and empty where an image says itself what it starts; `${NAME}` in it is replaced by the instance's environment variable of that
    name (`${PORT}`, `${HOST}`, …), `$${` by a literal `${`, an unknown name stays as written. `port` is the number the
    process is told on kinds that give each instance an address of its own; the local kind picks one per instance. A
    `port_name` of "" means that the service takes no traffic. `start_deadline_s`: how long a new instance may take to
    become ready, once its image is there. `drain_s`: how long an instance that gets no new requests may finish old ones. `stop_grace_s`: from
    SIGTERM to SIGKILL. `files_at`: where config files lie on kinds that start images (their working directory is not known).
    """

    command: tuple[str, ...]
    replicas: int = 1
    port: int = 8080
    port_name: str = "http"
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    resources: Resources = field(default_factory=Resources)
    health: HealthChecks = field(default_factory=HealthChecks)
    files: tuple[ConfigFile, ...] = ()
    drain_s: float = 10.0
    stop_grace_s: float = 5.0
    start_deadline_s: float = 60.0
    autoscale: Autoscale | None = None
    ingress: Ingress | None = None
    files_at: str = FILES_AT

    def as_json(self) -> dict[str, Any]:
        """The spec as plain JSON values, without the secrets' values (their names only)."""
        data = asdict(self)
        data["secrets"] = sorted(self.secrets)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> ServiceSpec:
        """Read the API's form. Raises Invalid with the sentences of every broken field (`fields`)."""
        reader = Reader(data)
        known = {"command", "replicas", "port", "port_name", "env", "secrets", "resources", "health_check", "health",
                 "files", "drain_s", "stop_grace_s", "start_deadline_s", "config", "autoscale",
                 "ingress", "files_at"}  # fmt: skip
        for name in sorted(set(data) - known):
            reader.wrong(name, S("There is no field “%(name)s” in a service spec.", name=name))
        given = secrets if secrets is not None else data.get("secrets", {})
        port_name = data.get("port_name", "http")
        if not isinstance(port_name, str) or (port_name and not PORT_NAME.match(port_name)):
            reader.wrong("port_name", S("A port name has at most 15 small letters, digits and hyphens."))
        spec = cls(
            command=reader.command(data["command"], "command") if "command" in data else (),
            replicas=reader.whole("replicas", 1, 0, MAX_REPLICAS),
            port=reader.whole("port", 8080, 1, 65535),
            port_name=str(port_name),
            env=reader.environment(data.get("env", {}), "env"),
            secrets=reader.environment(given, "secrets"),
            resources=reader.resources(data.get("resources", {})),
            health=reader.health(data.get("health_check", data.get("health", {}))),
            files=reader.files(data.get("files", [])),
            drain_s=reader.seconds(data, "drain_s", 10.0, 0, 3600),
            stop_grace_s=reader.seconds(data, "stop_grace_s", 5.0, 0, 600),
            start_deadline_s=reader.seconds(data, "start_deadline_s", 60.0, 1, 3600),
            autoscale=reader.autoscale(data.get("autoscale")),
            ingress=reader.ingress(data.get("ingress")),
            files_at=reader.folder(data.get("files_at", FILES_AT)),
        )
        reader.needs_a_port(spec)
        reader.finish()
        return spec
