"""Connections to Git servers: does one work, and who may have a repository read with its credentials."""

from __future__ import annotations

from typing import Any

from clusters import connecting
from fangduoduo_release.common.errors import Denied, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects.drivers.source.base import Repository
from projects.drivers.source.git_remote import parse_url
from projects.sources import credentials_of, source_of_kind


def look_at_git(connection: Connection) -> dict[str, Any]:
    """Look at the repository that `config.url` names, with the connection's credentials. Raises what the source raises."""
    missing = [] if connection.config.get("url") else ["config.url"]
    if missing:
        sentence = S("Name a repository of this server in “url”, to try the connection on.")
        return connecting.outcome(False, sentence, missing=missing)
    address = str(connection.config["url"])
    state = source_of_kind("git").state(
        Repository(name=connection.name, url=address, credentials=credentials_of(connection))
    )
    if state.empty:
        return connecting.outcome(True, S("The server answers; the repository is empty."))
    return connecting.outcome(
        True, S("The server answers; the default branch is “%(name)s”.", name=state.default_branch)
    )


def require_use(actor: Any, connection: Connection, repository: str) -> None:
    """A connection's credentials travel to the server it was made for and to no other; ops may say otherwise.

    Raises Denied. Without this rule whoever can create a project could have a password sent to a server of their own.
    """
    if policy.is_ops(actor):
        return
    home = _server(str(connection.config.get("url", "")))
    if home is None or home != _server(repository):
        raise Denied(
            S("“%(repository)s” is not on the server of the connection.", repository=repository[:200]),
            rule="connection_server",
            granted_by=["ops"],
        )


def _server(address: str) -> tuple[str, str, int] | None:
    try:
        url = parse_url(address)
    except Invalid:
        return None
    return url.scheme, url.host.lower(), url.port
