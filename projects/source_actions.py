"""What ops do to servers with repositories: look at their host key, pin it, compare all tips now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.module_loading import import_string

from clusters.actions import save_connection
from fangduoduo_release.audit import trail
from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import AppError, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects.models import Project

KEYS = "projects.drivers.source.gerrit.host_keys"  # loaded where it is asked for: SSH costs 10 MB


@dataclass(frozen=True, slots=True)
class HostKey:
    """What a server shows to strangers; `pinned`: the fingerprints that are pinned for it now, "" for none."""

    line: str
    fingerprint: str
    pinned: str

    @property
    def known(self) -> bool:
        return self.fingerprint in self.pinned.split(", ")


def look_at_host_key(*, actor: Any, connection: Connection, host: str, port: int) -> HostKey:
    """Ask the server for its key. Nothing is written. Ops only. Raises Denied, Invalid, Unavailable, Rejected."""
    policy.require_ops(actor)
    if not reach.HOST.fullmatch(host):
        sentence = S("This is no valid host name.")
        raise Invalid(sentence, fields={"ssh_host": [sentence]})
    line, fingerprint = import_string(f"{KEYS}.offered_host_key")(host, port)
    known = str(connection.config.get("known_hosts", ""))
    try:
        pinned = import_string(f"{KEYS}.pinned_fingerprints")(host, port, known) if known else ""
    except AppError:  # what is stored cannot be read: nothing is pinned
        pinned = ""
    return HostKey(line, fingerprint, pinned)


def pin_host_key(*, actor: Any, connection: Connection, host: str, port: int, line: str) -> Connection:
    """Listen to this server from now on, and to no other: `line` replaces what was pinned for its name. Ops only.
    Raises Denied, Invalid (what else listening needs)."""
    policy.require_ops(actor)
    words = line.split()
    if len(words) != 3:
        sentence = S("These are no lines of a file known_hosts.")
        raise Invalid(sentence, fields={"known_hosts": [sentence]})
    kept = [
        old
        for old in str(connection.config.get("known_hosts", "")).splitlines()
        if old.split()[:1] not in ([], words[:1])
    ]
    config = {**connection.config, "ssh_host": host, "ssh_port": port, "known_hosts": "\n".join([*kept, line.strip()])}
    return save_connection(actor=actor, name=connection.name, config=config, connection=connection)


def compare_now(*, actor: Any, connection: Connection) -> int:
    """Let the tips of all its projects be compared next; returns how many. Ops only. Raises Denied."""
    policy.require_ops(actor)
    with transaction.atomic():
        count = Project.objects.filter(source_connection=connection, archived=False).update(polled_at=None)
        trail.record(actor, "source.compare", connection, after={"projects": count})
    return count
