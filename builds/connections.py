"""From a connection to the build server's driver."""

from __future__ import annotations

from django.conf import settings

from builds.drivers.builder.jenkins import JenkinsConfig
from builds.drivers.builder.remote import RemoteBuilder
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.models import Connection


def builder_of(connection: Connection) -> RemoteBuilder:
    """The driver of a build server. Raises Invalid for a kind that is none, or a config that cannot be used."""
    config, secrets = connection.config, connection.secrets or {}
    made: RemoteBuilder = driver_class(settings.DRIVERS, "remote_builder", connection.kind)(
        JenkinsConfig(
            url=str(config.get("url", "")),
            user=str(config.get("user", "")),
            token=str(secrets.get("token", "")),
            folder=str(config.get("folder") or "fangduoduo-release"),
            credentials_id=str(config.get("credentials_id", "")),
            ca=str(config.get("ca", "")),
        )
    )
    return made
