"""What a build is started with there: ours, the person's, and secrets apart and masked wherever Jenkins quotes them."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from builds.agents.specs import spec_of
from builds.drivers.builder.base import InputParameter, InputRequest, StageUpdate
from builds.drivers.builder.remote import KEY, OURS, Observation
from builds.models import Build, RemoteBuild, Stage
from builds.models import InputRequest as InputRow
from builds.registries import push_values
from builds.remote import looking
from builds.remote.masking import Words
from builds.remote.stages import keep_questions, keep_stages
from builds.remote.values import declared, secrets_of, values_of
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from projects.models import Project
from tests import world

from .conftest import placed, queued

pytestmark = pytest.mark.django_db(transaction=True)
WORD = "hunter22secret"
TEXT = """pipeline { agent any
  parameters {
    password(name: 'WORD', defaultValue: 'from-the-file', description: 'a secret')
    string(name: 'WHO', defaultValue: 'world', description: 'whom to greet')
    booleanParam(name: 'LOUD', defaultValue: true, description: '')
    choice(name: 'MODE', choices: ['a', 'b'], description: '')
    string(name: 'IMAGE', defaultValue: '', description: '')
  }
  stages { stage('Build') { steps { echo 'x' } } } }
"""


@pytest.fixture
def build(project: Project) -> Build:
    world.pipeline(project, TEXT)
    return given(queued(project), WORD=WORD, WHO="you", LOUD=False)


def given(build: Build, **parameters: Any) -> Build:
    build.parameters = parameters
    build.save(update_fields=["parameters"])
    return build


def test_ours_come_with_every_build(build: Build, settings: Any) -> None:
    values = values_of(build)
    assert {p.name for p in OURS if p.kind != "password"} <= set(values.plain)
    assert values.plain[KEY] == str(build.key)
    assert values.plain["FDD_BUILD_URL"] == f"{settings.PUBLIC_URL}/builds/{build.pk}/"
    assert values.plain["FDD_COMMIT"] == build.commit_sha


def test_passwords_are_apart_and_never_in_a_repr(build: Build) -> None:
    values = values_of(build)
    assert values.secret == {"WORD": WORD}
    assert "WORD" not in values.plain
    assert WORD not in repr(values)
    assert secrets_of(build) == [WORD]


def test_values_are_written_as_jenkins_reads_them(build: Build) -> None:
    plain = values_of(build).plain
    assert (plain["WHO"], plain["LOUD"]) == ("you", "false")
    assert "MODE" not in plain, "what nobody gave keeps its default there"


def test_a_person_cannot_replace_ours(build: Build) -> None:
    given(build, FDD_COMMIT="0" * 40, FDD_BUILD_KEY="mine", REGISTRY="evil.example", FDD_REPOSITORY="x", WHO="you")
    plain = values_of(build).plain
    assert plain["FDD_COMMIT"] == build.commit_sha
    assert plain[KEY] == str(build.key)
    assert plain["REGISTRY"] == ""
    assert plain["FDD_REPOSITORY"] != "x"


def test_the_name_of_the_image_may_be_given(build: Build) -> None:
    given(build, IMAGE="registry.example/team/app:mine")
    assert values_of(build).plain["IMAGE"] == "registry.example/team/app:mine"


def test_a_registry_fills_in_where_to_push(build: Build) -> None:
    registry = Connection.objects.create(
        name="images", kind="registry", config={"url": "https://r.example:5000", "username": "robot"},
        secrets={"password": "pushword1"},
    )  # fmt: skip
    Project.objects.filter(pk=build.project_id).update(registry_connection=registry)
    Build.objects.filter(pk=build.pk).update(image="r.example:5000/shop:1-abc")
    values = values_of(Build.objects.get(pk=build.pk))
    assert values.plain["IMAGE"] == "r.example:5000/shop:1-abc"
    assert values.plain["REGISTRY"] == "r.example:5000"
    assert values.plain["REGISTRY_USER"] == "robot"
    assert values.secret["REGISTRY_PASSWORD"] == "pushword1"
    assert "pushword1" in secrets_of(Build.objects.get(pk=build.pk))


def test_the_job_declares_the_pipelines_own_without_a_passwords_default(build: Build) -> None:
    assert build.pipeline is not None
    found = {p.name: (p.kind, p.default) for p in declared(build.pipeline)}
    assert found == {
        "WORD": ("password", ""),
        "WHO": ("string", "world"),
        "LOUD": ("boolean", "true"),
        "MODE": ("choice", "a"),
    }


def test_a_sentence_that_quotes_a_secret_is_masked(build: Build) -> None:
    row = placed(build, queue_id=1, number=1)
    row.build = build
    said = S("The stage “%(stage)s” failed: %(message)s", stage="Build", message=f"no access with {WORD}")
    looking.note(row, Observation("failed", sentence=said, key=str(build.key)))
    kept = RemoteBuild.objects.get(pk=build.pk).observed
    assert WORD not in str(kept)
    assert kept["sentence"]["params"]["message"] == "no access with ****"


def test_a_stage_that_quotes_a_secret_is_masked(build: Build) -> None:
    update = StageUpdate("1", None, "Build", "failed", sentence=S("failed: %(why)s", why=WORD))
    keep_stages(build, [update])
    assert WORD not in str(Stage.objects.get(build=build).note)


def test_a_question_that_quotes_a_secret_is_masked(build: Build) -> None:
    asked = InputRequest("q", None, f"Use {WORD}?", parameters=(InputParameter("A", "string", WORD),))
    keep_questions(build, [asked])
    row = InputRow.objects.get(build=build)
    assert WORD not in row.message
    assert WORD not in str(row.parameters)


def test_nothing_is_looked_up_when_there_is_nothing_to_mask(build: Build, django_assert_num_queries: Any) -> None:
    words = Words(Build.objects.defer("parameters").get(pk=build.pk))
    with django_assert_num_queries(0):
        assert words.sentence(None) is None
        assert words.text("") == ""


def test_a_build_of_another_key_is_not_ours(build: Build) -> None:
    """The job was made anew in Jenkins, and its builds are counted from 1 again."""
    row = placed(build, queue_id=1, number=1)
    row.build = build
    looking.note(row, Observation("succeeded", key="somebody-else", finished_at=timezone.now()))
    kept = RemoteBuild.objects.get(pk=build.pk)
    assert (kept.ended, kept.missed) == (False, 1)


def test_a_person_cannot_have_the_registrys_password_sent_elsewhere(build: Build) -> None:
    registry = Connection.objects.create(
        name="images", kind="registry", config={"url": "https://r.example:5000", "username": "robot"},
        secrets={"password": "pushword1"},
    )  # fmt: skip
    Project.objects.filter(pk=build.project_id).update(registry_connection=registry)
    given(build, REGISTRY="evil.example", REGISTRY_USER="me", REGISTRY_PASSWORD="x")
    held = Build.objects.get(pk=build.pk)
    for found in (values_of(held), push_values(held)):
        assert (found.plain["REGISTRY"], found.plain["REGISTRY_USER"]) == ("r.example:5000", "robot")
        assert found.secret["REGISTRY_PASSWORD"] == "pushword1"


def test_a_build_is_told_the_same_of_itself_here_and_there(build: Build) -> None:
    here, there = spec_of(build, 0).environment, values_of(build).plain
    for name in (KEY, "FDD_BUILD_URL", "FDD_REF", "FDD_COMMIT"):
        assert here[name] == there[name]
