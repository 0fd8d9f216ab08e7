"""The pages of templates: what one reads there, and what a project does there; only what the reader may see."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from builds import actions, pipelines, template_actions, templates
from builds.models import Template, TemplateRevision
from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.models import Project
from tests import world
from tests.builds.templates.ground import commit

pytestmark = pytest.mark.django_db
OLD, NEW = "timeout(time: 1, unit: 'HOURS')", "timeout(time: 2, unit: 'HOURS')"
MINE = "timeout(time: 20, unit: 'MINUTES')"


@pytest.fixture(autouse=True)
def library() -> None:
    templates.sync_library()


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def shop(ann: User) -> Project:
    return world.project(ann, name="The shop")


def signed_in(user: User, language: str = "en") -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = language
    return client


def page(user: User, address: str, status: int = 200) -> str:
    answer = signed_in(user).get(address)
    assert answer.status_code == status, answer.content[:500]
    return answer.content.decode()


def newer(slug: str = "node") -> TemplateRevision:
    """Another revision of a shipped template."""
    latest = Template.objects.get(slug=slug).latest
    assert latest is not None
    return template_actions.save_template(actor=SYSTEM, slug=slug, text=latest.text.replace(OLD, NEW), note="slower")


def copied(ann: User, shop: Project, change: tuple[str, str] | None = None) -> None:
    own = template_actions.use_template(actor=ann, project=shop, template=Template.objects.get(slug="node"))
    if change:
        text = own.text.replace(*change)
        actions.save_pipeline(actor=ann, project=shop, text=text, template_revision=own.template_revision)


def test_the_library_lists_what_there_is(ann: User, shop: Project) -> None:
    copied(ann, shop)
    text = page(ann, "/templates/")
    for one in templates.shipped():
        assert one.name in text
        assert f'href="/templates/{one.slug}/"' in text
    assert re.search(r'data-label="Projects">1<', text)
    assert "New template" not in text
    assert "New template" in page(world.ops(), "/templates/")
    template_actions.retire_template(actor=SYSTEM, template=Template.objects.get(slug="php"))
    assert "1 retired template" in page(ann, "/templates/")


def test_a_template_shows_its_text_parameters_revisions_and_projects(ann: User, shop: Project) -> None:
    copied(ann, shop)
    newer()
    text = page(ann, "/templates/node/")
    assert NEW.replace("'", "&#x27;") in text
    assert "<code>PACKAGE_MANAGER</code>" in text
    assert "auto · npm · pnpm · yarn" in text
    assert "Who installs packages; auto goes by the lock file." in text
    assert "The shop" in text
    assert "1 newer" in text
    assert "slower" in text
    old = page(ann, "/templates/node/?revision=1")
    assert OLD.replace("'", "&#x27;") in old
    assert "the newest is 2" in old


def test_projects_one_may_not_see_are_not_there(ann: User, shop: Project) -> None:
    copied(ann, shop)
    stranger = world.person()
    assert "The shop" not in page(stranger, "/templates/node/")
    assert not re.search(r'data-label="Projects">1<', page(stranger, "/templates/"))
    assert "The shop" in page(world.member(shop, "viewer"), "/templates/node/")


def test_a_project_that_the_service_builds_is_listed_as_such(ann: User, shop: Project) -> None:
    sha = commit(shop, {"Jenkinsfile": None, "package.json": '{"main": "a.js"}'})
    pipelines.revision_for(shop, sha)
    assert "chosen by the build service" in page(ann, "/templates/node/")


def test_two_revisions_are_compared(ann: User) -> None:
    newer()
    text = page(ann, "/templates/node/compare/")
    assert "Revision 1 → 2" in text
    assert 'class="diff-add"' in text
    assert "These two are the same." in page(ann, "/templates/node/compare/?from=2&to=2")
    back = page(ann, "/templates/node/compare/?from=2&to=1")
    assert "Revision 2 → 1" in back


@pytest.mark.parametrize(
    "address",
    ["/templates/nope/", "/templates/node/?revision=9", "/templates/node/?revision=x", "/templates/node/?revision=-1",
     "/templates/node/?revision=%C2%B2", "/templates/node/compare/?from=7", "/templates/node/compare/?to=99999999999999999"],
)  # fmt: skip
def test_what_is_not_there_is_a_404_with_a_sentence(ann: User, address: str) -> None:
    assert "There is no" in page(ann, address, 404) or "has no revision" in page(ann, address, 404)


def test_a_project_without_a_pipeline_is_shown_what_to_take(ann: User, shop: Project) -> None:
    commit(shop, {"Jenkinsfile": None, "README.md": "x"})
    address = f"/projects/{shop.slug}/pipeline/"
    text = page(ann, address)
    assert "This project has no pipeline yet" in text
    assert "No file there says how to build it" in text
    assert text.count("Use it") == len(templates.shipped())
    assert "Use it" not in page(world.member(shop, "viewer"), address)
    answer = signed_in(ann).post(f"{address}template/", {"template": "python", "revision": "1"}, follow=True)
    assert answer.status_code == 200
    assert "From the template" in answer.content.decode()
    own = pipelines.current(shop)
    assert own is not None
    assert own.template_revision == Template.objects.get(slug="python").latest


def test_what_the_service_chose_is_shown_with_its_reasons_and_can_be_kept(ann: User, shop: Project) -> None:
    commit(shop, {"Jenkinsfile": None, "index.html": "x", "package.json": '{"main": "a.js"}'})
    address = f"/projects/{shop.slug}/pipeline/"
    text = page(ann, address)
    assert "Chosen by the build service: Node.js, revision 1" in text
    assert "The file package.json says that this is built with the template node." in text
    assert "index.html would be built with static-site, but node comes first." in text
    assert "Make it the project" in text
    assert "Make it the project" not in page(world.member(shop, "developer"), address)
    signed_in(ann).post(f"{address}template/", {"keep": "1"})
    assert "From the template" in page(ann, address)
    assert signed_in(ann).post(f"{address}template/", {"keep": "1"}).status_code == 409


def test_what_one_edits_of_a_chosen_pipeline_stays_a_copy_of_the_template(ann: User, shop: Project) -> None:
    commit(shop, {"Jenkinsfile": None, "index.html": "x"})
    text = pipelines.look(shop).text.replace(OLD, MINE)
    signed_in(ann).post(f"/projects/{shop.slug}/pipeline/", {"text": text})
    own = pipelines.current(shop)
    assert own is not None
    assert own.text == text
    assert own.template_revision == Template.objects.get(slug="static-site").latest


def test_a_copy_says_how_far_it_is_behind_and_is_compared(ann: User, shop: Project) -> None:
    copied(ann, shop, (OLD, MINE))
    address = f"/projects/{shop.slug}/pipeline/"
    assert "up to date" in page(ann, address)
    assert "pipeline/upgrade/" not in page(ann, address)
    newer()
    text = page(ann, address)
    assert "1 newer" in text
    assert "pipeline/upgrade/" in text
    own = page(ann, f"{address}compare/")
    assert "20, unit" in own
    assert "revision 2, the newest" in own
    assert "2, unit" in page(ann, f"{address}compare/?revision=2")


def test_a_clean_upgrade_is_looked_over_and_saved(ann: User, shop: Project) -> None:
    copied(ann, shop, ("defaultValue: 'build'", "defaultValue: 'build:prod'"))
    newer()
    address = f"/projects/{shop.slug}/pipeline/upgrade/"
    text = page(ann, address)
    assert "Merged without a conflict" in text
    merged = template_actions.merged_upgrade(shop).merged.text
    answer = signed_in(ann).post(address, {"text": merged, "revision": "2", "onto": "2"})
    assert answer.status_code == 302
    own = pipelines.current(shop)
    assert own is not None
    assert own.template_revision is not None
    assert (own.template_revision.number, "build:prod" in own.text, NEW in own.text) == (2, True, True)


def test_a_conflict_is_listed_kept_in_the_editor_and_saved_once_resolved(ann: User, shop: Project) -> None:
    copied(ann, shop, (OLD, MINE))
    newer()
    address = f"/projects/{shop.slug}/pipeline/upgrade/"
    text = page(ann, address)
    assert "1 conflict to resolve" in text
    conflict = template_actions.merged_upgrade(shop).merged.conflicts[0]
    assert f"Lines {conflict.first} to {conflict.last}" in text
    merged = template_actions.merged_upgrade(shop).merged.text
    given = {"text": merged.replace("\n", "\r\n"), "revision": "2", "onto": "2"}
    refused = signed_in(ann).post(address, given)
    assert refused.status_code == 422
    assert f"Line {conflict.first}: a conflict is not resolved yet" in refused.content.decode()
    lines = merged.splitlines()
    resolved = [*lines[: conflict.first - 1], "        " + MINE, *lines[conflict.last :], ""]
    assert signed_in(ann).post(address, {**given, "text": "\n".join(resolved)}).status_code == 302
    own = pipelines.current(shop)
    assert own is not None
    assert MINE in own.text
    assert "<<<<" not in own.text


def test_an_upgrade_that_somebody_overtook_keeps_what_was_typed(ann: User, shop: Project) -> None:
    copied(ann, shop)
    newer()
    text = template_actions.merged_upgrade(shop).merged.text + "// typed\n"
    own = pipelines.current(shop)
    assert own is not None
    actions.save_pipeline(
        actor=ann, project=shop, text=own.text + "// other\n", template_revision=own.template_revision
    )
    answer = signed_in(ann).post(
        f"/projects/{shop.slug}/pipeline/upgrade/", {"text": text, "revision": "2", "onto": str(own.number)}
    )
    assert answer.status_code == 422
    assert "// typed" in answer.content.decode()
    assert "meanwhile" in answer.content.decode()


def test_the_editor_is_told_of_markers_while_one_types(ann: User) -> None:
    answer = signed_in(ann).post(
        "/pipelines/judge/", {"text": "pipeline {\n<<<<<<< a\n=======\n>>>>>>> b\n}\n"}, content_type="application/json"
    )
    found = answer.json()
    assert not found["valid"]
    assert [(one["line"], one["message"][:10]) for one in found["errors"]] == [(2, "A conflict"), (4, "A conflict")]


def test_a_revision_that_comes_back_says_which_template_it_was(ann: User, shop: Project) -> None:
    copied(ann, shop, (OLD, MINE))
    address = f"/projects/{shop.slug}/pipeline/1/"
    assert "Node.js 1" in page(ann, address)
    signed_in(ann).post(address)
    own = pipelines.current(shop)
    assert own is not None
    assert own.number == 3
    assert own.template_revision == Template.objects.get(slug="node").latest


def test_an_image_left_empty_is_not_sent_with_the_build(ann: User, shop: Project) -> None:
    copied(ann, shop)
    client = signed_in(ann)
    panel = client.get(f"/projects/{shop.slug}/builds/start/").content.decode()
    assert "as the portal says" in panel
    given = {"ref": "main", "p_IMAGE": "", "p_BASE_IMAGE": "", "p_FOLDER": ".", "p_TESTS": "on"}
    assert client.post(f"/projects/{shop.slug}/builds/start/", given).status_code == 204
    build = shop.builds.get()
    assert {"IMAGE", "BASE_IMAGE"} & set(build.parameters) == set()
    assert (build.parameters["FOLDER"], build.parameters["TESTS"], build.parameters["PRUNE"]) == (".", True, False)


def test_the_ops_screen_saves_a_revision_and_keeps_what_is_wrong(ann: User) -> None:
    client = signed_in(world.ops())
    node = Template.objects.get(slug="node")
    assert node.latest is not None
    address = f"/admin/builds/template/{node.pk}/change/"
    given = {"slug": "node", "name": "Node.js", "text": node.latest.text.replace(OLD, NEW), "note": "slower"}
    assert client.post(address, given).status_code == 302
    assert (node.latest.number, node.latest.author, node.latest.note) == (2, "olga", "slower")
    wrong = client.post(address, {**given, "text": "pipeline { oops"})
    assert wrong.status_code == 200
    assert "pipeline { oops" in wrong.content.decode()
    assert "Line 1" in wrong.content.decode()
    assert node.revisions.count() == 2
    made = {"slug": "ours", "name": "Ours", "text": node.latest.text, "language": "js"}
    assert client.post("/admin/builds/template/add/", made).status_code == 302
    assert Template.objects.get(slug="ours").latest is not None
    chosen = {"action": "retire", "_selected_action": [node.pk]}
    assert client.post("/admin/builds/template/", chosen).status_code == 302
    assert Template.objects.get(slug="node").retired


def test_nothing_of_a_template_becomes_html(ann: User, shop: Project) -> None:
    evil = "<script>alert(1)</script>"
    text = (
        "// " + evil + "\npipeline {\n    agent any\n    parameters { string(name: 'A', defaultValue: '" + evil
        + "', description: '" + evil + "') }\n    stages { stage('" + evil + "') { steps { echo 'x' } } }\n}\n"
    )  # fmt: skip
    revision = template_actions.save_template(
        actor=SYSTEM, slug="evil", text=text, name=evil, description=evil, language="x", note=evil
    )
    template_actions.use_template(actor=ann, project=shop, template=revision.template)
    template_actions.save_template(actor=SYSTEM, slug="evil", text=text + "// " + evil + "\n", note=evil)
    base = f"/projects/{shop.slug}/pipeline/"
    for address in ("/templates/", "/templates/evil/", "/templates/evil/compare/", base, f"{base}upgrade/",
                    f"{base}compare/?revision=2", f"{base}template/", f"{base}1/"):  # fmt: skip
        assert "<script>alert" not in page(ann, address), address
