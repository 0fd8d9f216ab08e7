"""Clusters of kind `kubernetes` and their machines: rules, the check on save against a simulated cluster, API and admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from clusters import actions, connecting
from clusters.drivers.runtime.kubernetes import api, checking
from clusters.kubernetes import access_from
from clusters.models import Cluster, ClusterFeed, Machine
from deployments.models import Service
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from fangduoduo_release.common.models import Connection
from tests import world
from tests.api.door import Door, refused, told
from tests.clusters.drivers.kubernetes.ground import granted
from tests.simulators.kubernetes_rig import Rig, Rule

pytestmark = pytest.mark.django_db
ADD = "/admin/common/connection/add/"
DEPLOY = [
    Rule(("get", "list", "watch"), ("deployments", "replicasets"), ("apps",)),
    Rule(("get", "list", "watch"), ("pods", "services", "events"), ("",)),
    Rule(("get", "list", "create", "patch", "delete"), ("secrets", "configmaps"), ("",)),
    Rule(("create", "patch", "delete"), ("services",), ("",)),
    Rule(("create", "patch", "delete"), ("deployments",), ("apps",)),
    Rule(("get",), ("namespaces",), ("",)),
]


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves a connection waits ten seconds at most; a busy machine may need longer for all that is asked."""
    monkeypatch.setattr(connecting, "TEST_S", 120.0)
    monkeypatch.setattr(checking, "WHOLE_S", 90.0)
    monkeypatch.setattr(checking, "ONE_S", 60.0)
    monkeypatch.setattr(api, "CONNECT_S", 60.0)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as found:
        found.namespace("shop-test")
        found.namespace("shop-prod")
        yield found


@pytest.fixture
def connection(rig: Rig) -> Connection:
    return actions.save_connection(
        actor=SYSTEM, name="k8s", kind="kubernetes", secrets={"kubeconfig": rig.kubeconfig()}
    )


@pytest.fixture
def cluster(connection: Connection) -> Cluster:
    return actions.create_cluster(actor=SYSTEM, name="prod-1", kind="kubernetes", connection="k8s")


@pytest.fixture
def ops() -> Door:
    return Door(world.ops())


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(world.ops("otto"))
    return client


def machine(name: str, namespace: Any, cluster: str = "prod-1", **more: Any) -> Machine:
    return actions.create_machine(
        actor=SYSTEM, name=name, cluster=cluster, placement={"namespace": namespace, **more}, environment="test"
    )


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


