"""The Jenkins that will run a pipeline judges it; when it cannot, the portal does and says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from builds import judges
from builds.actions import save_pipeline
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from permissions.models import User
from projects.models import Project
from tests import world
from tests.simulators.jenkins import Jenkins

from .shop import pipeline

pytestmark = pytest.mark.django_db(transaction=True)
GOOD = pipeline("checkout scm")
BAD = "pipeline {\n  agent any\n  stages {\n    stage('a') {\n      steps { echo 1, 2, 3 ]\n    }\n  }\n}\n"


@pytest.fixture(autouse=True)
def rested() -> None:
    judges._resting.clear()


def test_a_good_text_is_judged_by_the_projects_jenkins(project: Project, jenkins: Jenkins) -> None:
    found = judges.judge(GOOD, project)
    assert (found["valid"], found["judged_by"], found["errors"]) == (True, "ci", [])
    assert [stage["name"] for stage in found["stages"]] == ["Build"]
    assert jenkins.requests.count("pipeline-model-converter/validate") == 1


def test_what_jenkins_refuses_is_refused_at_save_with_its_place(project: Project) -> None:
    with pytest.raises(Invalid) as refused:
        save_pipeline(actor=SYSTEM, project=project, text=BAD)
    assert refused.value.code == "bad_pipeline"
    assert refused.value.sentence.params["line"] == 5
    assert refused.value.sentence.params["column"] > 1
    assert not project.pipeline_revisions.exists()


def test_a_project_that_is_built_here_asks_nobody(project: Project, jenkins: Jenkins) -> None:
    project.builder_kind = "embedded"
    assert judges.judge(GOOD, project)["judged_by"] == "embedded"
    assert judges.judge(GOOD, None)["judged_by"] == "embedded"
    assert jenkins.requests.count("validate") == 0


def test_a_jenkins_that_is_away_is_named_and_the_portal_judges(project: Project, jenkins: Jenkins) -> None:
    jenkins.faults.reset("", times=None)
    found = judges.judge(GOOD, project)
    assert (found["valid"], found["judged_by"]) == (True, "embedded")
    assert any("“ci” could not be asked" in warning["message"] for warning in found["warnings"])
    asked = len(jenkins.requests.lines())
    judges.judge(GOOD, project)
    assert len(jenkins.requests.lines()) == asked, "one types on: it is not asked again at once"
    with pytest.raises(Invalid):
        save_pipeline(actor=SYSTEM, project=project, text=BAD)
    assert save_pipeline(actor=SYSTEM, project=project, text=GOOD).number == 1


def test_a_jenkins_without_a_validator_leaves_it_to_the_portal(project: Project, jenkins: Jenkins) -> None:
    jenkins.faults.no_validator = True
    found = judges.judge(GOOD, project)
    assert (found["valid"], found["judged_by"]) == (True, "embedded")


def test_a_connection_that_cannot_be_used_stops_nobody_from_saving(project: Project, connection: Connection) -> None:
    connection.secrets = {}
    connection.save()
    assert save_pipeline(actor=SYSTEM, project=Project.objects.get(pk=project.pk), text=GOOD).number == 1


def test_a_text_that_checks_nothing_out_is_hinted_at(project: Project) -> None:
    save_pipeline(actor=SYSTEM, project=project, text=GOOD)
    project.refresh_from_db()
    found = judges.judge(pipeline("echo 'x'"), project)
    assert any("checks the repository out" in warning["message"] for warning in found["warnings"])
    assert not any("checks the repository out" in w["message"] for w in judges.judge(GOOD, project)["warnings"])


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_page_and_api_say_who_spoke(project: Project) -> None:
    owner = world.member(project, "maintainer")
    client = client_of(owner)
    answer: Any = client.post(
        f"/pipelines/judge/?project={project.slug}", {"text": GOOD}, content_type="application/json"
    )
    assert answer.json()["judged_by"] == "ci"
    body = {"text": GOOD, "project": project.slug}
    assert client.post("/api/pipelines/validate/", body, content_type="application/json").json()["judged_by"] == "ci"
    without = client.post("/api/pipelines/validate/", {"text": GOOD}, content_type="application/json")
    assert without.json()["judged_by"] == "embedded"


def test_a_stranger_cannot_have_a_projects_jenkins_asked(project: Project, jenkins: Jenkins) -> None:
    client = client_of(world.person())
    body = {"text": GOOD, "project": project.slug}
    assert client.post("/api/pipelines/validate/", body, content_type="application/json").status_code == 404
    page = client.post(f"/pipelines/judge/?project={project.slug}", {"text": GOOD}, content_type="application/json")
    assert page.status_code == 404
    assert jenkins.requests.count("validate") == 0
