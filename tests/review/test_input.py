"""Bad input gets one sentence at every door, and never takes a page or a duty down."""

from __future__ import annotations

import base64
import json

import pytest
from django.test import Client

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import Sentence
from permissions.models import User
from permissions.tokens import user_of_basic
from projects import git_access, pushes, specs
from projects.actions import save_spec
from projects.drivers.source.base import ZERO, PushEvent
from projects.models import BranchTip, Project
from tests import world

pytestmark = pytest.mark.django_db
SHA = "1" * 40


@pytest.fixture
def owner() -> User:
    return world.person()


@pytest.fixture
def project(owner: User) -> Project:
    return world.project(owner)


@pytest.fixture
def door(owner: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    return client


@pytest.mark.parametrize(
    "path", ["/search/?q=%00", "/projects/?%00=1", "/projects/a%00b/", "/api/projects/?search=a%00"]
)
def test_nul_in_an_address_is_refused_by_the_door(door: Client, path: str) -> None:
    assert door.get(path).status_code == 400


def test_nul_in_a_form_is_refused_by_the_door(door: Client, project: Project) -> None:
    answer = door.post(f"/projects/{project.slug}/pipeline/", {"text": "pipeline {\x00}"})
    assert answer.status_code == 400
    assert not project.pipeline_revisions.exists()


def test_nul_in_a_sign_in_is_nobody() -> None:
    for text in ("fdd_\x00a_b", "ann\x00:pw", "ann:fdd_\x00_x"):
        assert user_of_basic("Basic " + base64.b64encode(text.encode()).decode()) is None


def test_endless_numbers_are_refused(door: Client, project: Project) -> None:
    world.granted(project)
    endless = "9" * 5000
    assert door.post("/me/tokens/", {"name": "t", "days": endless}).status_code == 200
    assert door.get(f"/projects/{project.slug}/change/", {"action": "deploy", "version": endless}).status_code == 422
    for path in ("builds", "deployments", "versions"):
        assert door.get(f"/api/{path}/{endless[:30]}/").status_code == 404


def test_a_text_with_a_stray_percent_is_still_shown() -> None:
    assert say(Sentence("100% of it", {"state": "failed"})) == "100% of it"
    assert say(Sentence("%(gone)s", {"state": "failed"})) == "%(gone)s"


def test_secrets_that_are_no_object_are_one_sentence(project: Project, owner: User) -> None:
    with pytest.raises(Invalid) as refused:
        save_spec(actor=owner, project=project, spec={**specs.EMPTY, "secrets": ["A"]})
    assert list(refused.value.fields) == ["secrets"]


def test_a_revision_builds_on_the_newest_secrets(project: Project, owner: User) -> None:
    save_spec(actor=owner, project=project, spec={**specs.EMPTY, "secrets": {"A": "1"}})
    save_spec(actor=owner, project=project, spec={**specs.EMPTY, "secrets": {"B": "2"}})
    newest = save_spec(actor=owner, project=project, spec={**specs.EMPTY, "secrets": {"A": None}})
    assert dict(newest.secrets) == {"B": "2"}


@pytest.mark.parametrize("ref", ["refs/heads/\udcff", "refs/heads/" + "x" * 250])
def test_a_ref_whose_name_no_column_takes_is_not_followed(project: Project, ref: str) -> None:
    assert pushes.notice(project, PushEvent(ref=ref, old=ZERO, new=SHA, actor="ann")) is None
    Project.objects.filter(pk=project.pk).update(tips_taken_at=None)
    pushes.remember(project, {ref: SHA})
    assert not BranchTip.objects.filter(project=project, sha=SHA).exists()


def test_a_spooled_push_with_such_a_name_holds_nobody_up(project: Project) -> None:
    folder = git_access.SPOOL / "pushes"
    folder.mkdir(parents=True, exist_ok=True)
    for name, ref in (("a" * 32, "refs/heads/\udcff"), ("b" * 32, "refs/heads/fine")):
        note = {"id": name, "slug": project.slug, "actor": "ann", "at": 0.0, "updates": [[ZERO, SHA, ref]]}
        text = json.dumps(note)
        (folder / f"{name}.json").write_text(text)
    git_access.take_spooled()
    assert list(BranchTip.objects.filter(project=project, sha=SHA).values_list("ref", flat=True)) == ["refs/heads/fine"]
    assert not list(folder.glob("*.json"))
