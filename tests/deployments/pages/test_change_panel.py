"""The panel of a change on Kubernetes: whose fields are in the way, what goes, which texts, and what to do when nothing can be asked."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from clusters.configs import source_named
from clusters.models import ConfigRevision
from deployments import actions
from deployments.models import Deployment, Service
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from projects.actions import save_spec
from tests import world
from tests.waiting import until

from .ground import IMAGE, SPEC, Ground, digest

pytestmark = pytest.mark.django_db(transaction=True)
BASE = """apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      containers:
      - name: app
        image: any
        env: [{name: GREETING, value: %s}]
"""


def confirm_button(page: str) -> str:
    found = re.search(r"<button[^>]*panel-confirm[^>]*>", page)
    return found[0] if found else ""


def edited_by_hand(ground: Ground) -> None:
    """Somebody scales it with another tool, which owns the field from then on."""
    (live,) = ground.rig.all("deployments", ground.namespace)
    name = live["metadata"]["name"]
    body = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": ground.namespace},
        "spec": {"replicas": 3},
    }  # fmt: skip
    answer = httpx.patch(
        f"{ground.rig.url}/apis/apps/v1/namespaces/{ground.namespace}/deployments/{name}",
        params={"fieldManager": "kubectl-edit", "force": "true"},
        headers={**ground.rig.headers, "Content-Type": "application/apply-patch+yaml"},
        content=json.dumps(body),
        verify=False,
    )
    assert answer.status_code == 200, answer.text


def test_a_first_deployment_says_what_it_brings(ground: Ground) -> None:
    version = ground.version()
    page = ground.panel()
    assert f"Deploy #{version.number} to shop-test" in page
    assert version.digest[7:19] in page
    assert "kind: Deployment" in page
    assert "disabled" not in confirm_button(page)
    assert 'id="conflicts"' not in page
    assert 'id="deletes"' not in page


def test_a_tag_nobody_can_resolve_is_said_to_be_one(ground: Ground) -> None:
    version = ground.version(pinned=False)
    page = ground.panel()
    assert version.image in page
    assert "no registry says what this tag means" in page


class TestFieldsOfOthers:
    @pytest.fixture
    def edited(self, ground: Ground) -> Ground:
        ground.version()
        assert ground.deploy().state == "succeeded"
        edited_by_hand(ground)
        ground.version()
        return ground

    def test_each_is_listed_with_its_owner_and_must_be_taken_over(self, edited: Ground) -> None:
        page = edited.panel()
        assert "kubectl-edit" in page
        assert "<code>spec.replicas</code>" in page
        assert 'name="take_over" value="1"' in page
        assert "disabled" in confirm_button(page)
        assert "First say that you take over the fields that belong to somebody else." in page
        assert "would have to be taken over" not in page, "the table says it; the warning need not repeat it"

    def test_ticked_the_button_works_and_the_fields_are_ours(self, edited: Ground) -> None:
        page = edited.panel(take_over="1")
        assert "disabled" not in confirm_button(page)
        assert re.search(r'name="take_over" value="1" checked', page)
        answer = edited.confirm(take_over="1")
        assert answer.status_code == 204
        deployment = Deployment.objects.get(pk=answer["HX-Redirect"].strip("/").split("/")[-1])
        assert deployment.take_over
        assert {one["owner"] for one in deployment.pins["taken_over"]} == {"kubectl-edit"}
        assert edited.follow(deployment).state == "succeeded"
        shown = edited.browser().get(f"/deployments/{deployment.pk}/").content.decode()
        assert "taken over from somebody else" in shown
        assert "kubectl-edit" in shown
        (told,) = [
            e.after["takes_over"]
            for e in AuditEntry.objects.filter(verb="deployment.deploy")
            if "takes_over" in e.after
        ]
        assert "kubectl-edit" in told[0]

    def test_confirmed_without_it_is_refused_with_what_is_in_the_way(self, edited: Ground) -> None:
        answer = edited.confirm()
        assert answer.status_code == 200
        assert "Somebody else manages what this change would set" in answer.content.decode()
        assert Deployment.objects.filter(service=edited.service).count() == 1

    def test_a_wish_to_take_over_takes_nothing_where_nothing_is_in_the_way(self, ground: Ground) -> None:
        ground.version()
        deployment = ground.deploy(take_over=True)
        assert (deployment.take_over, "taken_over" in deployment.pins) == (False, False)

    def test_the_api_says_the_same(self, edited: Ground) -> None:
        door = edited.browser()
        body = {"machine": "shop-test", "action": "deploy"}
        found = door.post("/api/projects/shop/deployments/preview/", body, content_type="application/json").json()
        assert found["conflicts"]
        assert {frozenset(one) for one in found["conflicts"]} == {frozenset({"what", "field", "owner"})}
        assert found["deletes"] == []
        refused = door.post("/api/projects/shop/deployments/", body, content_type="application/json")
        assert (refused.status_code, refused.json()["code"]) == (409, "field_conflict")
        made = door.post(
            "/api/projects/shop/deployments/", {**body, "take_over": True}, content_type="application/json"
        )
        assert made.status_code == 201
        assert made.json()["take_over"] is True
        assert made.json()["takes_over"] == found["conflicts"]
        assert set(made.json()["pins"]) == {"digest", "config", "manifest_sha256", "pipeline_revision", "traffic"}


class TestWhatGoes:
    def test_a_removal_lists_every_object(self, ground: Ground) -> None:
        ground.version()
        ground.deploy()
        page = ground.panel("remove")
        there = [f"Deployment/{one['metadata']['name']}" for one in ground.rig.all("deployments", ground.namespace)]
        there += [f"Service/{one['metadata']['name']}" for one in ground.rig.all("services", ground.namespace)]
        assert len(there) >= 2
        for what in there:
            assert f"<code>{what}</code>" in page, what
        assert "will be deleted from the cluster" in page
        assert "What changes in the manifest" not in page

    def test_a_service_that_lost_its_port_says_what_it_loses(self, ground: Ground) -> None:
        ground.version()
        ground.deploy()
        save_spec(actor=SYSTEM, project=ground.project, spec={"replicas": 2, "port_name": ""})
        page = ground.panel()
        assert "is not wanted any more and will be deleted" in page
        assert re.search(r"<code>Service/[a-z0-9-]+</code>", page)
        found = actions.preview_deployment(
            actor=SYSTEM, project=ground.project, machine=ground.machine, action="deploy"
        )
        assert [what.partition("/")[0] for what in found.deletes] == ["Service"]


def test_what_an_autoscaler_of_the_cluster_decides_cannot_be_confirmed(ground: Ground) -> None:
    ground.version()
    assert ground.deploy().state == "succeeded"
    (live,) = ground.rig.all("deployments", ground.namespace)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": live["metadata"]["name"]}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9}
    ground.rig.create("horizontalpodautoscalers", ground.namespace, {"metadata": {"name": "theirs"}, "spec": spec})
    page = ground.panel("scale", replicas="0")
    assert "HorizontalPodAutoscaler/theirs decides how many instances run here" in page
    assert confirm_button(page) == ""
    page = ground.panel("restart")
    assert "HorizontalPodAutoscaler/theirs of this cluster decides how many instances there are" in page
    assert confirm_button(page)


class TestConfiguration:
    def write(self, key: str, text: str) -> None:
        source_named("database").put(key, text, author="ann")

    def bind(self, ground: Ground, **more: Any) -> None:
        config = {"source": "database", "key": "shop/base.yaml", **more}
        save_spec(actor=SYSTEM, project=ground.project, spec={**SPEC, "config": config})

    def test_a_text_that_changed_since_is_said_with_its_diff(self, ground: Ground) -> None:
        ground.version()
        self.write("shop/base.yaml", BASE % "hello")
        self.bind(ground)
        assert ground.deploy().state == "succeeded"
        self.write("shop/base.yaml", BASE % "good-day")
        page = ground.panel()
        assert "kept in the portal" in page
        assert "<code>shop/base.yaml</code>" in page
        assert "changed since what runs (revision 1)" in page
        assert "value: good-day" in page
        assert ConfigRevision.objects.count() == 2

    def test_a_rollback_brings_the_old_text_and_says_so(self, ground: Ground) -> None:
        old = ground.version()
        self.write("shop/base.yaml", BASE % "hello")
        self.bind(ground)
        ground.deploy()
        self.write("shop/base.yaml", BASE % "good-day")
        ground.version()
        ground.deploy()
        page = ground.panel("rollback")
        assert f"back to #{old.number}" in page
        assert "changed since what runs (revision 2)" in page

    def test_files_are_named_with_where_they_lie(self, ground: Ground) -> None:
        ground.version()
        self.write("shop/base.yaml", BASE % "hello")
        self.write("shop/app.toml", "colour = 'red'\n")
        self.bind(ground, files=[{"path": "etc/app.toml", "key": "shop/app.toml"}])
        page = ground.panel()
        assert "<code>shop/app.toml</code>" in page
        assert "→ etc/app.toml" in page

    def test_a_manifest_that_is_refused_says_everything_that_is_wrong(self, ground: Ground) -> None:
        ground.version()
        bad = (
            BASE % "x"
            + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\n"
        )
        self.write("shop/base.yaml", bad)
        self.bind(ground)
        page = ground.panel()
        assert "Objects of kind “Namespace” (v1) are not deployed by the portal." in page
        assert "Objects of kind “Node” (v1) are not deployed by the portal." in page
        assert "Mend the configuration" in page
        assert confirm_button(page) == ""

    def test_a_key_that_is_gone_leaves_the_panel_open(self, ground: Ground) -> None:
        ground.version()
        self.bind(ground)
        page = ground.panel()
        assert "There is no configuration “shop/base.yaml”." in page
        assert confirm_button(page) == ""


class TestAClusterNobodyReaches:
    @pytest.fixture
    def away(self, ground: Ground) -> Ground:
        ground.version()
        ground.deploy()
        ground.version()
        ground.rig.stop()
        return ground

    def test_the_panel_opens_says_why_and_offers_another_try(self, away: Ground) -> None:
        page = away.panel()
        assert "Nothing was changed and what runs goes on running." in page
        assert "data-retry" in page
        assert "data-confirm" not in page
        assert "Change number" in page, "what was chosen is shown all the same"

    def test_confirming_shows_the_same_and_starts_nothing(self, away: Ground) -> None:
        before = Deployment.objects.count()
        answer = away.confirm(reason="at three in the morning")
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "data-retry" in page
        assert Deployment.objects.count() == before


def test_drift_is_told_with_what_happens_to_it(ground: Ground) -> None:
    ground.version()
    ground.deploy()
    sentence = {"msgid": "%(kind)s “%(name)s” was changed in the cluster: %(field)s is %(now)s instead of %(then)s.",
                "params": {"kind": "Deployment", "name": "shop", "field": "spec.replicas", "now": "9", "then": "2"}}  # fmt: skip
    Service.objects.update(drift=[sentence])
    assert "This deployment sets it back." in ground.panel("restart")
    assert "It is removed all the same." in ground.panel("remove")
    edited_by_hand(ground)
    assert "What others set stays theirs unless you take it over below" in ground.panel()


def test_whoever_may_not_deploy_sees_the_refusal_and_no_facts(ground: Ground) -> None:
    ground.version()
    viewer = world.member(ground.project, "viewer")
    page = ground.panel(client=ground.browser(viewer))
    assert "refusal" in page
    assert confirm_button(page) == ""
    assert digest("app 1")[7:19] not in page
    assert IMAGE not in page


def test_a_deployment_by_tag_pins_what_it_turned_out_to_be(ground: Ground) -> None:
    version = ground.version(pinned=False)
    deployment = ground.deploy()
    assert deployment.state == "succeeded"
    assert deployment.pins["digest"] == digest(f"app {version.number}")
    until(lambda: ground.service.observed_digest)
    page = ground.browser().get(f"/deployments/{deployment.pk}/").content.decode()
    assert deployment.pins["digest"][7:19] in page
    assert "instance-old" not in page
