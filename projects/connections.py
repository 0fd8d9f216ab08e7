"""Connections to Git servers: does one work, and who may have a repository read with its credentials."""

from __future__ import annotations

from typing import Any

from clusters import connecting
from fangduoduo_release.common.errors import Denied, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from projects.drivers.source.base import Repository
from projects.drivers.source.git_remote import parse_url
from projects.sources import credentials_of, source_of_kind

TRY_S = 2.5  # each request of a test; somebody waits for it
CLOCKS_APART_S = 30.0


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


def check_gerrit(connection: Connection) -> None:
    """What the driver asks of its config. Raises Invalid, naming each field that is wrong."""
    source_of_kind("gerrit", connection)


def look_at_gerrit(connection: Connection) -> dict[str, Any]:
    """Version, who we are, what the account lacks, and whether it may listen. Raises what the driver raises."""
    quick = Connection(kind="gerrit", config={**connection.config, "timeout_s": TRY_S}, secrets=connection.secrets)
    source: Any = source_of_kind("gerrit", quick)
    facts = source.check()
    heard = source.look_ssh()
    missing = list(facts.missing)
    if heard is not None and not heard.streams and "streamEvents" not in missing:
        missing.append("streamEvents")
    return connecting.outcome(not missing, _said(facts, heard, missing), version=facts.version, missing=missing)


def _said(facts: Any, heard: Any, missing: list[str]) -> Sentence:
    if missing:
        return S(
            "Gerrit %(version)s answers; the user “%(user)s” lacks the global capability %(missing)s.",
            version=facts.version,
            user=facts.user,
            missing=", ".join(missing),
        )
    if facts.skew_s is not None and abs(facts.skew_s) > CLOCKS_APART_S:
        return S(
            "Gerrit %(version)s answers; signed in as “%(user)s”. Its clock is %(seconds)s s off ours.",
            version=facts.version,
            user=facts.user,
            seconds=round(abs(facts.skew_s)),
        )
    if heard is None:
        return S(
            "Gerrit %(version)s answers; signed in as “%(user)s”. Without an SSH host the portal does not listen to it.",
            version=facts.version,
            user=facts.user,
        )
    return S(
        "Gerrit %(version)s answers over HTTP and SSH; signed in as “%(user)s”.", version=facts.version, user=facts.user
    )


def require_use(actor: Any, connection: Connection, repository: str, *, create: bool = False) -> None:
    """A connection's credentials travel to the server it was made for and to no other; ops may say otherwise.

    On a Gerrit they read what their own account may read: making a new repository there is for whoever makes projects,
    binding one that is there for those whom Gerrit itself lets read it (by the same user name).

    Raises Denied. Without this rule whoever can create a project could have a password sent to a server of their own, or
    read through the portal what is kept from them. Also NotFound, Unavailable, Rejected (Gerrit).
    """
    if policy.is_ops(actor) or (connection.kind == "gerrit" and create):
        return
    if connection.kind == "gerrit":
        _require_reader(actor, connection, repository)
        return
    home = _server(str(connection.config.get("url", "")))
    if home is None or home != _server(repository):
        raise Denied(
            S("“%(repository)s” is not on the server of the connection.", repository=repository[:200]),
            rule="connection_server",
            granted_by=["ops"],
        )


def _require_reader(actor: Any, connection: Connection, repository: str) -> None:
    source: Any = source_of_kind("gerrit", connection)
    may = source.may_read(Repository(name=repository), actor.username)
    if may:
        return
    if may is None:
        sentence = S(
            "Whether you may read “%(repository)s” cannot be asked of Gerrit: “%(user)s” lacks the capability “View "
            "Access” there. Ops can bind it.",
            repository=repository[:200],
            user=source.config.username,
        )
    else:
        sentence = S(
            "Gerrit has no user “%(user)s” who may read “%(repository)s”. Ops can bind it.",
            user=actor.username,
            repository=repository[:200],
        )
    raise Denied(sentence, rule="repository_reader", granted_by=["ops"])


def _server(address: str) -> tuple[str, str, int] | None:
    try:
        url = parse_url(address)
    except Invalid:
        return None
    return url.scheme, url.host.lower(), url.port
