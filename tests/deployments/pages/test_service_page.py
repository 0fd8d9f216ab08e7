"""The page of a service, its card on the board and its row in the API: what is wanted, what runs, what differs, how old it is."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.configs import resolve, source_named, values_of
from clusters.models import ClusterFeed, Machine
from deployments import freshness
from deployments.models import Deployment, Instance, Service
from fangduoduo_release.common.actor import SYSTEM
from projects.actions import grant_machine, save_spec
from projects.models import Project
from tests import world

from .ground import SPEC, cluster_rows, digest, followed, image_version, service_rows, signed_in

pytestmark = pytest.mark.django_db
CHANGED = "%(kind)s “%(name)s” was changed in the cluster: %(field)s is %(now)s instead of %(then)s."


def hand(field: str, now: str = "9", then: str = "2") -> dict[str, Any]:
    return {
        "msgid": CHANGED,
        "params": {"kind": "Deployment", "name": "shop", "field": field, "now": now, "then": then},
    }


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


@pytest.fixture
def machine(shop: Project) -> Machine:
    made = cluster_rows()
    grant_machine(actor=SYSTEM, project=shop, machine=made)
    followed(made.cluster)
    return made


@pytest.fixture
def service(shop: Project, machine: Machine) -> Service:
    return service_rows(shop, machine)


@pytest.fixture
def ann(shop: Project) -> Client:
    return signed_in(shop.created_by)


def page(client: Client, service: Service, query: str = "") -> str:
    answer = client.get(f"/services/{service.pk}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


class TestThePage:
    def test_it_says_what_is_wanted_what_runs_and_where(self, ann: Client, service: Service) -> None:
        text = page(ann, service)
        assert "shop @ cluster-a-shop-test" in text
        assert "namespace shop-test" in text
        assert "the same on every instance" in text
        assert "2 of 2 ready" in text
        assert text.count('class="instance"') == 2
        assert "data-stale" not in text
        assert f"/services/{service.pk}/logs/?instance=" in text

    def test_what_runs_otherwise_than_pinned_is_said(self, ann: Client, service: Service) -> None:
        Service.objects.update(observed_digest=digest("by hand"))
        assert "something else" in page(ann, service)
        Service.objects.update(observed_digest="")
        assert "not the same on every instance" in page(ann, service)

    def test_what_others_changed_is_listed_field_by_field(self, ann: Client, service: Service) -> None:
        Service.objects.update(
            drift=[hand("spec.replicas"), hand("spec.template.spec.containers[app].image", "x", "y")]
        )
        text = page(ann, service)
        assert 'id="drift"' in text
        assert "spec.replicas is 9 instead of 2" in text
        assert "spec.template.spec.containers[app].image is x instead of y" in text

    def test_a_cluster_that_nobody_follows_makes_it_old(self, ann: Client, service: Service, machine: Machine) -> None:
        followed(machine.cluster, timezone.now() - timedelta(minutes=3))
        text = page(ann, service)
        assert "The cluster is not followed now; this was seen:" in text
        assert "3 min ago" in text
        ClusterFeed.objects.all().delete()
        assert "nobody knows what runs there now" in page(ann, service)

    def test_the_live_part_is_the_part_alone(self, ann: Client, service: Service) -> None:
        part = page(ann, service, "?part=live")
        assert "<html" not in part
        assert f'data-live-topic="services/{service.pk}"' in part
        assert 'hx-swap-oob="true"' in part

    def test_a_change_under_way_and_the_last_ones_are_there(self, ann: Client, service: Service) -> None:
        newer = image_version(service.project)
        why = {
            "code": "x",
            "sentence": {"msgid": "No node has room for it: too little %(what)s.", "params": {"what": "memory"}},
        }
        facts = {"service": service, "version": newer, "action": "deploy", "replicas": 2}
        Deployment.objects.create(**facts, number=2, state="failed", error=why)
        running = Deployment.objects.create(**facts, number=3, state="running", started_at=timezone.now(), total=2)
        text = page(ann, service)
        assert "No node has room for it: too little memory." in text
        assert text.count(f'href="/deployments/{running.pk}/"') == 2

    def test_nothing_there_yet_teaches_no_falsehood(self, ann: Client, shop: Project, machine: Machine) -> None:
        empty = Service.objects.create(project=shop, machine=machine)
        text = page(ann, empty)
        assert "Nothing runs here yet." in text
        assert "Nothing is pinned yet." in text
        assert "action=remove" not in text


class TestWhoMay:
    def test_a_stranger_finds_nothing(self, service: Service) -> None:
        assert signed_in(world.person("zoe")).get(f"/services/{service.pk}/").status_code == 404
        assert signed_in(world.person("yan")).get(f"/services/{service.pk}/?part=live").status_code == 404

    def test_a_viewer_sees_a_lock_where_a_developer_deploys(self, shop: Project, service: Service) -> None:
        viewer, developer = (signed_in(world.member(shop, role)) for role in ("viewer", "developer"))
        assert 'data-opens="locked-deploy"' in page(viewer, service)
        assert "data-deploy" not in page(viewer, service)
        assert "data-deploy" in page(developer, service)

    def test_a_viewer_reads_which_text_changed_but_not_the_text(self, shop: Project, service: Service) -> None:
        pinned(service, "first-word")
        source_named("database").put("shop/base.yaml", "second-word", author="bob")
        viewer, developer = (signed_in(world.member(shop, role)) for role in ("viewer", "developer"))
        assert "shop/base.yaml" in page(viewer, service)
        assert "second-word" not in page(viewer, service)
        assert "second-word" in page(developer, service)
        assert "· bob" in page(developer, service)


def pinned(service: Service, text: str, key: str = "shop/base.yaml") -> None:
    """What is deployed is pinned to this text."""
    source_named("database").put(key, text, author="ann")
    binding = {"source": "database", "key": key}
    spec = save_spec(actor=SYSTEM, project=service.project, spec={**SPEC, "config": binding})
    found = resolve(binding, values=values_of(service.project.slug, service.machine))
    assert found is not None
    pin = {**found.as_json(), "spec": {"revision": spec.number, "sha256": spec.sha256}}
    Service.objects.filter(pk=service.pk).update(config=pin, spec_revision=spec)


class TestTheBoard:
    def card(self, client: Client) -> str:
        text = client.get("/projects/shop/").content.decode()
        return text[text.index('class="card machine-card') :]

    def test_a_quiet_service_is_quiet(self, ann: Client, service: Service) -> None:
        card = self.card(ann)
        assert f'href="/services/{service.pk}/"' in card
        for word in ("data-drift", "data-stale", "data-config-drift"):
            assert word not in card

    def test_what_others_changed_is_amber_and_leads_to_the_rest(self, ann: Client, service: Service) -> None:
        Service.objects.update(drift=[hand("spec.replicas"), hand("spec.paused")])
        card = self.card(ann)
        assert "spec.replicas is 9 instead of 2" in card
        assert f'<a href="/services/{service.pk}/#drift">2 fields differ</a>' in card
        home = ann.get("/").content.decode()
        assert "It was changed in the cluster by somebody else's hand." in home

    def test_changed_configuration_is_counted(self, ann: Client, service: Service) -> None:
        pinned(service, "a")
        assert "data-config-drift" not in self.card(ann)
        source_named("database").put("shop/base.yaml", "b", author="bob")
        assert "1 text of its configuration was changed since." in self.card(ann)

    def test_old_knowledge_is_said_to_be_old(self, ann: Client, service: Service, machine: Machine) -> None:
        followed(machine.cluster, timezone.now() - timedelta(minutes=3))
        assert "data-stale" in self.card(ann)

    def test_its_address_is_a_link(self, ann: Client, service: Service) -> None:
        Service.objects.update(url="https://shop.example.com/")
        assert 'href="https://shop.example.com/"' in self.card(ann)

    def test_three_hundred_instances_are_a_few_dots(self, shop: Project, machine: Machine, ann: Client) -> None:
        service_rows(shop, machine, 300)
        Instance.objects.filter(name__endswith="0012b").update(ready=False, state="restarting")
        card = self.card(ann)
        assert card.count("state-short") == 8
        assert 'data-state="restarting"' in card
        assert "+292" in card


class TestTheApi:
    def get(self, client: Client, path: str) -> Any:
        answer = client.get(path)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def test_a_service_says_its_configuration_its_drift_and_how_old_it_is(self, ann: Client, service: Service) -> None:
        pinned(service, "a")
        Service.objects.update(drift=[hand("spec.replicas")])
        found = self.get(ann, f"/api/services/{service.pk}/")
        assert found["config"]["key"] == "shop/base.yaml"
        assert found["drift"] == ["Deployment “shop” was changed in the cluster: spec.replicas is 9 instead of 2."]
        assert 0 <= found["observed"]["age_ms"] < 30_000
        assert found["observed"]["followed"] is True

    def test_age_is_of_the_cluster_and_not_of_the_last_change(
        self, ann: Client, service: Service, machine: Machine
    ) -> None:
        Service.objects.update(observed_at=timezone.now() - timedelta(days=1))
        assert self.get(ann, f"/api/services/{service.pk}/")["observed"]["age_ms"] < 30_000
        followed(machine.cluster, timezone.now() - timedelta(seconds=90))
        seen = self.get(ann, f"/api/services/{service.pk}/")["observed"]
        assert (seen["age_ms"] >= 90_000, seen["followed"]) == (True, False)
        ClusterFeed.objects.filter(resource="pods").delete()
        seen = self.get(ann, "/api/projects/shop/services/")["results"][0]["observed"]
        assert (seen["age_ms"], seen["followed"]) == (None, False)

    def test_instances_say_their_containers_and_why_they_are_not_well(self, ann: Client, service: Service) -> None:
        one = service.instances.order_by("name")[0]
        why = {"msgid": "No node has room for it: too little %(what)s.", "params": {"what": "cpu"}}
        Instance.objects.filter(pk=one.pk).update(ready=False, state="starting", reason=why)
        first, second = self.get(ann, f"/api/services/{service.pk}/instances/")
        assert (first["reason"], first["containers"]) == ("No node has room for it: too little cpu.", ["app"])
        assert (second["reason"], second["containers"]) == (None, ["app", "sidecar"])


class TestHowMuchItAsks:
    def asked(self, client: Client, path: str) -> int:
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    def test_the_page_asks_as_much_for_three_hundred_as_for_two(
        self, ann: Client, shop: Project, machine: Machine, service: Service
    ) -> None:
        pinned(service, "a")
        source_named("database").put("shop/base.yaml", "b", author="bob")
        many = service_rows(shop, cluster_rows("cluster-b"), 300)
        pinned(many, "c", "shop/other.yaml")
        source_named("database").put("shop/other.yaml", "d", author="bob")
        few = self.asked(ann, f"/services/{service.pk}/")
        assert self.asked(ann, f"/services/{many.pk}/") == few
        assert few <= 14, "two of them look what the configuration says by now, and what it said"

    def test_the_board_asks_as_much_for_eight_machines_as_for_one(
        self, ann: Client, shop: Project, service: Service
    ) -> None:
        pinned(service, "a")
        one = self.asked(ann, "/projects/shop/")
        for n in range(7):
            there = service_rows(shop, cluster_rows(f"more-{n}"))
            pinned(there, f"text {n}", f"shop/{n}.yaml")
        assert self.asked(ann, "/projects/shop/") == one
        assert one <= 12


def test_a_place_that_is_looked_at_is_as_old_as_the_last_look(shop: Project) -> None:
    here = world.granted(shop, "test-a")
    there = Service.objects.create(project=shop, machine=here, observed_at=timezone.now() - timedelta(seconds=5))
    (known,) = freshness.of_services([there]).values()
    assert known.followed
    assert known.age_ms is not None
    assert 5_000 <= known.age_ms < 60_000
    assert freshness.of_services([]) == {}


def test_every_address_of_a_service_is_there_in_chinese(ann: Client, service: Service) -> None:
    client = signed_in(service.project.created_by, "zh-hans")
    text = page(client, service)
    assert re.search(r"<h1[^>]*>\s*shop @ ", text)
