"""Connections to Jenkins servers and image registries: what they have to say, whether they work, and the builder behind one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from builds.drivers.builder.remote import RemoteBuilder
from builds.registries import registry_of
from clusters import connecting
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S

DEFAULT_FOLDER = "fangduoduo-release"


def builder_of(connection: Connection) -> RemoteBuilder:
    """The builder behind a connection. Raises Invalid, naming each field that is wrong."""
    driver = driver_class(settings.DRIVERS, "remote_builder", connection.kind)  # its libraries are loaded only now
    config, secrets = connection.config, connection.secrets or {}
    builder: RemoteBuilder = driver(
        driver.Config(
            url=_text(config, "url").rstrip("/"),
            user=_text(config, "user"),
            token=_text(secrets, "token"),
            folder=_text(config, "folder").strip("/") or DEFAULT_FOLDER,
            credentials_id=_text(config, "credentials_id"),
            ca=_text(config, "ca"),
        )
    )
    return builder


def check_jenkins(connection: Connection) -> None:
    """What the driver asks of its config. Raises Invalid, naming each field that is wrong."""
    builder_of(connection)


def check_registry(connection: Connection) -> None:
    """What the driver asks of its config. Raises Invalid, naming each field that is wrong."""
    registry_of(connection)


def look_at_jenkins(connection: Connection) -> dict[str, Any]:
    """Version, who we are, and what the user or the server lacks. Raises what the driver raises."""
    facts = builder_of(connection).check()
    fine = S("Jenkins %(version)s answers; signed in as “%(user)s”.", version=facts.version, user=facts.user)
    lacking = S("Jenkins %(version)s answers, but something that the portal needs is missing.", version=facts.version)
    sentence = facts.sentence or (lacking if facts.missing else fine)
    return connecting.outcome(not facts.missing, sentence, version=facts.version, missing=facts.missing)


def look_at_registry(connection: Connection) -> dict[str, Any]:
    """Whether it is a registry and lets us in. Raises what the driver raises."""
    facts = registry_of(connection).check()
    return connecting.outcome(True, facts.sentence, version=facts.version)


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "").strip()
