"""Secrets for pipelines: in by the API, out never; refused when they are not whole."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from builds.models import Credential
from fangduoduo_release.audit.models import AuditEntry
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
SECRET = "correct-horse-battery"


@pytest.fixture
def project() -> Project:
    return world.project()


@pytest.fixture
def api(project: Project) -> APIClient:
    client = APIClient()
    client.force_authenticate(project.created_by)
    return client


def address(project: Project, ident: str = "") -> str:
    return f"/api/projects/{project.slug}/credentials/" + (f"{ident}/" if ident else "")


def test_a_secret_goes_in_and_never_comes_out(api: APIClient, project: Project) -> None:
    body = {"id": "DEPLOY_KEY", "kind": "text", "values": {"secret": SECRET}, "description": "for the mirror"}
    saved = api.post(address(project), body, format="json")
    listed = api.get(address(project))
    assert (saved.status_code, listed.status_code) == (201, 200)
    assert listed.json()[0]["id"] == "DEPLOY_KEY"
    for answer in (saved, listed):
        assert SECRET not in answer.content.decode()
    assert Credential.objects.get().values == {"secret": SECRET}
    assert SECRET not in str(list(AuditEntry.objects.values()))


def test_the_same_id_replaces_and_delete_forgets(api: APIClient, project: Project) -> None:
    for secret in ("one", "two"):
        body = {"id": "KEY", "kind": "text", "values": {"secret": secret}}
        assert api.post(address(project), body, format="json").status_code == 201
    assert Credential.objects.get().values == {"secret": "two"}
    assert api.delete(address(project, "KEY")).status_code == 204
    assert api.delete(address(project, "KEY")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"id": "K", "kind": "nonsense", "values": {"secret": "x"}},
        {"id": "K", "kind": "username_password", "values": {"username": "x"}},
        {"id": "K", "kind": "ssh_key", "values": {}},
        {"id": "../K", "kind": "text", "values": {"secret": "x"}},
        {"id": "", "kind": "text", "values": {"secret": "x"}},
        {"id": "K", "kind": "text", "values": "x"},
        {"id": "K", "kind": "text"},
    ],
)
def test_what_is_not_whole_is_refused_and_nothing_is_kept(
    api: APIClient, project: Project, body: dict[str, object]
) -> None:
    answer = api.post(address(project), body, format="json")
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]
    assert not Credential.objects.exists()


def test_a_developer_does_not_even_see_the_names(project: Project) -> None:
    client = APIClient()
    client.force_authenticate(world.member(project, "developer"))
    assert client.get(address(project)).status_code == 403
    body = {"id": "K", "kind": "text", "values": {"secret": "x"}}
    assert client.post(address(project), body, format="json").status_code == 403
