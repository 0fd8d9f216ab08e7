"""Connections to Consul servers: what they have to say, and whether they work."""

from __future__ import annotations

from typing import Any

from clusters import connecting
from clusters.config_store import Sightings
from clusters.configs import access_of
from clusters.drivers.config.binding import RESERVED
from clusters.drivers.config.consul import ConsulAccess, ConsulConfig
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S


def check_consul(connection: Connection) -> None:
    """What the driver asks of its config. Raises Invalid, naming each field that is wrong."""
    if connection.name in RESERVED:  # a binding that names it would mean the portal's own texts
        sentence = S("“%(name)s” is what the portal calls its own texts; give it another name.", name=connection.name)
        raise Invalid(sentence, code="bad_connection", fields={"name": [sentence]})
    access_of(ConsulAccess, connection)


def look_at_consul(connection: Connection) -> dict[str, Any]:
    """Whether it is a Consul, and lets us read our keys. Raises what the driver raises."""
    facts = ConsulConfig(access_of(ConsulAccess, connection), Sightings(connection)).check()
    return connecting.outcome(not facts.missing, facts.sentence, version=facts.version, missing=facts.missing)
