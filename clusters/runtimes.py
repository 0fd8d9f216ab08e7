"""From a cluster to its runtime driver. Drivers are kept per process: they hold no state but their configuration."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from clusters import observed
from clusters.drivers.runtime.base import Runtime
from clusters.drivers.runtime.local.runtime import LocalConfig, LocalRuntime
from clusters.drivers.traffic.base import Traffic
from clusters.drivers.traffic.traefik.config import TraefikConfig
from clusters.kubernetes import api_of
from clusters.models import Cluster
from fangduoduo_release.common.drivers import driver_class

SEEN = ("deployments.apps", "replicasets.apps", "pods", "services", "events")
_lock = threading.Lock()
_kept: dict[int, tuple[Any, Runtime]] = {}


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
    """The driver for the cluster's kind. Raises Invalid for a kind the settings do not name, or a bad connection."""
    driver = driver_class(settings.DRIVERS, "runtime", cluster.kind)
    if cluster.kind == "local":
        return local_runtime()
    api = api_of(cluster)
    with _lock:
        kept = _kept.get(cluster.pk)
        if kept is None or kept[0] is not api:
            config = driver.Config(name=cluster.name, key=_key())
            kept = (api, driver(config, api, _reader(cluster.pk)))
            _kept[cluster.pk] = kept
        return kept[1]


def _reader(cluster: int) -> Callable[[str], tuple[Sequence[Mapping[str, Any]], float | None]]:
    """What the informers have seen of one service."""

    def read(key: str) -> tuple[Sequence[Mapping[str, Any]], float | None]:
        sight = observed.of_service(cluster, key, SEEN)
        return sight.objects, sight.age_s

    return read


def _key() -> bytes:
    """Of this installation: hashes that stand in names of objects are of use to nobody who does not have it."""
    return hashlib.sha256(b"kubernetes-names:" + settings.SECRET_KEY.encode()).digest()