class TestConnections:
    def test_a_connection_is_tried_when_it_is_saved(self, admin: Client, rig: Rig) -> None:
        form = {"kind": "kubernetes", "name": "k8s", "kubeconfig": rig.kubeconfig(), "context": ""}
        answer = admin.post(ADD, form, follow=True)
        row = Connection.objects.get()
        assert row.config == {}
        assert "Kubernetes 1.33" in said(answer)
        assert row.last_test["ok"] is True
        html = admin.get(reverse("admin:common_connection_change", args=[row.pk])).content.decode()
        assert rig.token not in html
        assert 'type="checkbox" name="in_cluster"' in html

    def test_a_limited_account_is_told_by_name_what_it_lacks(self, rig: Rig, cluster: Cluster) -> None:
        machine("shop-a", "shop-test")
        rules = [Rule(r.verbs, r.resources, r.groups, ("shop-test",)) for r in DEPLOY if r.verbs[0] != "create"]
        rig.user("limited", *rules)
        row = actions.save_connection(
            actor=SYSTEM, name="k8s", secrets={"kubeconfig": rig.kubeconfig("limited")}, connection=cluster.connection
        )
        found = actions.try_connection(actor=SYSTEM, connection=row)
        assert found["ok"] is False
        assert found["missing"][:2] == [
            "may not create, patch, delete services in shop-test",
            "may not create, patch, delete deployments.apps in shop-test",
        ]
        assert "There are no terminals in shop-test." in found["lost"]
        assert "Logs of pods in shop-test cannot be shown." in found["lost"]
        assert "Nodes and what they can hold are not shown." in found["lost"]
        assert row.last_test["namespaces"] == ["shop-test"]
        assert row.last_test["missing"][0]["msgid"] == "may not %(verbs)s %(resource)s in %(namespace)s"

    def test_the_account_that_the_manifest_makes_is_enough(self, rig: Rig, cluster: Cluster) -> None:
        machine("shop-a", "shop-test")
        rig.user("manifest", *granted("shop-test"))
        row = actions.save_connection(
            actor=SYSTEM, name="k8s", secrets={"kubeconfig": rig.kubeconfig("manifest")}, connection=cluster.connection
        )
        found = actions.try_connection(actor=SYSTEM, connection=row)
        assert (found["ok"], found["missing"], found["lost"]) == (True, [], [])

    def test_a_client_certificate_signs_in_too(self, rig: Rig) -> None:
        text = rig.kubeconfig(certificate_login=True)
        row = actions.save_connection(actor=SYSTEM, name="k8s", kind="kubernetes", secrets={"kubeconfig": text})
        assert actions.try_connection(actor=SYSTEM, connection=row)["ok"] is True

    def test_a_token_that_was_revoked_says_so(self, rig: Rig) -> None:
        rig.user("gone")
        text = rig.kubeconfig("gone")
        rig.users.revoke("gone")
        row = actions.save_connection(actor=SYSTEM, name="k8s", kind="kubernetes", secrets={"kubeconfig": text})
        found = actions.try_connection(actor=SYSTEM, connection=row)
        assert (found["ok"], found["missing"]) == (False, [])
        assert "does not accept the connection's token" in found["sentence"]

    @pytest.mark.parametrize(
        ("config", "secrets", "field", "words"),
        [
            ({}, {}, "kubeconfig", "Give a kubeconfig"),
            ({"in_cluster": True}, {}, "in_cluster", "does not run inside a cluster"),
            ({"in_cluster": True}, {"kubeconfig": "x: 1"}, "in_cluster", "not both"),
            ({"in_cluster": "yes"}, {}, "in_cluster", "true or false"),
            ({"context": 3}, {"kubeconfig": "x: 1"}, "context", "name of a context"),
            ({"server": "https://x"}, {"kubeconfig": "x: 1"}, "config", "has no “server”"),
            ({}, {"kubeconfig": "x: ["}, "kubeconfig", "not valid YAML"),
        ],
    )
    def test_what_cannot_be_a_connection_is_refused_at_its_field(
        self, ops: Door, config: Any, secrets: Any, field: str, words: str
    ) -> None:
        body = {"name": "k8s", "kind": "kubernetes", "config": config, "secrets": secrets}
        problem = refused(ops.post("connections/", body), 422)
        assert words in problem["detail"] or words in str(problem["fields"])
        assert list(problem["fields"]) == [field]
        assert not Connection.objects.exists()

    def test_an_address_of_the_machines_own_metadata_is_refused(self, ops: Door, rig: Rig) -> None:
        text = rig.kubeconfig().replace(rig.url, "https://169.254.169.254")
        body = {"name": "k8s", "kind": "kubernetes", "secrets": {"kubeconfig": text}}
        problem = refused(ops.post("connections/", body), 422)
        assert "must not be reached" in str(problem["fields"]["kubeconfig"])

    def test_a_secret_of_the_kubeconfig_is_nowhere(self, ops: Door, rig: Rig, cluster: Cluster) -> None:
        told(ops.post("connections/k8s/test/"))
        for path in ("connections/k8s/", "clusters/prod-1/", "audit/"):
            assert rig.token not in ops.get(path).content.decode()
        assert rig.token not in str(list(AuditEntry.objects.values()))

    def test_what_lacks_is_told_in_the_readers_language(self) -> None:
        stored = {"ok": False, "sentence": "x", "missing": [{"msgid": "Works", "params": {}}, "config.url"], "lost": []}
        with translation.override("zh-hans"):
            told_to = connecting.shown(stored)
        assert told_to is not None
        assert told_to["missing"][1] == "config.url"
        assert isinstance(told_to["missing"][0], str)


