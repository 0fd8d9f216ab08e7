"""What Traefik is told: its start configuration and one file per service. JSON, which is YAML too.

Must not read the disk or the network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.drivers.traffic.base import Backend, Routing

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")
RETRY = "fdd-retry"
TRANSPORT = "fdd-backends"


@dataclass(frozen=True, slots=True)
class TraefikConfig:
    """`listen`: the address of the stable ports `port_low` to `port_high`; `api_port`: Traefik's own, on loopback only.

    `binary` "" finds the one of the Python environment or of PATH. `memory`: Go's soft limit.
    """

    root: Path
    listen: str = "127.0.0.1"
    port_low: int = 20000
    port_high: int = 20063
    api_port: int = 20099
    binary: str = ""
    memory: str = "96MiB"

    @property
    def ports(self) -> range:
        return range(self.port_low, self.port_high + 1)


def static(config: TraefikConfig, dynamic: Path) -> str:
    """The start configuration: a pool of entry points, the API, the file provider; no phoning home, no access log."""
    entry_points: dict[str, Any] = {
        f"p{port}": {
            "address": f"{config.listen}:{port}",
            "transport": {
                "lifeCycle": {"graceTimeOut": "2s"},
                "respondingTimeouts": {"readTimeout": "10m", "idleTimeout": "3m"},
            },
        }
        for port in config.ports
    }
    entry_points["traefik"] = {"address": f"127.0.0.1:{config.api_port}"}
    return _text(
        {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "entryPoints": entry_points,
            "api": {"insecure": True, "dashboard": False},
            "ping": {"entryPoint": "traefik"},
            "log": {"level": "WARN"},
            "providers": {
                "providersThrottleDuration": "100ms",
                "file": {"directory": str(dynamic), "watch": True},
            },
        }
    )


def common(certificate: Path, key: Path) -> str:
    """What all services share.

    A request whose connection to an instance fails is tried on others. Unused connections to instances close after a
    moment: an instance without connections is an instance without requests, which is how draining knows its end. The
    certificate is there to be had, see `certificate`.
    """
    return _text(
        {
            "http": {
                "middlewares": {RETRY: {"retry": {"attempts": 3, "initialInterval": "10ms"}}},
                "serversTransports": {
                    TRANSPORT: {
                        "maxIdleConnsPerHost": 64,
                        "forwardingTimeouts": {"dialTimeout": "2s", "idleConnTimeout": "100ms"},
                    }
                },
            },
            "tls": {"stores": {"default": {"defaultCertificate": {"certFile": str(certificate), "keyFile": str(key)}}}},
        }
    )


def dynamic(service: str, routing: Routing) -> str:
    """One service: a router on its entry point, the weighted groups, a load balancer per group."""
    groups = {name: found for name, found in routing.backends.items() if found}
    shares = [{"name": f"{service}-{name}", "weight": routing.weights.get(name, 0)} for name in sorted(groups)]
    if not shares:
        groups, shares = {"stable": frozenset()}, [{"name": f"{service}-stable", "weight": 1}]
    services: dict[str, Any] = {service: {"weighted": {"services": shares}}}
    for name, found in groups.items():
        services[f"{service}-{name}"] = {
            "loadBalancer": {
                "servers": [{"url": backend.url} for backend in sorted(found)],
                "serversTransport": TRANSPORT,
            }
        }
    router = {
        "entryPoints": [f"p{routing.port}"],
        "rule": "PathPrefix(`/`)",
        "service": service,
        "middlewares": [RETRY],
    }
    return _text({"http": {"routers": {f"{service}-p{routing.port}": router}, "services": services}})


def effective(routing: Routing) -> Routing:
    """The part of it that a proxy can show: groups with backends and their weights."""
    groups = {name: frozenset(found) for name, found in routing.backends.items() if found}
    return Routing(routing.port, groups, {name: routing.weights.get(name, 0) for name in groups})


def to_json(routing: Routing) -> dict[str, Any]:
    return {
        "port": routing.port,
        "backends": {name: [[b.host, b.port] for b in sorted(found)] for name, found in routing.backends.items()},
        "weights": dict(routing.weights),
    }


def from_json(data: Mapping[str, Any]) -> Routing:
    return Routing(
        port=int(data["port"]),
        backends={name: frozenset(Backend(h, int(p)) for h, p in found) for name, found in data["backends"].items()},
        weights={name: int(weight) for name, weight in data["weights"].items()},
    )


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True) + "\n"
