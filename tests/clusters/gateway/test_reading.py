"""Lists and single objects come from rows, with their age, in Kubernetes' own form."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.drivers.runtime.kubernetes.names import DEPLOYMENTS, EVENTS, NODES, PROJECT
from clusters.gateway import reading
from clusters.models import Cluster, ClusterFeed
from projects.models import Project

from .conftest import K8S, PODS_OF_SHOP
from .rows import feed, pod, put

pytestmark = pytest.mark.django_db


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def assert_status(answer: Any, code: int, reason: str, words: str = "") -> dict[str, Any]:
    """A refusal in the form that Kubernetes' clients read."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == code, body
    assert answer["Content-Type"] == "application/json"
    assert {name: body[name] for name in ("kind", "apiVersion", "status", "reason", "code")} == {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
    }  # fmt: skip
    assert words in body["message"]
    return body


def test_a_list_is_answered_from_rows_with_its_age_and_version(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("web-2"), pod("web-1"), pod("else", "other"))
    answer = viewer.get(PODS_OF_SHOP)
    body = answer.json()
    assert names(answer) == ["web-1", "web-2"]
    assert (body["kind"], body["apiVersion"]) == ("PodList", "v1")
    assert body["metadata"] == {"resourceVersion": "1003"}
    assert answer["X-Cache"] == "hit"
    assert 0 <= float(answer["X-Cache-Age"]) < 60
    assert answer["Content-Type"] == "application/json"


def test_one_object_carries_its_kind_and_an_absent_one_is_told_as_recorded(cluster: Cluster, viewer: Client) -> None:
    item = pod("web-1")
    del item["kind"], item["apiVersion"]  # as an API server lists them
    put(cluster, item)
    answer = viewer.get(f"{PODS_OF_SHOP}/web-1")
    assert (answer.json()["kind"], answer.json()["apiVersion"]) == ("Pod", "v1")
    assert float(answer["X-Cache-Age"]) < 60
    feed(cluster, DEPLOYMENTS)
    missing = viewer.get(f"{K8S}apis/apps/v1/namespaces/shop/deployments/missing")
    body = assert_status(missing, 404, "NotFound", 'deployments.apps "missing" not found')
    assert body["details"] == {"name": "missing", "group": "apps", "kind": "deployments"}


