"""A project takes a template, changes its copy, follows the template, goes back; and builds without one of its own."""

from __future__ import annotations

from typing import Any

import pytest

from builds import actions, build_service, pipelines, template_actions, templates
from builds.models import PipelineRevision, Template, TemplateRevision
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Conflict, Denied, Invalid, NotFound
from permissions.audit_words import sentence
from permissions.models import User
from projects.models import Project
from projects.sources import source_of
from tests import world
from tests.builds.templates.ground import commit, git

pytestmark = pytest.mark.django_db

TEXT = """pipeline {
    agent any
    parameters {
        string(name: 'FOLDER', defaultValue: '.', description: 'where')
    }
    stages {
        stage('Build') {
            steps {
                echo 'build'
            }
        }
        stage('Test') {
            steps {
                echo 'test'
            }
        }
    }
}
"""


@pytest.fixture
def owner() -> User:
    return world.person("ann")


@pytest.fixture
def project(owner: User) -> Project:
    return world.project(owner)


def saved(text: str = TEXT, slug: str = "ours", **more: Any) -> TemplateRevision:
    return template_actions.save_template(actor=SYSTEM, slug=slug, text=text, **more)


# --- the library ---------------------------------------------------------------------------------------------------


def test_ops_make_a_template_and_its_revisions(owner: User) -> None:
    ops = world.ops()
    first = template_actions.save_template(actor=ops, slug="ours", text=TEXT, name="Ours", language="go", note="begin")
    second = template_actions.save_template(actor=ops, slug="ours", text=TEXT.replace("build'", "b'"), note="shorter")
    assert [(r.number, r.author, r.note) for r in (first, second)] == [(1, "olga", "begin"), (2, "olga", "shorter")]
    template = Template.objects.get()
    assert (template.name, template.language, template.builtin, template.latest) == ("Ours", "go", False, second)
    assert template_actions.save_template(actor=ops, slug="ours", text=second.text) == second
    entry = AuditEntry.objects.filter(verb="template.save").latest("pk")
    assert sentence(entry) == "olga saved revision 2 of the template ours"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"text": "pipeline { }"}, "Line 1"),
        ({"text": "<<<<<<< a\n" + TEXT}, "conflict"),
        ({"slug": "Not A Slug"}, "lower-case"),
        ({"name": "n" * 101}, "100"),
        ({"language": "l" * 31}, "30"),
        ({"description": "d" * 501}, "500"),
    ],
)
def test_a_template_that_cannot_be_is_refused(facts: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        saved(**{"text": TEXT, "slug": "ours", **facts})
    assert not Template.objects.exists()


def test_a_new_template_does_not_fall_onto_an_old_one() -> None:
    saved()
    with pytest.raises(Conflict, match="already"):
        saved(new=True)


def test_only_ops_keep_the_library(owner: User) -> None:
    revision = saved()
    with pytest.raises(Denied):
        template_actions.save_template(actor=owner, slug="mine", text=TEXT)
    with pytest.raises(Denied):
        template_actions.retire_template(actor=owner, template=revision.template)
    assert Template.objects.count() == 1


def test_words_of_a_shipped_template_stay_the_portals() -> None:
    templates.sync_library()
    before = Template.objects.get(slug="go").name
    template_actions.save_template(actor=SYSTEM, slug="go", text=TEXT, name="Other")
    assert Template.objects.get(slug="go").name == before
    assert Template.objects.get(slug="go").latest.number == 2  # type: ignore[union-attr]


def test_a_retired_template_is_offered_to_nobody_new(owner: User, project: Project) -> None:
    template = saved().template
    own = template_actions.use_template(actor=owner, project=project, template=template)
    template_actions.retire_template(actor=world.ops(), template=template)
    with pytest.raises(Conflict, match="retired"):
        template_actions.use_template(actor=owner, project=project, template=template)
    assert pipelines.current(project) == own
    template_actions.retire_template(actor=SYSTEM, template=template, retired=False)
    template_actions.use_template(actor=owner, project=project, template=template)
    verbs = list(AuditEntry.objects.filter(verb__startswith="template.").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["template.save", "template.retire", "template.restore"]


# --- a project takes one ---------------------------------------------------------------------------------------------


def test_a_template_becomes_the_projects_pipeline(owner: User, project: Project) -> None:
    revision = saved()
    own = template_actions.use_template(actor=owner, project=project, template=revision.template)
    project.refresh_from_db()
    assert project.pipeline_origin == "portal"
    assert (own.text, own.origin, own.template_revision, own.author) == (TEXT, "portal", revision, "ann")
    assert pipelines.revision_for(project, "whatever") == own
    entry = AuditEntry.objects.filter(verb="pipeline.template").get()
    assert sentence(entry) == f"ann gave {project} the template ours, revision 1 (pipeline revision {own.number})"


def test_an_older_revision_can_be_taken_on_purpose(owner: User, project: Project) -> None:
    first = saved()
    saved(TEXT.replace("test'", "t'"))
    own = template_actions.use_template(actor=owner, project=project, template=first.template, revision=first)
    assert own.template_revision == first


def test_only_a_maintainer_may(project: Project) -> None:
    template = saved().template
    for act in (
        lambda who: template_actions.use_template(actor=who, project=project, template=template),
        lambda who: template_actions.keep_chosen(actor=who, project=project),
        lambda who: template_actions.upgrade_pipeline(
            actor=who, project=project, text=TEXT, template_revision=template.latest
        ),
    ):
        with pytest.raises(Denied):
            act(world.member(project, "developer"))
        with pytest.raises(NotFound):
            act(world.person())
    assert not project.pipeline_revisions.exists()


# --- and follows it ----------------------------------------------------------------------------------------------------


def copied(owner: User, project: Project, change: tuple[str, str] | None = None) -> PipelineRevision:
    """The project's copy of the template, changed by hand."""
    own = template_actions.use_template(actor=owner, project=project, template=saved().template)
    if change is None:
        return own
    text = own.text.replace(*change)
    return actions.save_pipeline(actor=owner, project=project, text=text, template_revision=own.template_revision)


def test_what_the_template_changed_comes_into_the_copy_and_what_was_changed_here_stays(
    owner: User, project: Project
) -> None:
    copied(owner, project, ("echo 'build'", "echo 'our build'"))
    newer = saved(TEXT.replace("echo 'test'", "echo 'better test'"))
    upgrade = template_actions.merged_upgrade(project)
    assert (upgrade.revision, upgrade.merged.conflicts) == (newer, ())
    own = template_actions.upgrade_pipeline(
        actor=owner, project=project, text=upgrade.merged.text, template_revision=newer, onto=upgrade.own.number
    )
    assert "our build" in own.text
    assert "better test" in own.text
    assert own.template_revision == newer
    assert sentence(AuditEntry.objects.get(verb="pipeline.upgrade")) == (
        f"ann brought the pipeline of {project} to revision 2 of ours"
    )
    with pytest.raises(Conflict, match="revision 2 of ours already"):
        template_actions.merged_upgrade(project)


def test_a_conflict_is_shown_and_cannot_be_saved(owner: User, project: Project) -> None:
    own = copied(owner, project, ("echo 'test'", "echo 'our test'"))
    newer = saved(TEXT.replace("echo 'test'", "echo 'their test'"))
    upgrade = template_actions.merged_upgrade(project)
    (conflict,) = upgrade.merged.conflicts
    assert (conflict.ours.strip(), conflict.theirs.strip()) == ("echo 'our test'", "echo 'their test'")
    assert f"{project}, pipeline revision {own.number}" in upgrade.merged.text
    with pytest.raises(Invalid) as refused:
        template_actions.upgrade_pipeline(
            actor=owner, project=project, text=upgrade.merged.text, template_revision=newer
        )
    assert refused.value.sentence.params["line"] == conflict.first
    with pytest.raises(Invalid):
        actions.save_pipeline(actor=owner, project=project, text=upgrade.merged.text)
    assert pipelines.current(project) == own


def test_an_upgrade_over_somebody_elses_change_is_refused(owner: User, project: Project) -> None:
    own = copied(owner, project)
    newer = saved(TEXT.replace("test'", "t'"))
    other = actions.save_pipeline(
        actor=owner, project=project, text=TEXT + "// late\n", template_revision=own.template_revision
    )
    with pytest.raises(Conflict, match=f"revision {other.number} meanwhile"):
        template_actions.upgrade_pipeline(
            actor=owner, project=project, text=newer.text, template_revision=newer, onto=own.number
        )
    assert pipelines.current(project) == other


def test_a_pipeline_that_is_no_copy_cannot_be_upgraded(owner: User, project: Project) -> None:
    newer = saved()
    with pytest.raises(NotFound):
        template_actions.merged_upgrade(project)
    actions.save_pipeline(actor=owner, project=project, text=TEXT)
    with pytest.raises(NotFound):
        template_actions.merged_upgrade(project)
    with pytest.raises(Conflict):
        template_actions.upgrade_pipeline(actor=owner, project=project, text=TEXT, template_revision=newer)
    copied(owner, project)
    with pytest.raises(Conflict):
        template_actions.upgrade_pipeline(
            actor=owner, project=project, text=TEXT, template_revision=saved(slug="another")
        )


def test_going_back_brings_the_template_revision_back_too(owner: User, project: Project) -> None:
    first = copied(owner, project)
    newer = saved(TEXT.replace("test'", "t'"))
    template_actions.upgrade_pipeline(actor=owner, project=project, text=newer.text, template_revision=newer)
    back = actions.save_pipeline(
        actor=owner, project=project, text=first.text, template_revision=first.template_revision
    )
    assert back.number > first.number
    assert back.template_revision == first.template_revision
    assert template_actions.merged_upgrade(project).revision == newer


def test_the_same_text_from_another_template_revision_is_a_revision_of_its_own(owner: User, project: Project) -> None:
    first = copied(owner, project)
    again = template_actions.use_template(actor=owner, project=project, template=Template.objects.get())
    assert again == first
    plain = actions.save_pipeline(actor=owner, project=project, text=TEXT)
    assert (plain.template_revision, plain.number) == (None, first.number + 1)


# --- the build service at build time -------------------------------------------------------------------------------------


def without_jenkinsfile(project: Project, files: dict[str, str]) -> str:
    return commit(project, {"Jenkinsfile": None, **files})


def test_a_repository_without_a_jenkinsfile_is_built_with_what_the_service_chooses(project: Project) -> None:
    sha = without_jenkinsfile(project, {"package.json": '{"scripts": {}, "main": "a.js"}'})
    revision = pipelines.revision_for(project, sha)
    assert revision.origin == PipelineRevision.Origin.SERVICE
    assert revision.template_revision is not None
    assert revision.template_revision.template.slug == "node"
    assert (revision.text, revision.note) == (revision.template_revision.text, "package.json")
    assert pipelines.revision_for(project, sha) == revision
    project.refresh_from_db()
    assert project.pipeline_origin == "repository"


def test_it_follows_the_repository_and_the_library(project: Project) -> None:
    one = pipelines.revision_for(project, without_jenkinsfile(project, {"package.json": '{"main": "x"}'}))
    two = pipelines.revision_for(project, without_jenkinsfile(project, {"pom.xml": "<project/>"}))
    saved(TEXT, slug="java-maven")
    three = pipelines.revision_for(project, without_jenkinsfile(project, {"more": ""}))
    assert [r.template_revision.template.slug for r in (one, two, three) if r.template_revision] == [
        "node", "java-maven", "java-maven",
    ]  # fmt: skip
    assert (two.number, three.number, three.text) == (2, 3, TEXT)


def test_a_jenkinsfile_in_the_repository_wins(project: Project) -> None:
    sha = commit(project, {"package.json": "{}", "Jenkinsfile": TEXT})
    assert pipelines.revision_for(project, sha).origin == "repository"


def test_a_pipeline_kept_in_the_portal_is_never_replaced(owner: User, project: Project) -> None:
    own = actions.save_pipeline(actor=owner, project=project, text=TEXT)
    sha = without_jenkinsfile(project, {"package.json": "{}"})
    assert pipelines.revision_for(project, sha) == own
    Project.objects.filter(pk=project.pk).update(pipeline_origin="repository")
    project.refresh_from_db()
    with pytest.raises(NotFound) as missing:
        pipelines.revision_for(project, sha)
    assert missing.value.code == "no_pipeline"


def test_one_that_was_to_be_kept_here_but_never_written_is_chosen(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(pipeline_origin="portal")
    project.refresh_from_db()
    sha = without_jenkinsfile(project, {"go.mod": "module x"})
    assert pipelines.revision_for(project, sha).origin == "service"


def test_nothing_to_go_by_still_says_so(project: Project) -> None:
    sha = without_jenkinsfile(project, {"README.md": "hello"})
    with pytest.raises(NotFound) as nothing:
        pipelines.revision_for(project, sha)
    assert nothing.value.code == "no_pipeline"
    assert "choose a template" in str(nothing.value)
    assert pipelines.look(project) == pipelines.Look()


def test_a_sub_folder_becomes_the_parameters_default(project: Project) -> None:
    without_jenkinsfile(project, {"services/shop/go.mod": "module x", "services/shop/main.go": ""})
    found = build_service.resolve(project)
    assert "string(name: 'FOLDER', defaultValue: 'services/shop'" in found.text
    assert found.text != found.revision.text
    pipelines.check(found.text)


def test_the_answer_to_names_alone_is_the_same_as_to_the_repository(project: Project) -> None:
    files = {"pom.xml": "<project/>", "Dockerfile": "FROM x"}
    without_jenkinsfile(project, files)
    by_project, by_files = build_service.resolve(project), build_service.resolve_files(list(files))
    assert (by_project.text, by_project.why) == (by_files.text, by_files.why)
    assert "pom.xml" in str(by_project.why[0])


def test_what_was_chosen_can_be_made_the_projects_own(owner: User, project: Project) -> None:
    without_jenkinsfile(project, {"index.html": "hi"})
    chosen = pipelines.look(project)
    assert chosen.chosen is not None
    own = template_actions.keep_chosen(actor=owner, project=project)
    project.refresh_from_db()
    assert (own.origin, own.text, own.template_revision) == ("portal", chosen.text, chosen.template_revision)
    assert project.pipeline_origin == "portal"
    saved(TEXT, slug="static-site")
    assert pipelines.revision_for(project, "x") == own
    with pytest.raises(Conflict):
        template_actions.keep_chosen(actor=owner, project=project)


def test_a_file_that_is_no_text_or_too_large_does_not_stop_it(project: Project) -> None:
    without_jenkinsfile(project, {"package.json": "x" * (build_service.MAX_READ + 1), "pyproject.toml": "\udcff"})
    assert build_service.resolve(project).choice.template == "python"


def test_an_empty_repository_says_that_it_is_empty(owner: User) -> None:
    project = world.project(owner)
    source, repository = source_of(project)
    git(source.path(repository), "update-ref", "-d", "refs/heads/main")
    with pytest.raises(AppError) as refused:
        build_service.resolve(project)
    assert refused.value.code in {"empty_repository", "unknown_ref"}