class TestClusters:
    def test_a_cluster_needs_a_connection_of_its_kind(self, connection: Connection) -> None:
        actions.save_connection(actor=SYSTEM, name="origin", kind="git")
        for given in (None, "origin", "nothing"):
            with pytest.raises(Invalid) as refusal:
                actions.create_cluster(actor=SYSTEM, name="x", kind="kubernetes", connection=given)
            assert list(refusal.value.fields) == ["connection"]
        with pytest.raises(Invalid):
            actions.create_cluster(actor=SYSTEM, name="x", kind="local", connection="k8s")
        assert not Cluster.objects.exists()

    def test_several_clusters_may_share_a_connection(self, cluster: Cluster) -> None:
        actions.create_cluster(actor=SYSTEM, name="prod-2", kind="kubernetes", connection="k8s")
        assert Cluster.objects.count() == 2

    def test_its_connection_is_changed_and_written_down(self, ops: Door, cluster: Cluster, rig: Rig) -> None:
        actions.save_connection(actor=SYSTEM, name="new", kind="kubernetes", secrets={"kubeconfig": rig.kubeconfig()})
        assert told(ops.patch("clusters/prod-1/", {"connection": "new"}))["connection"] == "new"
        entry = AuditEntry.objects.get(verb="cluster.update")
        assert entry.before != entry.after
        refused(ops.patch("clusters/prod-1/", {"connection": None}), 422)
        refused(ops.patch("clusters/prod-1/", {"connection": "moon"}), 422)
        refused(ops.patch("clusters/moon/", {"description": "x"}), 404)
        refused(Door(world.person()).patch("clusters/prod-1/", {"description": "x"}), 403)
        with pytest.raises(Denied):
            actions.update_cluster(actor=world.person(), cluster=cluster, description="x")

    def test_its_kind_stays_while_it_has_machines(self, cluster: Cluster) -> None:
        machine("shop-a", "shop-test")
        cluster.kind, cluster.connection = "local", None
        with pytest.raises(Conflict):
            actions.save_row(actor=SYSTEM, row=cluster)

    def test_a_connection_in_use_stays(self, ops: Door, cluster: Cluster) -> None:
        refused(ops.delete("connections/k8s/"), 409)

    def test_the_api_says_how_well_it_is_followed(self, ops: Door, cluster: Cluster) -> None:
        machine("shop-a", "shop-test")
        world.machine("here")
        found = {one["name"]: one for one in told(ops.get("clusters/"))["results"]}
        assert (found["local"]["state"], found["local"]["age_s"], found["local"]["machines"]) == ("direct", None, 1)
        assert (found["prod-1"]["state"], found["prod-1"]["age_s"], found["prod-1"]["machines"]) == ("waiting", None, 1)
        now = timezone.now()
        for resource, seconds in (("pods", 2), ("deployments.apps", 4), ("nodes", 500)):
            seen = now - timedelta(seconds=seconds)
            ClusterFeed.objects.create(cluster=cluster, resource=resource, state="live", seen_at=seen, synced_at=seen)
        one = told(ops.get("clusters/prod-1/"))
        assert one["state"] == "live"  # without nodes one can deploy
        assert 4 <= one["age_s"] < 60

    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ({"pods": ("live", 1), "services": ("syncing", None)}, ("syncing", False)),
            ({"pods": ("live", 1), "services": ("down", 30)}, ("down", True)),
            ({"pods": ("live", 300)}, ("old", True)),
            ({"pods": ("live", 1), "nodes": ("down", None)}, ("live", True)),
            ({"nodes": ("live", 1)}, ("waiting", False)),
        ],
    )
    def test_the_worst_of_what_is_followed_is_told(
        self, ops: Door, cluster: Cluster, states: dict[str, Any], expected: tuple[str, bool]
    ) -> None:
        for resource, (state, seconds) in states.items():
            seen = None if seconds is None else timezone.now() - timedelta(seconds=seconds)
            ClusterFeed.objects.create(cluster=cluster, resource=resource, state=state, seen_at=seen, synced_at=seen)
        one = told(ops.get("clusters/prod-1/"))
        assert (one["state"], one["age_s"] is not None) == expected


