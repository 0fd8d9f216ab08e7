"""Connections to Kubernetes: what they have to say, and what the test of one finds out."""

from __future__ import annotations

from typing import Any

from clusters import connecting
from clusters.drivers.runtime.kubernetes.access import judge_reach
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.checking import check
from clusters.kubernetes import access_from
from clusters.placing import namespace_of
from fangduoduo_release.common.errors import Invalid, Unavailable
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence

KNOWN = frozenset({"context", "in_cluster"})


def check_kubernetes(connection: Connection) -> None:
    """What can be judged without asking the server. Raises Invalid, naming each field that is wrong."""
    config = connection.config
    for name in sorted(set(config) - KNOWN):
        raise _wrong("config", S("A connection to a Kubernetes has no “%(name)s”.", name=str(name)[:80]))
    if not isinstance(config.get("in_cluster", False), bool):
        raise _wrong("in_cluster", S("“in_cluster” is true or false."))
    if not isinstance(config.get("context") or "", str):
        raise _wrong("context", S("“context” is the name of a context of the kubeconfig."))
    if config.get("in_cluster") and (connection.secrets or {}).get("kubeconfig"):
        raise _wrong("in_cluster", S("Give a kubeconfig or use the pod's own account, not both."))
    access = access_from(connection)
    try:
        judge_reach(access.server)
    except Unavailable:
        pass  # a name that cannot be found today; the test says so
    except Invalid as error:
        raise _wrong("kubeconfig", error.sentence) from error


def look_at_kubernetes(connection: Connection) -> dict[str, Any]:
    """Version, who we are, and what the account may not do in the machines' namespaces. Raises what the driver raises."""
    found = {name for placement in connecting.PLACEMENTS.get() if (name := namespace_of(placement))}
    namespaces = sorted(found)
    api = Api(access_from(connection))
    try:
        facts = check(api, namespaces)
    finally:
        api.close()
    return connecting.outcome(
        facts.ok,
        facts.sentence,
        version=facts.version,
        missing=facts.missing,
        lost=facts.lost,
        user=facts.user,
        namespaces=namespaces,
    )


def _wrong(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_connection", fields={field: [sentence]})