def test_a_list_follows_what_changes_and_what_goes(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"), pod("b"))
    assert names(viewer.get(PODS_OF_SHOP)) == ["a", "b"]
    put(cluster, pod("c"), pod("a", status={"phase": "Failed"}))
    put(cluster, pod("b"), gone=True)
    body = viewer.get(PODS_OF_SHOP).json()
    assert [(i["metadata"]["name"], i["status"]["phase"]) for i in body["items"]] == [("a", "Failed"), ("c", "Running")]
    assert viewer.get(f"{PODS_OF_SHOP}/b").status_code == 404


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=web", ["a", "b"]),
        ("app==web,tier!=front", ["b"]),
        ("app in (web, api),tier", ["a", "c"]),
        ("app notin (web)", ["c", "d"]),
        ("!tier", ["b", "d"]),
        ("tier", ["a", "c"]),
        ("weight>3", ["c"]),
        ("weight<3", ["a"]),
        ("app=", ["d"]),
    ],
)
def test_label_selectors_are_read_as_kubernetes_reads_them(
    selector: str, expected: list[str], cluster: Cluster, viewer: Client
) -> None:
    put(
        cluster,
        pod("a", labels={"app": "web", "tier": "front", "weight": "1"}),
        pod("b", labels={"app": "web"}),
        pod("c", labels={"app": "api", "tier": "back", "weight": "5"}),
        pod("d", labels={"app": ""}),
    )
    assert names(viewer.get(PODS_OF_SHOP, {"labelSelector": selector})) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=a", ["a"]),
        ("status.phase!=Running", ["b"]),
        ("status.phase=Running,spec.nodeName=node-1", ["a"]),
        ("metadata.namespace==shop", ["a", "b", "c"]),
    ],
)
def test_field_selectors_pick(selector: str, expected: list[str], cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"), pod("b", status={"phase": "Failed"}), pod("c", spec={"nodeName": "node-2"}))
    assert names(viewer.get(PODS_OF_SHOP, {"fieldSelector": selector})) == expected


def test_events_are_found_by_what_they_are_about(cluster: Cluster, viewer: Client) -> None:
    def event(name: str, about: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "shop", "resourceVersion": "3"}
        return {
            "metadata": metadata,
            "reason": "Pulled",
            "type": "Normal",
            "involvedObject": {"kind": "Pod", "name": about},
        }

    put(cluster, event("e1", "a"), event("e2", "b"), resource=EVENTS)
    asked = {"fieldSelector": "involvedObject.name=b,involvedObject.kind=Pod"}
    assert names(viewer.get(f"{K8S}api/v1/namespaces/shop/events", asked)) == ["e2"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"labelSelector": "app in web"}, "no label selector"),
        ({"labelSelector": "a=b,"}, "no label selector"),
        ({"labelSelector": "=b"}, "no label selector"),
        ({"labelSelector": "a>b"}, "number"),
        ({"fieldSelector": "spec.secret=1"}, "field label not supported: spec.secret"),
        ({"fieldSelector": "nonsense"}, "no field selector"),
        ({"limit": "-1"}, "whole number"),
        ({"limit": "many"}, "whole number"),
        ({"continue": "garbage"}, "invalid continue token"),
    ],
)
def test_what_cannot_be_read_is_a_400(query: dict[str, str], words: str, cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"))
    assert_status(viewer.get(PODS_OF_SHOP, query), 400, "BadRequest", words)


@pytest.mark.parametrize("selector", ["a" + " " * 7900 + "$", "a=" + " " * 7900 + "$", "a in" + " " * 7900 + "$"])
def test_a_selector_made_to_be_slow_is_refused_at_once(selector: str, cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"))
    took = []
    for _ in range(3):  # the first request of a process loads much, and garbage may be collected in any
        began = time.thread_time()
        assert_status(viewer.get(PODS_OF_SHOP, {"labelSelector": selector}), 400, "BadRequest", "no label selector")
        took.append(time.thread_time() - began)
    assert min(took) < 0.4


def test_pages_hold_every_object_once_also_while_others_come_and_go(cluster: Cluster, viewer: Client) -> None:
    put(cluster, *[pod(f"web-{n:02}") for n in range(10)])
    first = viewer.get(PODS_OF_SHOP, {"limit": 4}).json()
    assert first["metadata"]["remainingItemCount"] == 6
    put(cluster, pod("web-00"), gone=True)
    put(cluster, pod("web-001"), pod("web-071"))  # one before, one behind where the page stopped
    seen, token = [i["metadata"]["name"] for i in first["items"]], first["metadata"]["continue"]
    while token:
        page = viewer.get(PODS_OF_SHOP, {"limit": 4, "continue": token}).json()
        seen += [i["metadata"]["name"] for i in page["items"]]
        token = page["metadata"].get("continue")
    assert seen == [f"web-{n:02}" for n in range(8)] + ["web-071", "web-08", "web-09"]


def test_a_page_with_a_selector_does_not_count_the_rest(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"), pod("b"), pod("c"))
    metadata = viewer.get(PODS_OF_SHOP, {"limit": "1", "labelSelector": "app=web"}).json()["metadata"]
    assert metadata["continue"]
    assert "remainingItemCount" not in metadata


class OldSigner(signing.TimestampSigner):
    """Signs as it would have five minutes ago."""

    def timestamp(self) -> str:
        return signing.b62_encode(int(time.time()) - reading.HOLDS_S - 1)


def test_a_continue_token_ends_and_is_of_its_own_list_only(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"), pod("b"))
    token = viewer.get(PODS_OF_SHOP, {"limit": 1}).json()["metadata"]["continue"]
    other = viewer.get(PODS_OF_SHOP, {"continue": token, "labelSelector": "a=b"})
    assert_status(other, 400, "BadRequest", "another list")
    late = OldSigner(salt=reading.SALT).sign_object(signing.loads(token, salt=reading.SALT))
    assert_status(viewer.get(PODS_OF_SHOP, {"continue": late}), 410, "Expired", "too old")
    ClusterFeed.objects.all().delete()
    feed(cluster)
    assert_status(viewer.get(PODS_OF_SHOP, {"continue": token}), 410, "Expired", "begin the list again")


def test_a_cluster_that_is_away_is_still_shown_with_its_age(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"))
    ClusterFeed.objects.update(state="down", seen_at=timezone.now() - timedelta(hours=5))
    answer = viewer.get(PODS_OF_SHOP)
    assert names(answer) == ["a"]
    assert 5 * 3600 <= float(answer["X-Cache-Age"]) < 5 * 3600 + 60


def test_what_was_never_read_to_its_end_is_a_503(cluster: Cluster, viewer: Client) -> None:
    assert_status(viewer.get(PODS_OF_SHOP), 503, "ServiceUnavailable", "not read yet")
    feed(cluster, synced_at=None)
    answer = viewer.get(f"{PODS_OF_SHOP}/a")
    assert_status(answer, 503, "ServiceUnavailable", "not read yet")
    assert answer["Retry-After"] == "2"


def test_what_another_project_has_in_a_shared_namespace_is_not_shown(
    cluster: Cluster, viewer: Client, as_role: Callable[[str], Client]
) -> None:
    put(cluster, pod("own", labels={PROJECT: "shop"}), pod("rivals", labels={PROJECT: "rival"}), pod("nobodys"))
    assert names(viewer.get(PODS_OF_SHOP)) == ["nobodys", "own"]
    assert names(viewer.get(PODS_OF_SHOP, {"labelSelector": f"{PROJECT}=rival"})) == []
    assert names(viewer.get(f"{K8S}api/v1/pods")) == ["nobodys", "own"]
    page = viewer.get(PODS_OF_SHOP, {"limit": 1}).json()["metadata"]
    assert page["remainingItemCount"] == 1
    for path in (f"{PODS_OF_SHOP}/rivals", f"{PODS_OF_SHOP}/rivals/log", f"{PODS_OF_SHOP}/rivals/log?previous=1"):
        assert_status(viewer.get(path), 404, "NotFound", 'pods "rivals" not found')
    assert names(as_role("ops").get(PODS_OF_SHOP)) == ["nobodys", "own", "rivals"]


def test_nobody_is_answered_what_was_put_together_for_who_may_see_more(
    cluster: Cluster, viewer: Client, as_role: Callable[[str], Client]
) -> None:
    ops = as_role("ops")
    put(cluster, pod("own", labels={PROJECT: "shop"}), pod("rivals", labels={PROJECT: "rival"}))
    for _ in range(2):
        assert names(ops.get(PODS_OF_SHOP)) == ["own", "rivals"]
        assert names(viewer.get(PODS_OF_SHOP)) == ["own"]
        assert names(ops.get(PODS_OF_SHOP, {"labelSelector": f"{PROJECT}=shop"})) == ["own"]
        assert names(ops.get(PODS_OF_SHOP, {"limit": 1})) == ["own"]
    put(cluster, pod("rivals", labels={PROJECT: "shop"}))  # from now on they see the same
    assert ops.get(PODS_OF_SHOP).content == viewer.get(PODS_OF_SHOP).content
    put(cluster, pod("rivals", labels={PROJECT: "rival"}))
    assert names(viewer.get(PODS_OF_SHOP)) == ["own"]
    Project.objects.filter(slug="shop").update(slug="gone")  # what is theirs is so by name
    assert names(viewer.get(PODS_OF_SHOP)) == []
    assert names(ops.get(PODS_OF_SHOP)) == ["own", "rivals"]


def test_what_rows_answer_needs_no_credentials_to_be_decrypted(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"))
    with CaptureQueriesContext(connection) as asked:
        assert names(viewer.get(PODS_OF_SHOP)) == ["a"]
        assert viewer.get(f"{PODS_OF_SHOP}/a").status_code == 200
    assert [one["sql"] for one in asked if "common_connection" in one["sql"]] == []


def test_a_whole_list_carries_the_version_of_now(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"), version="2000")
    assert viewer.get(PODS_OF_SHOP).json()["metadata"] == {"resourceVersion": "2000"}
    ClusterFeed.objects.update(resource_version="2001")  # something elsewhere has changed
    assert viewer.get(PODS_OF_SHOP).json()["metadata"] == {"resourceVersion": "2001"}


def test_a_list_of_all_namespaces_holds_those_that_one_may_read(
    cluster: Cluster, viewer: Client, as_role: Callable[[str], Client]
) -> None:
    put(cluster, pod("a"), pod("b", "shop-live"), pod("c", "other"), pod("d", "kube-system"))
    assert names(viewer.get(f"{K8S}api/v1/pods")) == ["a", "b"]
    assert names(as_role("ops").get(f"{K8S}api/v1/pods")) == ["c", "a", "b"]  # by namespace, then name
    page = viewer.get(f"{K8S}api/v1/pods", {"limit": 1}).json()
    assert names(viewer.get(f"{K8S}api/v1/pods", {"continue": page["metadata"]["continue"]})) == ["b"]
    assert_status(viewer.get(f"{K8S}api/v1/pods?fresh=1"), 400, "BadRequest", "one namespace")


def test_nodes_are_for_ops(cluster: Cluster, viewer: Client, as_role: Callable[[str], Client]) -> None:
    put(cluster, {"metadata": {"name": "node-1", "resourceVersion": "1"}}, resource=NODES)
    assert_status(viewer.get(f"{K8S}api/v1/nodes"), 403, "Forbidden", "Only ops")
    assert names(as_role("ops").get(f"{K8S}api/v1/nodes")) == ["node-1"]


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("api/v1/namespaces/shop/secrets", 403, "never shows or changes Secrets"),
        ("api/v1/namespaces/shop/secrets/x", 403, "never shows or changes Secrets"),
        ("api/v1/namespaces/shop/serviceaccounts", 403, "does not offer “serviceaccounts” of v1"),
        ("apis/rbac.authorization.k8s.io/v1/clusterroles", 403, "belong to the whole cluster"),
        ("apis/apps/v1beta1/namespaces/shop/deployments", 403, "does not offer"),
        ("api/v1/namespaces/shop/pods/x/portforward", 403, "does not offer “portforward”"),
        ("api/v1/namespaces/shop/pods/x/log/more", 404, "could not find"),
        ("api/v1/namespaces/shop/pods/../../kube-system/pods", 404, "could not find"),
        ("api/v1/namespaces/shop/pods/X%20y", 404, "could not find"),
        ("api/v1/namespaces/shop", 403, "belong to the whole cluster"),
        ("version", 404, "could not find"),
        ("api/v1/pods/a", 404, "could not find"),
    ],
)
def test_what_is_not_offered_is_refused_by_the_path_alone(
    path: str, code: int, words: str, shop: Project, viewer: Client
) -> None:
    assert_status(viewer.get(K8S + path), code, {403: "Forbidden", 404: "NotFound"}[code], words)


def test_a_watch_is_refused_and_says_what_to_do(cluster: Cluster, viewer: Client) -> None:
    put(cluster, pod("a"))
    for word in ("1", "true", ""):
        assert_status(viewer.get(PODS_OF_SHOP, {"watch": word}), 405, "MethodNotAllowed", "list again")


def test_what_is_not_offered_as_a_verb_is_a_405(cluster: Cluster, viewer: Client) -> None:
    assert_status(viewer.put(f"{PODS_OF_SHOP}/a", {}, content_type="application/json"), 405, "MethodNotAllowed")
