"""What a build leaves: never a version after it was ended otherwise, and nothing that may still be wanted is cleared."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from builds import pipelines, retention, versions
from builds.agents.agent import _Agent, _Made
from builds.api.serializers import BuildOut
from builds.models import Version
from builds.validation import MASKED
from fangduoduo_release.common.errors import Invalid
from projects.sources import source_of
from tests import world

pytestmark = pytest.mark.django_db


def test_a_build_that_somebody_ended_leaves_no_version() -> None:
    build = world.build(world.project(), "running")
    agent = _Agent.__new__(_Agent)
    agent.build = type(build).objects.get(pk=build.pk)
    type(build).objects.filter(pk=build.pk).update(state="failed")
    agent._end(_Made("succeeded", None, "", {}, ("a" * 64, 1)))
    assert not Version.objects.exists()


def test_retention_reaches_past_versions_it_keeps(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many old versions are kept because they are among the newest of their project."""
    settings.RETENTION = {"days": 1, "keep": 2}
    monkeypatch.setattr(retention, "BATCH", 2)
    quiet, busy = world.project(), world.project()
    kept = [world.version(quiet) for _ in range(2)]
    old = [world.version(busy) for _ in range(4)]
    Version.objects.update(created_at=timezone.now() - timedelta(days=9))
    assert retention.clear_old() == 2
    left = set(Version.objects.filter(removed_at=None).values_list("pk", flat=True))
    assert left == {v.pk for v in (*kept, *old[2:])}


def test_a_version_chosen_in_this_moment_keeps_its_files() -> None:
    from deployments.models import Service

    project = world.project()
    version = world.version(project)
    Service.objects.create(project=project, machine=world.granted(project), version=version)
    assert not retention._clear(version)
    assert versions.is_there(Version.objects.get(pk=version.pk))


def test_passwords_among_the_parameters_are_shown_to_nobody() -> None:
    project = world.project()
    text = (
        "pipeline { agent any\n parameters { string(name: 'A', defaultValue: '')\n"
        " password(name: 'TOKEN', defaultValue: '') }\n stages { stage('a') { steps { echo 'x' } } } }"
    )
    build = world.build(project, parameters={"A": "plain", "TOKEN": "hush"}, pipeline=world.pipeline(project, text))
    assert BuildOut(build).data["parameters"] == {"A": "plain", "TOKEN": MASKED}
    build.pipeline = None
    assert "hush" not in str(BuildOut(build).data)


def test_what_release_json_says_can_be_stored(tmp_path: Path) -> None:
    (tmp_path / "release.json").write_text('{"notes": "a\\u0000b\\ud800", "image": "x"}')
    assert versions.release_facts(tmp_path)["notes"] == "a\ufffdb\ufffd"


def test_a_jenkinsfile_with_nul_is_refused_in_one_sentence(tmp_path: Path) -> None:
    import subprocess

    project = world.project()
    source, repository = source_of(project)
    bare = str(source.path(repository))
    blob = (
        subprocess.run(
            ["git", "-C", bare, "hash-object", "-w", "--stdin"], input=b"pipeline {\0}", capture_output=True, check=True
        )
        .stdout.decode()
        .strip()
    )
    tree = (
        subprocess.run(
            ["git", "-C", bare, "mktree"],
            input=f"100644 blob {blob}\tJenkinsfile\n".encode(),
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .strip()
    )
    made = subprocess.run(
        ["git", "-C", bare, "-c", "user.name=A", "-c", "user.email=a@x", "commit-tree", tree, "-m", "x"],
        capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    subprocess.run(["git", "-C", bare, "update-ref", "refs/heads/odd", made], check=True)
    with pytest.raises(Invalid) as refused:
        pipelines.revision_for(project, made)
    assert refused.value.code == "bad_pipeline"
    assert not project.pipeline_revisions.exists()
