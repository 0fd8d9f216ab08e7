"""From a connection to the build server's driver."""

from __future__ import annotations

from django.conf import settings

from builds.drivers.builder.remote import RemoteBuilder
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.models import Connection


def builder_of(connection: Connection) -> RemoteBuilder:
    """The driver of a build server. Raises Invalid for a kind that is none, or a config that cannot be used."""
    driver = driver_class(settings.DRIVERS, "remote_builder", connection.kind)
    config, secrets = connection.config, connection.secrets or {}
    builder: RemoteBuilder = driver(
        driver.Config(
            url=str(config.get("url") or ""),
            user=str(config.get("user") or ""),
            token=str(secrets.get("token") or ""),
            folder=str(config.get("folder") or "fangduoduo-release"),
            credentials_id=str(config.get("credentials_id") or ""),
            ca=str(config.get("ca") or ""),
        )
    )
    return builder
