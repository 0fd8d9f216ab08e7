"""The fields that only Kubernetes needs: what is typed becomes the spec, what is empty leaves it, what is wrong is said at its field."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from fangduoduo_release.common.actor import SYSTEM
from projects import specs
from projects.actions import save_spec
from projects.forms import SpecForm
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
EVERYDAY = {"form": "spec", "command": "", "replicas": "2", "port": "8080", "drain_s": "10", "start_deadline_s": "60"}


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


@pytest.fixture
def ann(shop: Project) -> Client:
    client = Client()
    assert shop.created_by is not None
    client.force_login(shop.created_by)
    return client


def save(client: Client, **typed: str) -> Any:
    return client.post("/projects/shop/settings/", {**EVERYDAY, **typed})


def spec_of(project: Project) -> dict[str, Any]:
    found = specs.latest(project)
    assert found is not None
    return dict(found.spec)


def test_an_image_needs_no_command(ann: Client, shop: Project) -> None:
    assert save(ann).status_code == 302
    assert "command" not in spec_of(shop)
    assert specs.service_spec(specs.latest(shop)).command == ()  # type: ignore[arg-type]


def test_what_is_typed_is_what_the_spec_says(ann: Client, shop: Project) -> None:
    answer = save(
        ann, autoscale_min="2", autoscale_max="9", autoscale_cpu="70", ingress_host="shop.example.com",
        ingress_path="/api", ingress_class="nginx", ingress_tls="shop-tls", files_at="/etc/shop",
    )  # fmt: skip
    assert answer.status_code == 302
    spec = spec_of(shop)
    assert spec["autoscale"] == {"min": 2, "max": 9, "cpu_percent": 70}
    assert spec["ingress"] == {
        "host": "shop.example.com",
        "path": "/api",
        "class_name": "nginx",
        "tls_secret": "shop-tls",
    }
    assert spec["files_at"] == "/etc/shop"


def test_little_is_enough(ann: Client, shop: Project) -> None:
    save(ann, autoscale_max="4", ingress_host="shop.example.com")
    spec = spec_of(shop)
    assert spec["autoscale"] == {"min": 1, "max": 4, "cpu_percent": 80}
    assert spec["ingress"] == {"host": "shop.example.com", "path": "/"}
    assert "files_at" not in spec


def test_what_is_emptied_leaves_the_spec_and_the_rest_stays(ann: Client, shop: Project) -> None:
    config = {"source": "database", "key": "shop/base.yaml"}
    before = {"replicas": 2, "autoscale": {"min": 1, "max": 3}, "ingress": {"host": "a.example"}, "files_at": "/srv",
              "config": config, "stop_grace_s": 7}  # fmt: skip
    save_spec(actor=SYSTEM, project=shop, spec=before)
    assert save(ann).status_code == 302
    spec = spec_of(shop)
    assert {"autoscale", "ingress", "files_at"}.isdisjoint(spec)
    assert (spec["config"], spec["stop_grace_s"]) == (config, 7)


def test_what_is_stored_comes_back_into_the_fields() -> None:
    spec = {"autoscale": {"min": 2, "max": 9}, "ingress": {"host": "a.example", "tls_secret": "t"}, "files_at": "/srv"}
    form = SpecForm(initial=SpecForm.initial_from(spec))
    assert form.on_kubernetes
    shown = form.as_p()
    for value in ('value="2"', 'value="9"', 'value="a.example"', 'value="t"', 'value="/srv"'):
        assert value in shown
    assert not SpecForm(initial=SpecForm.initial_from({"replicas": 1})).on_kubernetes


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"autoscale_min": "5", "autoscale_max": "2"}, "autoscale_max", "The most instances are fewer than the least."),
        ({"autoscale_min": "5"}, "autoscale_max", "Say how many instances there may be at most."),
        ({"autoscale_cpu": "50"}, "autoscale_max", "Say how many instances there may be at most."),
        ({"autoscale_max": "0"}, "autoscale_max", "greater than or equal to 1"),
        ({"ingress_host": "no host"}, "ingress_host", "An address from outside needs a host such as shop.example."),
        ({"ingress_path": "/api"}, "ingress_host", "Say under which host it is reached."),
        ({"ingress_host": "a.example", "ingress_path": "api"}, "ingress_host", "begins with “/”"),
        ({"files_at": "etc"}, "files_at", "Config files lie in a folder such as /app."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(
    ann: Client, shop: Project, typed: dict[str, str], field: str, sentence: str
) -> None:
    answer = save(ann, **typed)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in text
    assert f'id="id_{field}-error"' in text
    assert '<details class="fold" id="on-kubernetes" open>' in text
    assert specs.latest(shop) is None


def test_a_viewer_sees_the_fields_and_may_not_change_them(shop: Project) -> None:
    viewer = Client()
    viewer.force_login(world.member(shop, "viewer"))
    assert 'name="ingress_host"' in viewer.get("/projects/shop/settings/").content.decode()
    assert save(viewer, ingress_host="a.example").status_code == 403
    assert specs.latest(shop) is None


def test_the_api_says_what_a_spec_may_hold(ann: Client) -> None:
    schema = ann.get("/api/schema/?format=json").json()
    words = schema["components"]["schemas"]["ProjectIn"]["properties"]["spec"]["description"]
    for word in ("autoscale{min,max,cpu_percent}", "ingress{host,path,class_name,tls_secret}", "files_at"):
        assert word in words
