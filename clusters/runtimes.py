"""From a cluster to its runtime driver. Drivers are kept per process: they hold no state but their configuration."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from clusters.drivers.runtime.base import Runtime
from clusters.drivers.runtime.local import LocalConfig
from clusters.drivers.traffic.base import Traffic
from clusters.drivers.traffic.traefik import TraefikConfig
from clusters.models import Cluster
from fangduoduo_release.common.drivers import driver_class


@lru_cache(maxsize=1)
def local_traffic() -> Traffic:
    """The embedded proxy of this host."""
    first, last = settings.SERVICE_PORTS
    config = TraefikConfig(root=Path(settings.RUNTIME_ROOT) / "traefik", first_port=first, last_port=last)
    traffic: Traffic = driver_class(settings.DRIVERS, "traffic", "traefik")(config)
    return traffic


@lru_cache(maxsize=1)
def local_runtime() -> Runtime:
    """The runtime of this host."""
    config = LocalConfig(root=Path(settings.RUNTIME_ROOT) / "local")
    runtime: Runtime = driver_class(settings.DRIVERS, "runtime", "local")(config, local_traffic())
    return runtime


def runtime_of(cluster: Cluster) -> Runtime:
    """The driver for the cluster's kind. Raises Invalid for a kind the settings do not name."""
    driver_class(settings.DRIVERS, "runtime", cluster.kind)
    return local_runtime()
