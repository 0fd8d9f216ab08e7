"""Which configuration is in use, and whom it concerns when it changes: known above, in apps that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.utils.module_loading import import_string

from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S


def in_use() -> Mapping[str, frozenset[str]]:
    """Which keys somebody is bound to or runs with, by the source's name in bindings; none of the embedded source."""
    found: Mapping[str, frozenset[str]] = import_string(settings.CONFIG_KEYS)()
    return found


def tell(source: str, key: str) -> None:
    """Say above that a key says something new. `source`: as bindings name it."""
    import_string(settings.CONFIG_NEWS)(source, key)


def require_unused(connection: Connection) -> None:
    """Raises Conflict while a project reads its configuration there: it names the connection, and no row would hold it."""
    if connection.kind in settings.DRIVERS["config"] and in_use().get(connection.name):
        sentence = S("Projects still read their configuration from “%(name)s”.", name=connection.name)
        raise Conflict(sentence, code="in_use")
