"""Pages of clusters: what everybody sees, what ops see besides, and that no API server is asked for any of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from clusters.models import Cluster, ClusterFeed, ClusterObject, Machine
from clusters.observed import pack
from clusters.standing import nodes_of
from deployments.models import Service
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions.models import User
from tests import world

pytestmark = pytest.mark.django_db
TEST = {
    "ok": False,
    "version": "1.33.13",
    "sentence": S("Works").as_json(),
    "missing": [S("may not %(verbs)s %(resource)s in %(namespace)s", verbs="patch", resource="deployments.apps", namespace="shop-test").as_json()],
    "lost": [S("There are no terminals in %(namespace)s.", namespace="shop-test").as_json()],
    "namespaces": ["shop-test"],
    "at": "2026-11-26T00:00:00+00:00",
}  # fmt: skip


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def cluster() -> Cluster:
    """A cluster whose API server is nowhere: whoever asked it would fail."""
    kubeconfig = {"kubeconfig": "a: planted-kubeconfig"}
    connection = Connection.objects.create(name="k8s-hidden", kind="kubernetes", secrets=kubeconfig, last_test=TEST)
    return Cluster.objects.create(name="prod-1", kind="kubernetes", connection=connection, description="In Beijing")


@pytest.fixture
def machine(cluster: Cluster) -> Machine:
    return Machine.objects.create(name="shop-a", cluster=cluster, placement={"namespace": "shop-test"})


def follow(cluster: Cluster, state: str = "live", seconds: float = 1, **more: Any) -> None:
    seen = timezone.now() - timedelta(seconds=seconds)
    for resource in ("pods", "deployments.apps", "nodes"):
        ClusterFeed.objects.create(
            cluster=cluster, resource=resource, state=state, seen_at=seen, synced_at=seen, objects_count=7, **more
        )


def node(cluster: Cluster, name: str = "node-7", **spec: Any) -> None:
    body = {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "3920m", "memory": "16384000Ki", "pods": "110"},
            "nodeInfo": {"kubeletVersion": "v1.33.1", "operatingSystem": "linux", "architecture": "arm64"},
        },
    }
    ClusterObject.objects.create(
        cluster=cluster, resource="nodes", name=name, uid=name, resource_version="1", seq=1, body=pack(body),
        changed_at=timezone.now(),
    )  # fmt: skip


def page(user: User, path: str = "/clusters/prod-1/") -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_ops_see_nodes_what_lacks_and_what_is_followed(cluster: Cluster, machine: Machine) -> None:
    follow(cluster)
    node(cluster, unschedulable=True)
    html = page(world.ops())
    for words in (
        *("1.33.13", "shop-test", "In Beijing", "node-7", "3.92", "15.6 GiB", "110", "arm64", "takes no new pods"),
        *("may not patch deployments.apps in shop-test", "There are no terminals in shop-test.", "rbac.yaml"),
        *('data-state="live"', "deployments.apps", "/admin/common/connection/", "Test the connection"),
    ):
        assert words in html, words
    assert "planted-kubeconfig" not in html


def test_everybody_else_sees_machines_and_their_own_services(cluster: Cluster, machine: Machine) -> None:
    follow(cluster)
    node(cluster)
    ann = world.person("ann")
    mine, other = world.bare_project(ann, "shop"), world.bare_project(world.person(), "secret-app")
    for project in (mine, other):
        Service.objects.create(project=project, machine=machine, state="healthy", ready=2, total=2)
    html = page(ann)
    for words in ("shop-a", "shop-test", "/projects/shop/", "2/2", 'data-state="healthy"'):
        assert words in html, words
    for hidden in ("secret-app", "node-7", "may not patch", "/admin/", "k8s-hidden", "Resource"):
        assert hidden not in html, hidden
    assert "secret-app" in page(world.ops())


@pytest.mark.parametrize(
    ("state", "seconds", "shown", "words"),
    [
        ("live", 1, "live", ""),
        ("live", 3600, "old", "see whether the process “watch” runs"),
        ("syncing", 1, "syncing", ""),
        ("down", 1, "unreachable", "The API server does not answer."),
    ],
)
def test_how_well_it_is_followed_is_a_word_an_age_and_a_reason(
    cluster: Cluster, state: str, seconds: float, shown: str, words: str
) -> None:
    trouble = S("The API server does not answer.").as_json() if state == "down" else None
    follow(cluster, state, seconds, trouble=trouble)
    for path in ("/clusters/prod-1/", "/clusters/"):
        assert f'data-state="{shown}"' in page(world.person(), path)
    assert words in page(world.person())


def test_a_cluster_that_nobody_has_begun_to_follow_teaches_what_does(cluster: Cluster) -> None:
    html = page(world.person())
    assert 'data-state="waiting"' in html
    assert "begins within seconds where the process “watch” runs" in html


def test_namespaces_that_were_never_asked_about_are_named(cluster: Cluster, machine: Machine) -> None:
    Machine.objects.create(name="shop-b", cluster=cluster, placement={"namespace": "shop-live"})
    assert "Not asked about yet: shop-live." in page(world.ops())


def test_machines_say_in_which_namespace_of_what_they_are(cluster: Cluster, machine: Machine) -> None:
    world.machine("here")
    html = page(world.person(), "/machines/")
    assert 'Kubernetes · namespace <code class="nowrap">shop-test</code>' in html
    assert 'href="/clusters/prod-1/"' in html
    assert 'href="/clusters/local/"' in html


def test_this_host_is_a_cluster_too() -> None:
    world.machine("here")
    for user in (world.ops(), world.person()):
        html = page(user, "/clusters/local/")
        assert 'data-state="direct"' in html
        assert "this host" in html
        assert "Nodes" not in html


def test_without_clusters_the_page_teaches_the_first_step() -> None:
    assert "Connect a Kubernetes by its kubeconfig" in page(world.ops(), "/clusters/")
    assert "Ops adds clusters and machines" in page(world.person(), "/clusters/")


def test_a_cluster_that_is_not_there_is_not_found() -> None:
    client = Client()
    client.force_login(world.person())
    assert client.get("/clusters/moon/").status_code == 404


def test_pages_cost_the_same_with_many_machines(cluster: Cluster, django_assert_max_num_queries: Any) -> None:
    ops = world.ops()
    client = Client()
    client.force_login(ops)
    for number in range(40):
        Machine.objects.create(name=f"m-{number}", cluster=cluster, placement={"namespace": f"n-{number}"})
        node(cluster, f"node-{number}")
    client.get("/clusters/prod-1/")
    for path in ("/clusters/prod-1/", "/clusters/"):
        with django_assert_max_num_queries(14):
            client.get(path)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("16384000Ki", 16_777_216_000), ("4Gi", 4 << 30), ("128974848", 128_974_848), ("1.5G", 1_500_000_000), ("", None), ("x", None)],
)  # fmt: skip
def test_memory_is_read_as_kubernetes_writes_it(cluster: Cluster, quantity: str, expected: int | None) -> None:
    body = {"metadata": {"name": "n"}, "status": {"capacity": {"memory": quantity, "cpu": "4"}}}
    ClusterObject.objects.create(
        cluster=cluster, resource="nodes", name="n", uid="n", resource_version="1", seq=1, body=pack(body),
        changed_at=timezone.now(),
    )  # fmt: skip
    found = nodes_of(cluster)[0]
    assert (found.memory, found.cpu, found.ready) == (expected, "4", False)
