"""The same builds on the Jenkins that the environment names (`make live`): from the queued row to what is kept here.

`FDD_LIVE_JENKINS_URL`, `_USER`, `_TOKEN`. Jobs go into a folder of their own, which is deleted at the end (the user needs
Job/Delete for that, and nothing else beyond what docs/jenkins.md lists).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings

from builds.actions import answer_input, cancel_build
from builds.connections import builder_of
from builds.models import Artifact, InputRequest, RemoteJob, Stage, Version
from builds.remote import advance as advancing
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection
from projects.models import Project
from tests import world
from tests.builds.remote.pump import Pump

from .shop import log_of, pipeline, started

NAMES = ("FDD_LIVE_JENKINS_URL", "FDD_LIVE_JENKINS_USER", "FDD_LIVE_JENKINS_TOKEN")
MISSING = [name for name in NAMES if not os.environ.get(name)]
LIBRARY = sorted((settings.BASE_DIR / "builds" / "library").glob("*/Jenkinsfile"))
PATIENCE_S = 180
pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(400),
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(MISSING), reason=f"not named: {', '.join(MISSING)}"),
]


@pytest.fixture
def connection(db: None) -> Iterator[Connection]:
    url, user, token = (os.environ[name] for name in NAMES)
    folder = f"fdd-live-{uuid.uuid4().hex[:8]}"
    advancing._resting.clear()
    config = {"url": url, "user": user, "folder": folder}
    yield Connection.objects.create(name="live", kind="jenkins", config=config, secrets={"token": token})
    requests.post(f"{url.rstrip('/')}/job/{folder}/doDelete", auth=(user, token), timeout=30)


@pytest.fixture
def project(connection: Connection) -> Project:
    made = world.project(slug="shop")
    Project.objects.filter(pk=made.pk).update(builder_kind="jenkins", builder_connection=connection)
    return Project.objects.get(pk=made.pk)


@pytest.fixture
def pump(connection: Connection) -> Pump:
    return Pump(connection)


def test_a_build_leaves_log_stages_files_and_a_version(pump: Pump, project: Project) -> None:
    more = "stage('Pack') { steps { archiveArtifacts artifacts: 'out/**' } }"
    build = started(project, pipeline("sh 'mkdir -p out; echo made > out/app.txt; echo hello from there'", more))
    pump.ended(build, timeout=PATIENCE_S)
    assert (build.state, build.error) == ("succeeded", None)
    assert log_of(build).count("Finished: SUCCESS") == 1
    assert "hello from there" in log_of(build)
    states = dict(Stage.objects.filter(build=build, name__in=("Build", "Pack")).values_list("name", "state"))
    assert states == {"Build": "succeeded", "Pack": "succeeded"}
    assert Artifact.objects.get(build=build).path == "out/app.txt"
    assert Version.objects.get(build=build).archive_sha256
    assert RemoteJob.objects.get().state == "ok"


def test_the_same_job_is_used_again_and_follows_the_pipeline(pump: Pump, project: Project) -> None:
    pump.ended(started(project, pipeline("echo 'one'")), timeout=PATIENCE_S)
    second = started(project, pipeline("echo 'two'"))
    pump.ended(second, timeout=PATIENCE_S)
    assert second.state == "succeeded"
    assert "two" in log_of(second)
    assert second.external_url.rstrip("/").endswith("/2")


def test_a_failure_names_its_stage_and_skips_the_rest(pump: Pump, project: Project) -> None:
    build = started(project, pipeline("sh 'exit 3'", "stage('Never') { steps { echo 'no' } }"))
    pump.ended(build, timeout=PATIENCE_S)
    assert build.state == "failed"
    states = dict(Stage.objects.filter(build=build, name__in=("Build", "Never")).values_list("name", "state"))
    assert states == {"Build": "failed", "Never": "skipped"}


def test_failed_tests_make_it_unstable(pump: Pump, project: Project) -> None:
    report = '<testsuite name="s"><testcase classname="c" name="a"/><testcase classname="c" name="b"><failure message="m"/></testcase></testsuite>'
    build = started(project, pipeline(f"writeFile file: 'r.xml', text: '''{report}'''; junit 'r.xml'"))
    pump.ended(build, timeout=PATIENCE_S)
    assert (build.state, build.tests_passed, build.tests_failed) == ("unstable", 1, 1)


def test_a_question_is_answered_from_here(pump: Pump, project: Project) -> None:
    ask = "input message: 'Deploy?', ok: 'Go', parameters: [string(name: 'WHY', defaultValue: 'x')]"
    build = started(project, pipeline(f"{ask}; echo 'went on'"))
    question = pump.until(
        lambda: InputRequest.objects.filter(build=build).first(), timeout=PATIENCE_S, what="the question"
    )
    answer_input(actor=SYSTEM, request=question, proceed=True, values={"WHY": "because"})
    pump.ended(build, timeout=PATIENCE_S)
    assert build.state == "succeeded"
    assert "went on" in log_of(build)


def test_a_cancel_stops_it_there(pump: Pump, project: Project) -> None:
    build = started(project, pipeline("sh 'sleep 120'"))
    pump.running(build)
    cancel_build(actor=SYSTEM, build=build)
    pump.ended(build, timeout=PATIENCE_S)
    assert build.state == "cancelled"


def test_a_password_parameter_is_masked_here(pump: Pump, project: Project) -> None:
    text = pipeline("sh 'echo the word is $WORD'", parameters="parameters { password(name: 'WORD', defaultValue: '') }")
    build = started(project, text, WORD="hunter22secret")
    pump.ended(build, timeout=PATIENCE_S)
    assert "hunter22secret" not in log_of(build)
    assert "the word is ****" in log_of(build)


@pytest.mark.parametrize("path", LIBRARY, ids=[path.parent.name for path in LIBRARY])
def test_jenkins_accepts_every_template(connection: Connection, path: Path) -> None:
    assert builder_of(connection).validate(path.read_text()).errors == ()