class TestMachines:
    @pytest.mark.parametrize(
        ("placement", "words"),
        [
            ({}, "is a namespace of it"),
            ({"namespace": ""}, "is a namespace of it"),
            ({"namespace": 7}, "is a namespace of it"),
            ({"namespace": "Shop-Test"}, "cannot be a namespace"),
            ({"namespace": "shop_test"}, "cannot be a namespace"),
            ({"namespace": "-shop"}, "cannot be a namespace"),
            ({"namespace": "shop\n"}, None),  # blanks around it are nobody's intention
            ({"namespace": "a" * 64}, "cannot be a namespace"),
            ({"namespace": "../kube-system"}, "cannot be a namespace"),
            ({"namespace": "kube-system"}, "belongs to Kubernetes itself"),
            ({"namespace": "kube-public"}, "belongs to Kubernetes itself"),
            ({"namespace": "kube-node-lease"}, "belongs to Kubernetes itself"),
            ({"namespace": "shop", "labels": {}}, "nothing else"),
            ([], "is a namespace of it"),
            (["shop"], "is an object"),
        ],
        ids=str,
    )
    def test_a_machine_is_a_namespace(self, cluster: Cluster, placement: Any, words: str | None) -> None:
        def create() -> Machine:
            return actions.create_machine(actor=SYSTEM, name="m", cluster="prod-1", placement=placement)

        if words is None:
            assert create().placement == {"namespace": "shop"}
            return
        with pytest.raises(Invalid) as refusal:
            create()
        assert words in str(refusal.value.sentence)
        assert list(refusal.value.fields) == ["placement"]
        assert not Machine.objects.exists()

    def test_two_machines_do_not_share_a_namespace(self, cluster: Cluster) -> None:
        machine("shop-a", "shop-test")
        with pytest.raises(Conflict) as refusal:
            machine("shop-b", "shop-test")
        assert "is the machine “shop-a” already" in str(refusal.value.sentence)
        Machine.objects.filter(name="shop-a").update(placement={"namespace": " Shop-Test "})  # from before the rules
        with pytest.raises(Conflict):
            machine("shop-b", "shop-test")
        actions.create_cluster(actor=SYSTEM, name="prod-2", kind="kubernetes", connection="k8s")
        assert machine("shop-b", "shop-test", "prod-2").placement == {"namespace": "shop-test"}

    def test_changing_one_keeps_its_own_namespace(self, cluster: Cluster) -> None:
        row = machine("shop-a", "shop-test")
        actions.update_machine(actor=SYSTEM, machine=row, description="Tests", placement={"namespace": "shop-test"})
        actions.update_machine(actor=SYSTEM, machine=row, placement={"namespace": "shop-prod"})
        row.refresh_from_db()
        assert (row.description, row.placement) == ("Tests", {"namespace": "shop-prod"})

    def test_where_services_were_deployed_the_place_stays(self, ops: Door, cluster: Cluster) -> None:
        row = machine("shop-a", "shop-test")
        Service.objects.create(project=world.bare_project(slug="shop"), machine=row)
        problem = refused(ops.patch("machines/shop-a/", {"placement": {"namespace": "shop-prod"}}), 409)
        assert "its namespace cannot be changed" in problem["detail"]
        assert told(ops.patch("machines/shop-a/", {"environment": "staging"}))["environment"] == "staging"
        other = actions.create_cluster(actor=SYSTEM, name="prod-2", kind="kubernetes", connection="k8s")
        row.refresh_from_db()
        row.cluster = other
        with pytest.raises(Conflict):
            actions.save_row(actor=SYSTEM, row=row)

    def test_default_is_allowed_and_warned_of(self, ops: Door, cluster: Cluster) -> None:
        body = {"name": "d", "cluster": "prod-1", "placement": {"namespace": "default"}}
        assert "lands in “default”" in told(ops.post("machines/", body), 201)["warnings"][0]
        body = {"name": "s", "cluster": "prod-1", "placement": {"namespace": "shop-test"}}
        assert told(ops.post("machines/", body), 201)["warnings"] == []

    def test_a_new_machine_has_the_cluster_asked_about_its_namespace(self, ops: Door, cluster: Cluster) -> None:
        told(ops.post("machines/", {"name": "a", "cluster": "prod-1", "placement": {"namespace": "nowhere"}}), 201)
        row = Connection.objects.get()
        assert row.last_test["namespaces"] == ["nowhere"]
        assert row.last_test["missing"][0]["params"] == {"namespace": "nowhere"}
        assert row.last_test["ok"] is False

    def test_machines_on_this_host_stand_where_they_stood(self, ops: Door) -> None:
        world.machine("here")
        assert told(ops.patch("machines/here/", {"placement": {"zone": "b"}}))["placement"] == {"zone": "b"}


