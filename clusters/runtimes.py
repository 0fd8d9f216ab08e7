"""From a cluster to its runtime driver. Drivers are kept per process: they hold no state but their configuration."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from clusters.drivers.runtime.base import Runtime
from clusters.drivers.runtime.local.runtime import LocalConfig, LocalRuntime
from clusters.drivers.traffic.base import Traffic
from clusters.drivers.traffic.traefik.config import TraefikConfig
from clusters.models import Cluster
from fangduoduo_release.common.drivers import driver_class


@lru_cache(maxsize=1)
def local_traffic() -> Traffic:
    """The embedded proxy of this host."""
    first, last = settings.SERVICE_PORTS
    config = TraefikConfig(
        root=Path(settings.RUNTIME_ROOT) / "traefik",
        listen=settings.SERVICE_LISTEN,
        port_low=first,
        port_high=last,
        api_port=settings.TRAEFIK_API_PORT,
    )
    traffic: Traffic = driver_class(settings.DRIVERS, "traffic", "traefik")(config)
    return traffic


@lru_cache(maxsize=1)
def local_runtime() -> LocalRuntime:
    """The runtime of this host."""
    low, high = settings.INSTANCE_PORTS
    config = LocalConfig(root=Path(settings.RUNTIME_ROOT) / "local", port_low=low, port_high=high)
    return LocalRuntime(config, local_traffic())


def runtime_of(cluster: Cluster) -> Runtime:
    """The driver for the cluster's kind. Raises Invalid for a kind the settings do not name."""
    driver_class(settings.DRIVERS, "runtime", cluster.kind)
    return local_runtime()
