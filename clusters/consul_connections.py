"""Connections to Consul servers: what they have to say, and whether they work."""

from __future__ import annotations

from typing import Any

from clusters import connecting
from clusters.config_store import Sightings
from clusters.configs import access_of
from clusters.drivers.config.consul import ConsulAccess, ConsulConfig
from fangduoduo_release.common.models import Connection


def check_consul(connection: Connection) -> None:
    """What the driver asks of its config. Raises Invalid, naming each field that is wrong."""
    access_of(ConsulAccess, connection)


def look_at_consul(connection: Connection) -> dict[str, Any]:
    """Whether it is a Consul, and lets us read our keys. Raises what the driver raises."""
    facts = ConsulConfig(access_of(ConsulAccess, connection), Sightings(connection)).check()
    return connecting.outcome(not facts.missing, facts.sentence, version=facts.version, missing=facts.missing)
