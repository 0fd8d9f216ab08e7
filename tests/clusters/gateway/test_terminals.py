"""Who may open a terminal through the gateway: whoever may deploy what runs in the pod."""

from __future__ import annotations

import pytest

from clusters.drivers.runtime.kubernetes.names import PROJECT
from clusters.gateway import terminals
from clusters.models import Cluster
from clusters.terminals import Outcome
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection
from permissions import audit_words
from projects.models import Project
from tests import world

from .rows import pod, put

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
"""
pytestmark = pytest.mark.django_db
OF_WEB = "api/v1/namespaces/shop/pods/web-1/exec"


@pytest.mark.parametrize(
    ("role", "path", "expected"),
    [
        ("viewer", OF_WEB, 403),
        ("developer", OF_WEB, 200),
        ("developer", OF_WEB.replace("web-1", "rival-1"), 403),
        ("developer", OF_WEB.replace("shop", "shop-live"), 403),
        ("maintainer", OF_WEB.replace("shop", "shop-live"), 200),
        ("maintainer", OF_WEB.replace("shop", "other"), 404),
        ("maintainer", OF_WEB.replace("web-1", "none"), 404),
        ("ops", OF_WEB.replace("web-1", "rival-1"), 200),
        ("ops", OF_WEB.replace("shop", "kube-system"), 404),
    ],
)
def test_a_terminal_takes_the_right_to_deploy(
    role: str, path: str, expected: int, cluster: Cluster, shop: Project
) -> None:
    put(
        cluster,
        pod("web-1"),
        pod("web-1", "shop-live"),
        pod("web-1", "other"),
        pod("rival-1", labels={PROJECT: "rival"}),
    )
    user = world.ops() if role == "ops" else world.member(shop, role)
    try:
        terminals.seat(user, "east", path)
        found = 200
    except AppError as error:
        found = error.status
    assert found == expected


def test_it_is_written_down_without_secrets(cluster: Cluster, shop: Project) -> None:
    put(cluster, pod("web-1"))
    cluster.connection = Connection.objects.create(name="east", kind="kubernetes", secrets={"kubeconfig": KUBECONFIG})
    cluster.save()
    found = terminals.PATH.fullmatch(f"/ws/clusters/east/k8s/{OF_WEB}")
    assert found is not None
    door = terminals.plan(found, {"container": "app", "command": "login '--token=abcdefgh 12345'"})
    assert door is not None
    door.check(world.member(shop, "developer"))
    door.record(None)
    row = AuditEntry.objects.get(verb="gateway.exec")
    assert row.after["container"] == "app"
    assert "abcdefgh" not in str(row.after)
    assert "opens a terminal in shop/pods/web-1 (east)" in audit_words.sentence(row)
    door.record(Outcome(1.0, 0, 3, 4))
    closed = AuditEntry.objects.get(verb="gateway.exec_closed")
    assert (closed.after["exit_code"], closed.after["typed_bytes"]) == (0, 3)


@pytest.mark.parametrize("query", [{"container": "No"}, {"command": "'open"}, {"command": "x" * 4001}])
def test_what_means_nothing_opens_nothing(query: dict[str, str]) -> None:
    found = terminals.PATH.fullmatch(f"/ws/clusters/east/k8s/{OF_WEB}")
    assert found is not None
    assert terminals.plan(found, query) is None


def test_the_sockets_path() -> None:
    found = terminals.PATH.fullmatch(f"/ws/clusters/east/k8s/{OF_WEB}")
    assert found is not None
    assert (found["cluster"], found["path"]) == ("east", OF_WEB)
    assert terminals.PATH.fullmatch("/ws/clusters/east/k8s/api/v1/namespaces/../pods/x/exec") is None
