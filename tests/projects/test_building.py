"""What builds a project and where its images go: chosen by name, judged, written down; at the page and at the API."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied, Invalid, NotFound
from fangduoduo_release.common.models import Connection
from projects import building
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
HOST = "registry.example:5000"


@pytest.fixture
def project() -> Project:
    return world.project(slug="shop")


@pytest.fixture(autouse=True)
def connections() -> dict[str, Connection]:
    rows = {
        "ci": ("jenkins", {"url": "https://jenkins.example/", "user": "robot"}),
        "images": ("registry", {"url": f"https://{HOST}", "username": "robot"}),
        "origin": ("git", {"url": "https://git.example/x.git"}),
    }
    return {
        name: Connection.objects.create(name=name, kind=kind, config=config, secrets={"token": "planted"})
        for name, (kind, config) in rows.items()
    }


@pytest.fixture
def api(project: Project) -> APIClient:
    client = APIClient()
    client.force_authenticate(project.created_by)
    return client


def page(project: Project, role: str) -> tuple[Client, str]:
    client = Client()
    client.force_login(project.created_by if role == "owner" else world.member(project, role))
    return client, client.get(f"/projects/{project.slug}/settings/").content.decode()


# -- the action ------------------------------------------------------------------------------------------------------
def test_builder_and_registry_are_chosen_and_written_down(project: Project, connections: dict[str, Connection]) -> None:
    building.choose(
        actor=SYSTEM, project=project, builder=connections["ci"], registry=connections["images"], image=" team/app "
    )
    project.refresh_from_db()
    assert (project.builder_kind, project.builder_connection, project.registry_connection, project.image) == (
        "jenkins",
        connections["ci"],
        connections["images"],
        "team/app",
    )
    entry = AuditEntry.objects.order_by("-seq")[0]
    assert entry.verb == "project.update"
    assert entry.after == {"builder": "jenkins ci", "registry": "images", "image": "team/app"}
    assert entry.before == {"builder": "embedded", "registry": "", "image": ""}
    building.choose(actor=SYSTEM, project=project, builder=None, registry=None)
    project.refresh_from_db()
    assert (project.builder_kind, project.builder_connection, project.registry_connection) == ("embedded", None, None)
    assert project.image == "team/app", "what was not named stays"


def test_choosing_what_is_chosen_writes_nothing(project: Project) -> None:
    before = AuditEntry.objects.count()
    building.choose(actor=SYSTEM, project=project, builder=None, image="")
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize(("what", "name"), [("builder", "images"), ("builder", "origin"), ("registry", "ci")])
def test_a_connection_of_another_sort_is_refused(
    project: Project, connections: dict[str, Connection], what: str, name: str
) -> None:
    with pytest.raises(Invalid) as error:
        building.choose(actor=SYSTEM, project=project, **{what: connections[name]})
    assert list(error.value.fields) == [what]
    project.refresh_from_db()
    assert project.builder_kind == "embedded"


@pytest.mark.parametrize("image", ["Team/App", "app:1", f"{HOST}/app", "../app", "a//b", "a b", "-app", "x" * 201])
def test_a_name_that_no_registry_takes_is_refused(project: Project, image: str) -> None:
    with pytest.raises(Invalid) as error:
        building.choose(actor=SYSTEM, project=project, image=image)
    assert list(error.value.fields) == ["image"]


def test_only_whoever_may_change_the_project_chooses(project: Project) -> None:
    for who in (world.person(), world.member(project, "viewer"), world.member(project, "developer")):
        with pytest.raises((Denied, NotFound)):
            building.choose(actor=who, project=project, image="app")
    building.choose(actor=world.member(project, "maintainer"), project=project, image="app")


# -- the API ---------------------------------------------------------------------------------------------------------
def test_the_api_takes_and_shows_names(api: APIClient, project: Project) -> None:
    body: dict[str, Any] = {
        "builder": {"kind": "jenkins", "connection": "ci"},
        "registry": {"connection": "images", "image": "team/app"},
    }
    answer = api.patch("/api/projects/shop/", body, format="json")
    assert answer.status_code == 200, answer.content
    for found in (answer.json(), api.get("/api/projects/shop/").json(), api.get("/api/projects/").json()["results"][0]):
        assert (found["builder"], found["registry"]) == (body["builder"], body["registry"])
        assert "planted" not in str(found)
        assert HOST not in str(found)
    answer = api.patch("/api/projects/shop/", {"registry": {"image": ""}}, format="json")
    assert answer.json()["registry"] == {"connection": "images", "image": ""}
    assert answer.json()["builder"] == body["builder"]
    answer = api.patch(
        "/api/projects/shop/", {"builder": {"kind": "embedded"}, "registry": {"connection": None}}, format="json"
    )
    assert answer.json()["builder"] == {"kind": "embedded", "connection": None}
    assert answer.json()["registry"]["connection"] is None


def test_the_connections_kind_is_enough(api: APIClient) -> None:
    answer = api.patch("/api/projects/shop/", {"builder": {"connection": "ci"}}, format="json")
    assert answer.json()["builder"] == {"kind": "jenkins", "connection": "ci"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"builder": {"kind": "jenkins"}}, "builder"),
        ({"builder": {"kind": "spaceship"}}, "builder"),
        ({"builder": {"kind": "jenkins", "connection": "none"}}, "builder"),
        ({"builder": {"kind": "jenkins", "connection": "images"}}, "builder"),
        ({"builder": {"kind": "embedded", "connection": "ci"}}, "builder"),
        ({"builder": {"connection": "origin"}}, "builder"),
        ({"registry": {"connection": "none"}}, "registry"),
        ({"registry": {"connection": "ci"}}, "registry"),
        ({"registry": {"image": "No Name"}}, "image"),
    ],
)
def test_the_api_refuses_and_changes_nothing(
    api: APIClient, project: Project, body: dict[str, Any], field: str
) -> None:
    answer = api.patch("/api/projects/shop/", {**body, "name": "Other"}, format="json")
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == [field]
    made = api.post("/api/projects/", {"slug": "another", **body}, format="json")
    assert made.status_code == 422
    assert not Project.objects.filter(slug="another").exists()
    project.refresh_from_db()
    assert (project.name, project.builder_kind, project.image) == ("shop", "embedded", "")


def test_a_project_may_be_made_with_them(api: APIClient) -> None:
    body = {"slug": "another", "builder": {"connection": "ci"}, "registry": {"connection": "images"}}
    answer = api.post("/api/projects/", body, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["builder"] == {"kind": "jenkins", "connection": "ci"}
    assert answer.json()["registry"] == {"connection": "images", "image": ""}


def test_whoever_may_not_change_the_project_learns_no_names(project: Project) -> None:
    client = APIClient()
    client.force_authenticate(world.member(project, "viewer"))
    for name in ("ci", "none"):
        answer = client.patch("/api/projects/shop/", {"builder": {"connection": name}}, format="json")
        assert answer.status_code == 403


# -- the page --------------------------------------------------------------------------------------------------------
def options(html: str, name: str) -> list[str]:
    select = re.search(rf'<select name="{name}".*?</select>', html, re.DOTALL)
    assert select is not None
    return re.findall(r'<option value="([^"]*)"', select[0])


def test_the_page_offers_names_of_the_right_sort_and_nothing_else(project: Project) -> None:
    client, html = page(project, "maintainer")
    assert options(html, "builder") == ["", "ci"]
    assert options(html, "registry") == ["", "images"]
    for hidden in ("planted", HOST, "jenkins.example", ">origin<"):
        assert hidden not in html
    answer = client.post(
        "/projects/shop/settings/", {"form": "building", "builder": "ci", "registry": "images", "image": "team/app"}
    )
    assert answer.status_code == 302
    project.refresh_from_db()
    assert project.builder_connection is not None
    assert (project.builder_connection.name, project.image) == ("ci", "team/app")
    assert "Jenkins · ci" in client.get("/projects/shop/settings/").content.decode()
    assert "Jenkins · ci" in client.get("/projects/shop/").content.decode(), "every page's head says what builds it"


def test_a_bad_name_comes_back_with_its_sentence(project: Project) -> None:
    client, _ = page(project, "owner")
    answer = client.post("/projects/shop/settings/", {"form": "building", "image": "Not A Name"})
    assert answer.status_code == 422
    assert "no host, no tag" in answer.content.decode()
    answer = client.post("/projects/shop/settings/", {"form": "building", "builder": "images"})
    assert answer.status_code == 422
    project.refresh_from_db()
    assert (project.builder_kind, project.image) == ("embedded", "")


def test_a_viewer_sees_what_is_chosen_and_no_other_name(project: Project, connections: dict[str, Connection]) -> None:
    Connection.objects.create(name="other-ci", kind="jenkins")
    building.choose(actor=SYSTEM, project=project, builder=connections["ci"])
    client, html = page(project, "viewer")
    assert options(html, "builder") == ["", "ci"]
    assert options(html, "registry") == [""]
    assert "other-ci" not in html
    answer = client.post("/projects/shop/settings/", {"form": "building", "builder": ""})
    assert answer.status_code == 403
    project.refresh_from_db()
    assert project.builder_kind == "jenkins"
