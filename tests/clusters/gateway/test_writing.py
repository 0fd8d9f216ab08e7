"""Changes through the gateway: under the caller's name, within the policy, written down before they are done."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from clusters.drivers.runtime.kubernetes.names import PROJECT, SERVICE
from clusters.models import Cluster, FreezeWindow
from fangduoduo_release.audit.models import AuditEntry
from permissions import audit_words
from permissions.models import ApiToken
from projects.models import Project
from tests import world
from tests.audit.rows import by_hand
from tests.simulators.kubernetes.status import Refused
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

from .conftest import K8S, at_the_gateway, machine_of
from .simulated import connect, manifest, show
from .test_reading import assert_status

pytestmark = pytest.mark.django_db
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
DEPLOYMENTS = f"{K8S}apis/apps/v1/namespaces/shop/deployments"
WEB = f"{DEPLOYMENTS}/web"


@pytest.fixture(scope="module")
def simulated() -> Iterator[Rig]:
    with Rig() as rig:
        yield rig
        assert not rig.failures


@pytest.fixture
def rig(simulated: Rig, cluster: Cluster, shop: Project) -> Iterator[Rig]:
    for namespace in ("shop", "shop-live", "other"):
        simulated.namespace(namespace)
    connect(cluster, simulated)
    yield simulated
    simulated.faults.clear()
    simulated.faults.allow()
    until(lambda: _cleared(simulated), what="an empty cluster")


def _cleared(rig: Rig) -> bool:
    """Whether nothing is left. What is left is deleted; controllers may make more of it until their own object is gone."""
    left = [
        (kind, namespace, one["metadata"]["name"])
        for kind in ("deployments", "replicasets", "configmaps", "services", "pods")
        for namespace in ("shop", "shop-live", "other")
        for one in rig.all(kind, namespace)
    ]
    for one in left:
        with contextlib.suppress(Refused):  # a controller was quicker
            rig.delete(*one)
    return not left


def send(client: Client, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    data = body if isinstance(body, str | bytes) else json.dumps(body) if body is not None else ""
    return client.generic(method, path, data, content_type=kind)


def apply(client: Client, body: Any, path: str = WEB, query: str = "") -> Any:
    return send(client, "PATCH", path + query, body, APPLY)


def verbs() -> list[str]:
    return list(AuditEntry.objects.filter(verb__startswith="gateway.").exclude(verb="gateway.sign_in").order_by("id").values_list("verb", flat=True))  # fmt: skip


def test_an_apply_is_the_callers_own_and_stands_in_the_audit(rig: Rig, developer: Client) -> None:
    answer = apply(developer, manifest())
    assert answer.status_code == 201, answer.content
    managers = {one["manager"] for one in rig.get("deployments", "shop", "web")["metadata"]["managedFields"]}  # type: ignore[index]
    assert any(name.startswith("gateway-person") for name in managers)
    assert "fangduoduo-release" not in managers
    assert verbs() == ["gateway.apply", "gateway.done"]
    intent, outcome = AuditEntry.objects.filter(verb__in=verbs()).order_by("id")
    assert intent.project == outcome.project == "shop"
    assert intent.object_label == "shop/deployments/web (east)"
    assert "hunter2" not in json.dumps([intent.before, intent.after])
    container = intent.after["spec"]["template"]["spec"]["containers"]["app"]
    assert container["image"] == "shop:1"
    assert outcome.after == {"asked": "apply", "status": 201}
    assert "applies shop/deployments/web" in audit_words.sentence(intent)
    assert "(apply, 201)" in audit_words.sentence(outcome)


def test_a_second_apply_shows_in_the_audit_what_differs(rig: Rig, developer: Client) -> None:
    apply(developer, manifest())
    assert apply(developer, manifest(replicas=3)).status_code == 200
    intent = AuditEntry.objects.filter(verb="gateway.apply").latest("id")
    assert (intent.before, intent.after) == ({"spec": {"replicas": 1}}, {"spec": {"replicas": 3}})


def test_yaml_is_read_as_it_is_written(rig: Rig, developer: Client) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata:\n  day: 2026-01-01\n"
    answer = send(developer, "PATCH", f"{K8S}api/v1/namespaces/shop/configmaps/words", text, APPLY)
    assert answer.status_code == 201
    assert answer.json()["data"] == {"day": "2026-01-01"}
    assert "X-Cache-Synced" not in answer  # nobody follows configmaps
    created = send(developer, "POST", f"{K8S}api/v1/namespaces/shop/configmaps", text.replace("words", "more"), "application/yaml")  # fmt: skip
    assert created.status_code == 201


def test_a_conflict_is_handed_on_with_its_owner_and_force_takes_the_field(rig: Rig, developer: Client) -> None:
    apply(developer, manifest(), query="?fieldManager=first")
    answer = apply(developer, manifest(replicas=2), query="?fieldManager=second")
    body = assert_status(answer, 409, "Conflict", 'conflict with "first": .spec.replicas')
    assert body["details"]["causes"][0]["field"] == ".spec.replicas"
    assert verbs() == ["gateway.apply", "gateway.done"]  # the second was never tried in earnest
    assert apply(developer, manifest(replicas=2), query="?fieldManager=second&force=true").status_code == 200


@pytest.mark.parametrize("manager", ["fangduoduo-release", "x" * 129, "two words"])
def test_nobody_writes_in_the_portals_name(manager: str, rig: Rig, developer: Client) -> None:
    answer = apply(developer, manifest(), query=f"?fieldManager={manager}")
    assert_status(answer, 400, "BadRequest", "cannot be your field manager")


def test_a_dry_run_changes_and_records_nothing(rig: Rig, developer: Client) -> None:
    assert apply(developer, manifest(), query="?dryRun=All").status_code == 201
    assert rig.get("deployments", "shop", "web") is None
    assert verbs() == []
    assert_status(apply(developer, manifest(), query="?dryRun=Some"), 400, "BadRequest", "dryRun")


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"spec": {"replicas": 4}}),
        (STRATEGIC, {"spec": {"replicas": 4}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 4}]),
    ],
)
def test_every_form_of_patch(kind: str, patch: Any, rig: Rig, developer: Client) -> None:
    apply(developer, manifest())
    answer = send(developer, "PATCH", WEB, patch, kind)
    assert answer.status_code == 200, answer.content
    assert rig.get("deployments", "shop", "web")["spec"]["replicas"] == 4  # type: ignore[index]
    assert verbs()[-2:] == ["gateway.patch", "gateway.done"]


def test_create_scale_and_delete(rig: Rig, maintainer: Client) -> None:
    answer = send(maintainer, "POST", DEPLOYMENTS, manifest())
    assert answer.status_code == 201, answer.content
    assert_status(send(maintainer, "POST", DEPLOYMENTS, manifest()), 409, "AlreadyExists", "already exists")
    scaled = send(maintainer, "PATCH", f"{WEB}/scale", {"spec": {"replicas": 2}}, MERGE)
    assert scaled.json()["spec"] == {"replicas": 2}
    assert maintainer.get(f"{WEB}/scale").json()["kind"] == "Scale"
    assert send(maintainer, "DELETE", WEB, {"propagationPolicy": "Background"}).status_code == 200
    assert rig.get("deployments", "shop", "web") is None
    assert verbs() == [
        "gateway.create", "gateway.done", "gateway.scale", "gateway.done", "gateway.delete", "gateway.done",
    ]  # fmt: skip
    scale = AuditEntry.objects.get(verb="gateway.scale")
    assert (scale.before, scale.after) == ({"replicas": 1}, {"replicas": 2})
    assert AuditEntry.objects.get(verb="gateway.delete").before["kind"] == "Deployment"
    assert_status(send(maintainer, "DELETE", WEB), 404, "NotFound", 'deployments.apps "web" not found')


def test_pods_can_be_deleted_and_nothing_else(rig: Rig, developer: Client) -> None:
    apply(developer, manifest())
    rig.rolled_out("shop", "web")
    name = rig.pods("shop")[0]["metadata"]["name"]
    pods = f"{K8S}api/v1/namespaces/shop/pods"
    assert_status(send(developer, "PATCH", f"{pods}/{name}", {}, MERGE), 403, "Forbidden", "does not patch “pods”")
    assert_status(send(developer, "POST", pods, {}), 403, "Forbidden", "does not create “pods”")
    assert send(developer, "DELETE", f"{pods}/{name}?gracePeriodSeconds=0").status_code == 200


# -- who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "namespace", "expected"),
    [
        ("viewer", "shop", 403),
        ("developer", "shop", 201),
        ("developer", "shop-live", 403),
        ("maintainer", "shop-live", 201),
        ("maintainer", "other", 404),
        ("ops", "other", 201),
        ("ops", "kube-system", 404),
    ],
)
def test_who_may_write_follows_from_roles_and_machines(
    role: str, namespace: str, expected: int, rig: Rig, as_role: Callable[[str], Client]
) -> None:
    path = f"{K8S}apis/apps/v1/namespaces/{namespace}/deployments/web"
    answer = apply(as_role(role), manifest(namespace=namespace), path)
    assert answer.status_code == expected, answer.content
    if expected == 403:
        assert "takes a role that may deploy there" in answer.json()["message"]
    if expected == 404:
        assert answer.json()["message"] == f'namespaces "{namespace}" not found'
    if expected > 300:
        assert verbs() == []


def test_an_object_of_another_project_is_not_writable_in_a_shared_namespace(
    rig: Rig, shop: Project, maintainer: Client
) -> None:
    rig.create("deployments", "shop", manifest(labels={PROJECT: "rival"}))
    rig.create("configmaps", "shop", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own", "namespace": "shop", "labels": {PROJECT: "shop"}}})  # fmt: skip
    for answer in (
        apply(maintainer, manifest(replicas=2)),
        send(maintainer, "PATCH", WEB, {"metadata": {"labels": {PROJECT: None}}}, MERGE),
        send(maintainer, "PATCH", f"{WEB}/scale", {"spec": {"replicas": 2}}, MERGE),
        send(maintainer, "DELETE", WEB),
    ):
        assert_status(answer, 403, "Forbidden", "belongs to another project")
    own = f"{K8S}api/v1/namespaces/shop/configmaps/own"
    assert send(maintainer, "PATCH", own, {"data": {"a": "b"}}, MERGE).status_code == 200


def test_a_developer_does_not_remove_what_only_an_operator_may(rig: Rig, developer: Client) -> None:
    apply(developer, manifest(labels={PROJECT: "shop"}))
    assert_status(send(developer, "DELETE", WEB), 403, "Forbidden", "may operate its project")
    assert rig.get("deployments", "shop", "web") is not None


@pytest.mark.parametrize(
    "labels", [{SERVICE: "somebody-elses"}, {PROJECT: "rival"}, {"fangduoduo-release/group": "canary"}]
)
def test_the_portals_own_labels_cannot_be_set(labels: dict[str, str], rig: Rig, maintainer: Client) -> None:
    assert_status(apply(maintainer, manifest(labels=labels)), 403, "Forbidden", "is the portal's own to set")
    inside = manifest()
    inside["spec"]["template"]["metadata"]["labels"] = {"app": "web", **labels}
    assert_status(apply(maintainer, inside), 403, "Forbidden", "is the portal's own to set")
    apply(maintainer, manifest())
    patch = [{"op": "add", "path": "/metadata/labels", "value": labels}]
    assert_status(send(maintainer, "PATCH", WEB, patch, JSON_PATCH), 403, "Forbidden", "is the portal's own to set")


def test_a_token_writes_only_within_its_scopes(rig: Rig, shop: Project) -> None:
    user = world.member(shop, "maintainer")
    for scopes, expected in ((["read"], 403), (["deploy"], 201)):
        _row, text = ApiToken.make(user, "t", scopes=scopes)
        client = Client(headers={"Authorization": f"Bearer {text}"})
        assert client.get(f"{DEPLOYMENTS}?fresh=1").status_code == 200
        assert apply(client, manifest()).status_code == expected


def test_a_frozen_machine_takes_no_change_but_pods_may_be_replaced(
    rig: Rig, cluster: Cluster, maintainer: Client
) -> None:
    apply(maintainer, manifest())
    rig.rolled_out("shop", "web")
    FreezeWindow.objects.create(
        name="Always", reason="The year's end", everywhere=True, timezone="UTC", weekdays=[0, 1, 2, 3, 4, 5, 6],
        duration_minutes=1440,
    )  # fmt: skip
    body = assert_status(apply(maintainer, manifest(replicas=2)), 403, "Forbidden", "is frozen until")
    assert {"reason": "Rule", "message": "freeze_window"} in body["details"]["causes"]
    assert apply(maintainer, manifest(replicas=2), query="?dryRun=All").status_code == 200
    name = rig.pods("shop")[0]["metadata"]["name"]
    assert send(maintainer, "DELETE", f"{K8S}api/v1/namespaces/shop/pods/{name}").status_code == 200
    FreezeWindow.objects.update(blocks_restoring=True)
    assert_status(send(maintainer, "DELETE", f"{K8S}api/v1/namespaces/shop/pods/{name}"), 403, "Forbidden", "frozen")


def test_a_machine_that_asks_for_approvals_is_changed_by_deployments_alone(
    rig: Rig, cluster: Cluster, shop: Project, maintainer: Client
) -> None:
    cluster.machines.filter(name="east-test").update(approvals_needed=2)
    assert_status(apply(maintainer, manifest()), 403, "Forbidden", "needs the approval of 2")


# -- what may not be there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pod": {"hostNetwork": True}}, "hostNetwork"),
        ({"pod": {"hostPID": True}}, "hostPID"),
        ({"pod": {"volumes": [{"name": "etc", "hostPath": {"path": "/etc"}}]}}, "hostPath"),
        ({"container": {"securityContext": {"privileged": True}}}, "privileged"),
    ],
)
def test_what_reaches_for_the_node_is_refused_in_every_form(
    change: dict[str, Any], words: str, rig: Rig, maintainer: Client
) -> None:
    apply(maintainer, manifest())
    before = len(verbs())
    wrong = manifest(**change)
    assert_status(apply(maintainer, wrong, query="?force=true"), 403, "Forbidden", words)
    assert_status(
        send(maintainer, "POST", DEPLOYMENTS, {**wrong, "metadata": {"name": "second"}}), 403, "Forbidden", words
    )
    pod = wrong["spec"]["template"]["spec"]
    for kind in (MERGE, STRATEGIC):
        assert_status(
            send(maintainer, "PATCH", WEB, {"spec": {"template": {"spec": pod}}}, kind), 403, "Forbidden", words
        )
    patch = [{"op": "replace", "path": "/spec/template/spec", "value": pod}]
    assert_status(send(maintainer, "PATCH", WEB, patch, JSON_PATCH), 403, "Forbidden", words)
    assert len(verbs()) == before


def test_a_json_patch_says_itself_what_it_sets(rig: Rig, maintainer: Client) -> None:
    apply(maintainer, manifest())
    patch = [{"op": "copy", "from": "/metadata/name", "path": "/metadata/annotations/x"}]
    assert_status(send(maintainer, "PATCH", WEB, patch, JSON_PATCH), 400, "BadRequest", "not “copy”")


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (manifest(namespace="other"), 403, "is not that of the path, “shop”"),
        (manifest("else"), 400, "The name of the body, “else”"),
        ({**manifest(), "kind": "DaemonSet"}, 400, "The body is a “DaemonSet”"),
        ({"kind": "Deployment", "apiVersion": "apps/v1"}, 400, "A manifest is an object"),
        ([], 400, "A manifest is an object"),
        ("a: &a [x]\nb: [*a, *a]\n---\nc: 1\n", 400, "2 YAML documents"),
        ("a: [", 400, "not valid YAML"),
        (b"\xff\xfe", 400, "not UTF-8"),
    ],
)
def test_body_and_path_agree(body: Any, code: int, words: str, rig: Rig, maintainer: Client) -> None:
    assert_status(apply(maintainer, body), code, {400: "BadRequest", 403: "Forbidden"}[code], words)


def test_a_patch_does_not_move_an_object(rig: Rig, maintainer: Client) -> None:
    apply(maintainer, manifest())
    assert_status(send(maintainer, "PATCH", WEB, {"metadata": {"namespace": "other"}}, MERGE), 403, "Forbidden", "namespace of the body")  # fmt: skip
    assert_status(send(maintainer, "PATCH", WEB, {"metadata": {"name": "x"}}, MERGE), 400, "BadRequest", "name of the body")  # fmt: skip


def test_a_yaml_bomb_and_a_large_manifest_are_refused_before_they_cost_anything(rig: Rig, maintainer: Client) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))  # fmt: skip
    assert_status(apply(maintainer, bomb), 400, "BadRequest", "repeats itself by aliases")
    assert_status(apply(maintainer, "[" * 50_000), 400, "BadRequest", "nesting depth")
    deep = '{"a":' * 200 + "1" + "}" * 200
    apply(maintainer, manifest())
    assert_status(send(maintainer, "PATCH", WEB, deep, MERGE), 400, "BadRequest", "nested deeper")
    large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"x": "y" * (1 << 20)}}
    answer = send(maintainer, "PATCH", f"{K8S}api/v1/namespaces/shop/configmaps/large", large, APPLY)
    assert_status(answer, 413, "RequestEntityTooLarge", "larger than 1024 KiB")
    just = {**large, "data": {"x": "y" * ((1 << 20) - 200)}}
    answer = send(maintainer, "PATCH", f"{K8S}api/v1/namespaces/shop/configmaps/large", just, APPLY)
    assert answer.status_code in {201, 422}, answer.content[:300]  # Kubernetes' own limit is near
    huge = send(maintainer, "POST", DEPLOYMENTS, b"x" * (5 << 20))
    assert_status(huge, 413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("method", "path", "kind", "code", "words"),
    [
        ("POST", "api/v1/namespaces/shop/secrets", "application/json", 403, "never shows or changes Secrets"),
        ("POST", "api/v1/namespaces", "application/json", 403, "belong to the whole cluster"),
        ("PATCH", "apis/rbac.authorization.k8s.io/v1/clusterroles/x", APPLY, 403, "belong to the whole cluster"),
        ("PATCH", "api/v1/nodes/node1", MERGE, 403, "changed in a namespace"),
        ("POST", "apis/apps/v1/namespaces/shop/daemonsets", "application/json", 403, "does not offer “daemonsets.apps”"),
        ("PATCH", "apis/apps/v1/namespaces/shop/replicasets/x", MERGE, 403, "does not patch “replicasets.apps”"),
        ("DELETE", "apis/apps/v1/namespaces/shop/deployments", "application/json", 405, "does not allow this method"),
        ("POST", "apis/apps/v1/namespaces/shop/deployments/web", "application/json", 405, "does not allow this method"),
        ("POST", "apis/apps/v1/namespaces/shop/deployments", "text/plain", 415, "JSON or YAML"),
        ("PATCH", "apis/apps/v1/namespaces/shop/deployments/web", "application/json", 415, "A patch comes as"),
        ("PATCH", "apis/apps/v1/namespaces/shop/deployments/web/scale", APPLY, 415, "merge patch"),
    ],
)  # fmt: skip
def test_what_is_not_offered_says_so(
    method: str, path: str, kind: str, code: int, words: str, rig: Rig, maintainer: Client
) -> None:
    reasons = {403: "Forbidden", 405: "MethodNotAllowed", 415: "UnsupportedMediaType"}
    assert_status(send(maintainer, method, K8S + path, {}, kind), code, reasons[code], words)


# -- when the API server says no, or nothing -----------------------------------------------------------------------------


def test_the_api_servers_refusals_are_handed_on_as_they_are(rig: Rig, maintainer: Client) -> None:
    wrong = manifest()
    wrong["spec"]["strategy"] = {"type": "Nonsense"}
    body = assert_status(apply(maintainer, wrong), 422, "Invalid", "spec.strategy")
    assert body["details"]["kind"] == "Deployment"
    hook = rig.faults.deny("no such team", "Deployment")
    answer = apply(maintainer, manifest())
    assert answer.status_code == 400
    assert "denied the request: no such team" in answer.json()["message"]
    rig.faults.allow(hook)
    with rig.faults.status(429, "/deployments/web", retry_after=7):
        answer = apply(maintainer, manifest())
    assert_status(answer, 429, "TooManyRequests")
    assert answer["Retry-After"] == "7"


def test_credentials_that_are_refused_are_the_portals_trouble_not_the_callers(rig: Rig, maintainer: Client) -> None:
    old = rig.users.named["portal"].token
    rig.users.rotate("portal")
    assert_status(apply(maintainer, manifest()), 503, "ServiceUnavailable", "the portal's own credentials")
    rig.users.rotate("portal", old)


def test_an_answer_that_is_lost_is_written_down_as_unknown(rig: Rig, maintainer: Client) -> None:
    with rig.faults.reset("PATCH /apis/apps/v1/namespaces/shop/deployments/web\\?fieldManager=[^&]*$", times=1):
        answer = apply(maintainer, manifest())
    assert_status(answer, 503, "ServiceUnavailable", "does not answer")
    assert verbs() == ["gateway.apply", "gateway.unknown"]
    assert "was lost (apply)" in audit_words.sentence(AuditEntry.objects.latest("id"))


def test_a_server_that_is_away_is_a_503_and_nothing_was_intended(rig: Rig, maintainer: Client) -> None:
    rig.faults.go_away()
    try:
        assert_status(apply(maintainer, manifest()), 503, "ServiceUnavailable", "does not answer")
        assert_status(maintainer.get(f"{WEB}?fresh=1"), 503, "ServiceUnavailable")
    finally:
        rig.faults.come_back()
    assert verbs() == []


def test_what_cannot_be_written_down_is_not_done(rig: Rig, maintainer: Client) -> None:
    by_hand("UPDATE audit_audithead SET signature = 'x'")
    assert apply(maintainer, manifest()).status_code == 503
    assert rig.get("deployments", "shop", "web") is None


# -- reading what is not kept, and what was written ----------------------------------------------------------------------


def test_fresh_and_kinds_that_nobody_follows_are_asked_for(rig: Rig, cluster: Cluster, maintainer: Client) -> None:
    apply(maintainer, manifest())
    answer = maintainer.get(f"{WEB}?fresh=1")
    assert answer["X-Cache"] == "bypass"
    assert answer.json()["metadata"]["managedFields"]
    assert "X-Cache-Age" not in answer
    maps = maintainer.get(f"{K8S}api/v1/namespaces/shop/configmaps?limit=5&labelSelector=a")
    assert maps.json()["kind"] == "ConfigMapList"
    assert maps["X-Cache"] == "bypass"
    garbage = maintainer.get(f"{K8S}apis/apps/v1/namespaces/shop/deployments?fresh=1&limit=1&continue=garbage")
    assert_status(garbage, 400, "BadRequest", "invalid continue token")


def test_what_another_project_has_in_a_shared_namespace_is_not_shown_fresh_either(
    rig: Rig, cluster: Cluster, viewer: Client, as_role: Callable[[str], Client]
) -> None:
    maps = f"{K8S}api/v1/namespaces/shop/configmaps"
    for name, labels in (("own", {PROJECT: "shop"}), ("rivals", {PROJECT: "rival"}), ("nobodys", {})):
        metadata = {"name": name, "namespace": "shop", "labels": labels}
        rig.create("configmaps", "shop", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    def names(client: Client) -> set[str]:
        return {one["metadata"]["name"] for one in client.get(maps).json()["items"]} & {"own", "rivals", "nobodys"}

    assert names(viewer) == {"own", "nobodys"}
    assert names(as_role("ops")) == {"own", "rivals", "nobodys"}
    assert_status(viewer.get(f"{maps}/rivals"), 404, "NotFound", 'configmaps "rivals" not found')
    assert viewer.get(f"{maps}/own").status_code == 200
    rig.create("deployments", "shop", manifest("rivals", labels={PROJECT: "rival"}))
    assert_status(viewer.get(f"{DEPLOYMENTS}/rivals?fresh=1"), 404, "NotFound")
    assert viewer.get(f"{DEPLOYMENTS}?fresh=1").json()["items"] == []


def test_a_removal_is_of_the_very_object_that_was_judged(rig: Rig, maintainer: Client) -> None:
    apply(maintainer, manifest(labels={PROJECT: "shop"}))
    other = send(maintainer, "DELETE", WEB, {"preconditions": {"uid": "another"}})
    assert_status(other, 409, "Conflict")
    assert send(maintainer, "DELETE", WEB, {"preconditions": None}).status_code == 200


def test_a_write_that_nobody_follows_up_says_that_the_cache_does_not_show_it(
    rig: Rig, cluster: Cluster, maintainer: Client
) -> None:
    show(cluster, rig)
    cluster.feeds.update(state="down")
    assert apply(maintainer, manifest())["X-Cache-Synced"] == "false"
    rig.rolled_out("shop", "web")
    show(cluster, rig)
    assert apply(maintainer, manifest())["X-Cache-Synced"] == "true"  # the same again: it is there already


def test_other_machines_of_the_cluster_do_not_open_it(rig: Rig, cluster: Cluster) -> None:
    machine_of(cluster, "east-more", "more")
    stranger = at_the_gateway(world.person("zoe"))
    assert_status(apply(stranger, manifest()), 404, "NotFound", 'clusters "east" not found')
