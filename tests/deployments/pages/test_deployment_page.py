"""The page of a deployment on Kubernetes: why it failed with what proves it, what it pins, what it took over."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clusters.configs import source_named
from deployments.cards import cards
from deployments.models import Deployment, Instance, Service
from fangduoduo_release.common.actor import SYSTEM
from projects.actions import save_spec
from projects.models import Project
from tests import world

from .ground import SPEC, Ground, cluster_rows, digest, image_version, service_rows, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


def page_of(deployment: Deployment, query: str = "", language: str = "en") -> str:
    client = signed_in(deployment.service.project.created_by, language)
    return client.get(f"/deployments/{deployment.pk}/{query}").content.decode()


def failed(service: Service, code: str, sentence: str, evidence: str, **params: Any) -> Deployment:
    return Deployment.objects.create(
        number=2, service=service, version=image_version(service.project), previous_version=service.version,
        previous=service.last_deployment, action="deploy", state="failed", replicas=2, pins={"digest": digest("new")},
        started_by=service.project.created_by, manifest="kind: Deployment\n",
        error={"code": code, "sentence": {"msgid": sentence, "params": params}, "evidence": evidence},
    )  # fmt: skip


class TestAFailure:
    def test_a_crash_shows_its_last_lines_and_that_the_old_version_serves(self, ground: Ground) -> None:
        ground.version()
        assert ground.deploy().state == "succeeded"
        broken = ground.version()
        ground.behaves(broken, exit_code=3, lines=("fatal: no database",))
        deployment = ground.deploy()
        assert deployment.state == "failed"
        page = page_of(deployment)
        assert "exit code 3." in page
        assert "The last lines it wrote" in page
        assert "fatal: no database" in page
        assert "The version that ran before goes on serving." in page
        assert ground.service.state == "healthy"

    @pytest.mark.parametrize(
        ("code", "title"),
        [
            ("image_pull", "What the cluster says"),
            ("unschedulable", "What the cluster says"),
            ("quota", "What the cluster says"),
            ("probe_failing", "What the check answered, and the last lines it wrote"),
            ("anything_new", "Evidence"),
        ],
    )
    def test_evidence_says_whose_words_it_is(self, shop: Project, code: str, title: str) -> None:
        service = service_rows(shop, cluster_rows())
        page = page_of(failed(service, code, "It did not work.", "0/3 nodes are available"))
        assert f"<summary>{title}</summary>" in page
        assert "0/3 nodes are available" in page

    def test_evidence_is_text_and_never_markup(self, shop: Project) -> None:
        service = service_rows(shop, cluster_rows())
        page = page_of(failed(service, "crash_loop", "%(what)s", "<script>alert(1)</script>", what="<b>x</b>"))
        assert "<script>alert(1)" not in page
        assert "<b>x</b>" not in page


class TestWhatItPins:
    def test_every_text_with_its_revision(self, shop: Project) -> None:
        service = service_rows(shop, cluster_rows())
        pin = {
            "source": "consul-bj", "key": "shop/base.yaml", "revision": "4711", "sha256": "a" * 64,
            "files": [{"path": "etc/app.toml", "key": "shop/app.toml", "revision": "4712", "sha256": "b" * 64}],
            "spec": {"revision": 1, "sha256": "c" * 64},
        }  # fmt: skip
        Deployment.objects.update(pins={"digest": digest("x"), "config": pin, "manifest_sha256": "d" * 64})
        page = page_of(Deployment.objects.get(service=service))
        for word in ("consul-bj", "shop/base.yaml", "revision 4711", "shop/app.toml", "→ etc/app.toml", "revision 4712",
                     "spec revision 1"):  # fmt: skip
            assert word in page, word

    def test_a_tag_that_nobody_resolved_is_named(self, shop: Project) -> None:
        service = service_rows(shop, cluster_rows())
        version = image_version(shop, pinned=False)
        Deployment.objects.update(pins={"digest": ""}, version=version, state="running")
        page = page_of(Deployment.objects.get(service=service))
        assert f"<code>{version.image}</code>" in page
        assert "no registry says what this tag means" in page

    def test_the_manifest_comes_when_it_is_asked_for(self, shop: Project) -> None:
        service = service_rows(shop, cluster_rows())
        Deployment.objects.update(manifest="kind: Deployment\nmetadata:\n  name: <shop>\n")
        deployment = Deployment.objects.get(service=service)
        page = page_of(deployment)
        assert "?part=manifest" in page
        assert "name: &lt;shop&gt;" not in page
        part = page_of(deployment, "?part=manifest")
        assert "name: &lt;shop&gt;" in part
        assert "data-copy" in part
        assert signed_in(world.person("zoe")).get(f"/deployments/{deployment.pk}/?part=manifest").status_code == 404

    def test_the_manifest_that_is_shown_holds_no_secret(self, ground: Ground) -> None:
        save_spec(actor=ground.owner, project=ground.project, spec={**SPEC, "secrets": {"TOKEN": "hunter2-hunter2"}})
        ground.version()
        deployment = ground.deploy()
        assert deployment.state == "succeeded"
        shown = page_of(deployment) + page_of(deployment, "?part=manifest")
        assert "kind: Secret" in shown
        assert "hunter2" not in shown
        assert "aHVudGVyMi1odW50ZXIy" not in shown


class TestInstances:
    def test_each_leads_to_its_logs_and_says_where_it_runs(self, shop: Project) -> None:
        service = service_rows(shop, cluster_rows())
        page = page_of(Deployment.objects.get(service=service))
        one = service.instances.order_by("name")[1]
        assert f"/services/{service.pk}/logs/?instance={one.name}" in page
        assert "node-1" in page
        assert "app, sidecar" in page

    def test_one_that_is_not_well_says_why_and_comes_first(self, shop: Project) -> None:
        service = service_rows(shop, cluster_rows(), count=5)
        last = service.instances.order_by("-name")[0]
        why = {"msgid": "The image “%(image)s” cannot be pulled.", "params": {"image": "app:9"}}
        Instance.objects.filter(pk=last.pk).update(ready=False, state="starting", reason=why, restarts=4)
        page = page_of(Deployment.objects.get(service=service))
        assert "The image “app:9” cannot be pulled." in page
        assert "4 restarts" in page
        assert re.findall(r'id="i-([^"]+)"', page)[0] == last.name

    def test_old_ones_come_after_new_ones(self) -> None:
        old = Instance(name="a", state="running", ready=True, digest="sha256:old")
        new = Instance(name="b", state="starting", ready=False, digest="")
        going = Instance(name="c", state="stopping", ready=False, digest="sha256:new")
        found = cards([old, new, going], {"sha256:old": 1, "sha256:new": 2}, "sha256:new")
        assert [(one["name"], one["old"], one["version"]) for one in found] == [
            ("b", False, None), ("c", True, 2), ("a", True, 1),
        ]  # fmt: skip

    def test_while_nobody_knows_what_a_tag_means_the_earlier_version_is_the_old_one(self) -> None:
        before, after = (Instance(name=n, state="running", ready=True, digest=f"sha256:{n}") for n in ("one", "two"))
        found = {one["name"]: one["old"] for one in cards([before, after], {"sha256:one": 1}, "")}
        assert found == {"one": True, "two": False}

    def test_a_local_instance_keeps_its_address(self) -> None:
        (found,) = cards([Instance(name="a", state="running", ready=True, node="here", address="127.0.0.1:9")], {})
        assert (found["node"], found["state"], found["containers"]) == ("127.0.0.1:9", "healthy", ())


def test_states_of_pods_have_a_look_of_their_own(shop: Project) -> None:
    service = service_rows(shop, cluster_rows(), count=4)
    for one, state in zip(service.instances.all(), ("restarting", "stopping", "dead", "starting"), strict=True):
        Instance.objects.filter(pk=one.pk).update(state=state, ready=False)
    page = page_of(Deployment.objects.get(service=service))
    for word in ("Restarting", "Stopping", "Ended", "Starting"):
        assert f">{word}</span>" in page, word
    assert 'data-state="dead"' in page


def test_texts_of_the_configuration_are_shown_only_to_who_may_build_with_them(shop: Project) -> None:
    service = service_rows(shop, cluster_rows())
    made = failed(service, "too_late", "Late.", "")
    config = {
        "source": "database",
        "key": "",
        "files": [{"path": "a.ini", "key": "shop/a.ini", "revision": "1", "sha256": "0"}],
    }
    made.pins |= {"config": config}
    made.diff = "--- applied/ConfigMap/a\n+++ wanted/ConfigMap/a\n@@ -0,0 +1,1 @@\n+word-of-the-text\n"
    made.manifest = "data: {file-000: word-of-the-text}\n"
    made.save()
    reader, builder = world.member(shop, "viewer"), world.member(shop, "developer")
    address = f"/deployments/{made.pk}/"
    for part in ("", "?part=live", "?part=manifest"):
        assert "word-of-the-text" not in signed_in(reader).get(address + part).content.decode()
        assert "word-of-the-text" in signed_in(builder).get(address + part).content.decode()
    assert "for those who may build the project" in signed_in(reader).get(address).content.decode()
    assert signed_in(reader).get(f"{address}?part=manifest").status_code == 403
    made.pins = {"digest": digest("new")}
    made.save()
    assert "word-of-the-text" in signed_in(reader).get(address).content.decode(), (
        "without a source it is the spec's alone"
    )


def test_a_preview_gives_no_texts_of_the_configuration_away(ground: Ground) -> None:
    source_named("database").put("shop/a.ini", "password=word-of-the-text", author="ann")
    config = {"source": "database", "files": [{"path": "a.ini", "key": "shop/a.ini"}]}
    save_spec(actor=SYSTEM, project=ground.project, spec={**SPEC, "config": config})
    ground.version()
    reader, builder = world.member(ground.project, "viewer"), world.member(ground.project, "developer")
    body = {"machine": ground.machine.name}
    found = {
        who.username: signed_in(who).post(
            "/api/projects/shop/deployments/preview/", body, content_type="application/json"
        )
        for who in (reader, builder)
    }
    assert "word-of-the-text" in found[builder.username].json()["diff"]
    assert found[reader.username].json()["diff"] == ""
    assert "word-of-the-text" not in found[reader.username].content.decode()
