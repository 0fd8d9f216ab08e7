"""Where machines may stand in clusters of each kind: what a placement must say, and what it may not. Pure.

Knows the words of placements, no server: whether a namespace exists is found out by the test of the connection.
"""

from __future__ import annotations

from typing import Any

from clusters.drivers.runtime.kubernetes.names import DNS_LABEL
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence

KUBERNETES = "kubernetes"
CONNECTED = frozenset({KUBERNETES})  # kinds that are reached by a connection of the same kind
SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})


def namespace_of(placement: Any) -> str:
    """The namespace a machine's placement names; "" when it names none."""
    return str(placement.get("namespace") or "") if isinstance(placement, dict) else ""


def spelled(placement: Any) -> str:
    """Its namespace as one compares it, however it was written."""
    return namespace_of(placement).strip().lower()


def judged(kind: str, placement: Any) -> dict[str, Any]:
    """The placement as it is stored for a machine on a cluster of this kind. Raises Invalid."""
    if not isinstance(placement, dict):
        raise _bad(S("A placement is an object."))
    if kind != KUBERNETES:
        return placement
    given = placement.get("namespace")
    name = given.strip() if isinstance(given, str) else ""
    if not name:
        raise _bad(S('A machine on a Kubernetes is a namespace of it: name it, {"namespace": "shop-test"}.'))
    if not DNS_LABEL.match(name):
        sentence = S(
            "“%(name)s” cannot be a namespace: lower-case letters, digits and hyphens, 63 at most, neither first nor last a hyphen.",
            name=name[:80],
        )
        raise _bad(sentence)
    if name in SYSTEM_NAMESPACES:
        raise _bad(S("The namespace “%(name)s” belongs to Kubernetes itself.", name=name))
    if others := sorted(set(placement) - {"namespace"}):
        raise _bad(
            S("On a Kubernetes a placement names a namespace and nothing else (“%(name)s”).", name=str(others[0])[:80])
        )
    return {"namespace": name}


def warnings(kind: str, placement: Any) -> list[Sentence]:
    """What is allowed and still better done otherwise."""
    if kind == KUBERNETES and spelled(placement) == "default":
        return [S("Whatever names no namespace lands in “default”; a namespace of its own keeps this machine apart.")]
    return []


def _bad(sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_placement", fields={"placement": [sentence]})
