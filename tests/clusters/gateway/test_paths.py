"""A path means one thing or nothing: what it is judged by and what is asked for are the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters.drivers.runtime.kubernetes.names import Resource
from clusters.gateway import paths
from clusters.gateway.kinds import KINDS, SUBRESOURCES, Kind
from clusters.gateway.paths import Target
from clusters.gateway.statuses import Refused

UNKNOWN = "the server could not find the requested resource"


def refused(path: str) -> tuple[int, str]:
    with pytest.raises(Refused) as refusal:
        paths.parse(path)
    return refusal.value.status, str(refusal.value.sentence)


def start(resource: Resource) -> str:
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def targets_of(kind: Kind) -> list[Target]:
    """Everything that the gateway offers of a kind."""
    resource = kind.resource
    within = "shop" if resource.namespaced else ""
    found = [Target(kind), Target(kind, within), Target(kind, within, "web-1"), Target(kind, within, "a.b-c.1")]
    found += [Target(kind, within, "web-1", sub) for sub, of in SUBRESOURCES.items() if resource.plural in of]
    return found


EVERY = [target for kind in KINDS for target in targets_of(kind)]
named = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda name: name.strip("."))
spaces = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("target", EVERY, ids=lambda target: target.path)
def test_what_is_offered_is_read_back_from_its_own_path(target: Target) -> None:
    path = target.path.lstrip("/")
    assert paths.parse(path) == target
    assert paths.parse(f"{path}/") == target
    assert paths.namespace_in(path) == target.namespace


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), spaces, named)
def test_whatever_a_thing_is_called_it_is_asked_for_where_it_was_looked_for(kind: Kind, space: str, name: str) -> None:
    target = Target(kind, space if kind.resource.namespaced else "", name)
    assert paths.parse(target.path.lstrip("/")) == target


pieces = st.sampled_from(
    ["api", "apis", "v1", "v2", "apps", "batch", "namespaces", "shop", "other", "pods", "deployments", "secrets", "nodes",
     "log", "exec", "scale", "web-1", "", ".", "..", "%2e%2e", "SHOP", "shop ", "a/b", "é", "\0", "?x=1", "-", "x" * 300]
)  # fmt: skip


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(pieces, max_size=9))
def test_who_may_is_asked_for_the_very_namespace_that_is_then_read(parts: list[str]) -> None:
    """Two readings of one path that differ would let somebody into a namespace that was never judged."""
    path = "/".join(parts)
    judged = paths.namespace_in(path)
    try:
        target = paths.parse(path)
    except Refused:
        return
    assert target.namespace == judged
    assert target.path == f"/{path.removesuffix('/')}"


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version", "healthz", "openapi/v2", "metrics",
        "/api/v1/pods", "api//v1/pods", "api/v1/namespaces/shop/pods//", "api/v1/namespaces//pods",
        "api/v1/namespaces/../pods", "api/v1/namespaces/shop/pods/..", "api/v1/namespaces/shop/pods/.",
        "api/v1/namespaces/shop/pods/web-1/../web-2", "api/v1/namespaces/shop/pods/a%2fb", "api/v1/namespaces/shop/pods/a b",
        "api/v1/namespaces/SHOP/pods", "api/v1/namespaces/shop/PODS", "api/v1/namespaces/shop/pods/Web",
        "api/v1/namespaces/shop.live/pods", "api/v1/namespaces/-shop/pods", "api/v1/namespaces/shop-/pods",
        "api/v1/namespaces/shop/pods/web-1/log/more", "api/v1/namespaces/shop/pods/web-1\n", "api/v1/pods\0",
        f"api/v1/namespaces/{'x' * 64}/pods", f"api/v1/namespaces/shop/pods/{'x' * 254}", "api/v1/namespaces/shop/pods/wéb",
    ],
)  # fmt: skip
def test_what_is_no_path_is_told_as_the_api_server_tells_it(path: str) -> None:
    assert refused(path) == (404, UNKNOWN)


def test_names_may_be_as_long_as_kubernetes_lets_them() -> None:
    space, name = "x" * 63, "x" * 253
    assert paths.parse(f"api/v1/namespaces/{space}/pods/{name}").name == name


@pytest.mark.parametrize("path", ["api/v1/pods/web-1", "apis/apps/v1/deployments/web"])
def test_an_object_in_a_namespace_is_not_found_without_it(path: str) -> None:
    assert refused(path) == (404, UNKNOWN)


@pytest.mark.parametrize("path", ["api/v1/namespaces/shop/nodes", "api/v1/namespaces/shop/nodes/node-1"])
def test_what_has_no_namespace_is_not_found_in_one(path: str) -> None:
    assert refused(path) == (404, UNKNOWN)


@pytest.mark.parametrize(
    "path", ["api/v1/secrets", "api/v1/namespaces/shop/secrets", "api/v1/namespaces/shop/secrets/db"]
)
def test_secrets_are_never_offered(path: str) -> None:
    assert refused(path) == (403, "The gateway never shows or changes Secrets.")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("api/v1/namespaces", "namespaces"), ("api/v1/namespaces/shop", "namespaces"),
        ("api/v1/persistentvolumes", "persistentvolumes"),
        ("apis/rbac.authorization.k8s.io/v1/clusterroles", "clusterroles.rbac.authorization.k8s.io"),
    ],
)  # fmt: skip
def test_what_belongs_to_the_whole_cluster_is_not_offered(path: str, what: str) -> None:
    assert refused(path) == (403, f"“{what}” belong to the whole cluster; the gateway stays in namespaces.")


@pytest.mark.parametrize(
    ("path", "what", "version"),
    [
        ("api/v1/namespaces/shop/serviceaccounts", "serviceaccounts", "v1"),
        ("apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles", "roles.rbac.authorization.k8s.io", "v1"),
        ("apis/apps/v1beta1/namespaces/shop/deployments", "deployments.apps", "v1beta1"),
        ("apis/apps/v1/namespaces/shop/pods", "pods.apps", "v1"),
        ("api/v1/namespaces/shop/deployments", "deployments", "v1"),
    ],
)  # fmt: skip
def test_a_kind_is_offered_in_its_own_group_and_version_only(path: str, what: str, version: str) -> None:
    assert refused(path) == (403, f"The gateway does not offer “{what}” of {version}.")


@pytest.mark.parametrize(
    ("kind", "sub"),
    [(kind, sub) for kind in KINDS if kind.resource.namespaced
     for sub in ("log", "exec", "scale", "status", "proxy", "portforward", "attach", "eviction", "ephemeralcontainers")
     if kind.resource.plural not in SUBRESOURCES.get(sub, ())],
    ids=lambda one: one if isinstance(one, str) else one.resource.key,
)  # fmt: skip
def test_no_other_way_into_an_object_is_offered(kind: Kind, sub: str) -> None:
    path = f"{start(kind.resource)}/namespaces/shop/{kind.resource.plural}/web-1/{sub}"
    assert refused(path) == (403, f"The gateway does not offer “{sub}” of “{kind.resource.key}”.")


@pytest.mark.parametrize("target", EVERY, ids=lambda target: target.path)
def test_a_status_names_what_its_path_is_about(target: Target) -> None:
    found = target.details
    assert found["kind"] == target.kind.resource.plural
    assert found.get("group", "") == target.kind.resource.group
    assert found.get("name", "") == target.name
    assert all(found.values()), "what is not said is left out"
