"""What a service spec is made of: plain values without any rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One health check. `kind` is http, tcp or exec; times in seconds.

    `port` 0 means the service's own port. An http check passes on a status of 200 to 399.
    """

    kind: str
    path: str = "/"
    port: int = 0
    command: tuple[str, ...] = ()
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """Readiness decides who gets traffic, liveness who is restarted, startup holds both back until it passed once.

    With no readiness check a service that has a port is checked by a TCP connect to it.
    """

    readiness: Check | None = None
    liveness: Check | None = None
    startup: Check | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """`cpu` in cores (0: no limit), `memory` in bytes (0: no limit)."""

    cpu: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A text file written relative to the working directory before the process starts."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Autoscale:
    """How many instances there are is left to the cluster, between `low` and `high`, by their use of `cpu_percent`."""

    low: int
    high: int
    cpu_percent: int = 80


@dataclass(frozen=True, slots=True)
class Ingress:
    """Under which host (and path) people outside reach it, on kinds that have such. `tls_secret`: of its certificate."""

    host: str
    path: str = "/"
    class_name: str = ""
    tls_secret: str = ""