class TestAdmin:
    def form(self, cluster: Cluster, **more: Any) -> dict[str, Any]:
        facts = {"name": "shop-a", "cluster": cluster.pk, "environment": "test", "order": 0}
        return {**facts, "approvals_needed": 0, "approver_role": "maintainer", "namespace": "shop-test", **more}

    def add(self, admin: Client, **form: Any) -> Any:
        return admin.post(reverse("admin:clusters_machine_add"), form, follow=True)

    def test_a_cluster_takes_connections_of_its_kind_only(self, admin: Client, connection: Connection) -> None:
        other = actions.save_connection(actor=SYSTEM, name="origin", kind="git")
        html = admin.get(reverse("admin:clusters_cluster_add")).content.decode()
        assert ">k8s<" in html
        assert ">origin<" not in html
        form = {"name": "prod-1", "kind": "kubernetes", "connection": other.pk}
        admin.post(reverse("admin:clusters_cluster_add"), form)
        assert not Cluster.objects.exists()
        admin.post(reverse("admin:clusters_cluster_add"), {**form, "connection": connection.pk})
        assert Cluster.objects.get().connection == connection

    def test_the_namespace_has_a_field(self, admin: Client, cluster: Cluster) -> None:
        answer = self.add(admin, **self.form(cluster))
        row = Machine.objects.get()
        assert row.placement == {"namespace": "shop-test"}
        assert "shop-test" in answer.content.decode()
        page = admin.get(reverse("admin:clusters_machine_change", args=[row.pk])).content.decode()
        assert 'value="shop-test"' in page
        assert 'name="placement"' not in page

    @pytest.mark.parametrize(
        ("namespace", "words"),
        [
            ("", "is a namespace of it"),
            ("Shop", "cannot be a namespace"),
            ("kube-system", "belongs to Kubernetes itself"),
        ],
    )
    def test_what_is_wrong_stands_beside_it(self, admin: Client, cluster: Cluster, namespace: str, words: str) -> None:
        answer = self.add(admin, **self.form(cluster, namespace=namespace))
        assert words in str(answer.context["adminform"].form.errors["namespace"])
        assert not Machine.objects.exists()

    def test_a_namespace_that_is_taken_and_one_that_this_host_does_not_have(
        self, admin: Client, cluster: Cluster
    ) -> None:
        machine("other", "shop-test")
        answer = self.add(admin, **self.form(cluster))
        assert "is the machine “other” already" in str(answer.context["adminform"].form.errors)
        local = actions.create_cluster(actor=SYSTEM, name="here", kind="local")
        answer = self.add(admin, **self.form(local))
        assert "Only a Kubernetes" in str(answer.context["adminform"].form.errors["namespace"])
        self.add(admin, **self.form(local, namespace=""))
        assert Machine.objects.get(name="shop-a").placement == {}

    def test_saving_says_what_the_account_lacks_there(self, admin: Client, cluster: Cluster) -> None:
        assert "there is no namespace nowhere" in said(self.add(admin, **self.form(cluster, namespace="nowhere")))
        assert "lands in “default”" in said(self.add(admin, **self.form(cluster, name="d", namespace="default")))


def test_a_kubeconfig_is_read_once_and_anew_when_it_changes(rig: Rig) -> None:
    row = Connection(name="k", kind="kubernetes", config={}, secrets={"kubeconfig": rig.kubeconfig()})
    first = access_from(row)
    assert access_from(row) is first
    row.secrets = {"kubeconfig": rig.kubeconfig().replace(first.token, "another-token")}
    assert access_from(row).token == "another-token"
