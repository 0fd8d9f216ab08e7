"""The library, following a template and the build service over the API, as scripts use them."""

from __future__ import annotations

import pytest

from builds import template_actions, templates
from builds.models import Template
from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.models import Project
from tests import world
from tests.api.door import Door, refused, told
from tests.builds.templates.ground import commit
from tests.builds.templates.test_following import TEXT

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def door(ann: User) -> Door:
    return Door(ann)


@pytest.fixture
def ops() -> Door:
    return Door(world.ops())


@pytest.fixture
def project(ann: User) -> Project:
    return world.project(ann)


def test_the_library_is_there_for_whoever_asks_first(door: Door) -> None:
    rows = told(door.get("templates/"))["results"]
    assert {row["slug"] for row in rows} == {one.slug for one in templates.shipped()}
    assert {(row["revision"], row["builtin"], row["retired"], row["projects"]) for row in rows} == {(1, True, False, 0)}
    assert [row["slug"] for row in told(door.get("templates/?language=go"))["results"]] == ["go"]
    assert told(door.get("templates/?search=gradle"))["results"][0]["slug"] == "java-gradle"


def test_one_template_has_its_text_and_what_it_asks_for(door: Door) -> None:
    templates.sync_library()
    node = told(door.get("templates/node/"))
    assert node["text"] == Template.objects.get(slug="node").latest.text  # type: ignore[union-attr]
    kinds = {p["name"]: p["type"] for p in node["parameters"]}
    assert (kinds["IMAGE"], kinds["TESTS"], kinds["PACKAGE_MANAGER"], kinds["NPM_TOKEN"], kinds["FOLDER"]) == (
        "image", "boolean", "choice", "password", "string",
    )  # fmt: skip
    refused(door.get("templates/nope/"), 404)


def test_ops_make_templates_and_revisions_and_compare_them(ops: Door, door: Door) -> None:
    made = told(ops.post("templates/", {"slug": "ours", "text": TEXT, "name": "Ours"}), 201)
    assert (made["slug"], made["name"], made["revision"], made["builtin"]) == ("ours", "Ours", 1, False)
    refused(ops.post("templates/", {"slug": "ours", "text": TEXT}), 409, "template_exists")
    second = told(ops.put("templates/ours/", {"text": TEXT.replace("'test'", "'t'"), "note": "shorter"}))
    assert (second["revision"], second["name"]) == (2, "Ours")
    revisions = told(door.get("templates/ours/revisions/"))["results"]
    assert [(row["revision"], row["note"], row["author"]) for row in revisions] == [
        (2, "shorter", "olga"),
        (1, "", "olga"),
    ]
    diff = told(door.get("templates/ours/diff/?from=1&to=2"))
    assert (diff["from"], diff["to"]) == (1, 2)
    assert "-                echo 'test'\n+                echo 't'\n" in diff["diff"]
    assert told(door.get("templates/ours/diff/")) == diff
    assert told(door.get("templates/ours/diff/?from=2&to=2"))["diff"] == ""
    assert told(ops.put("templates/ours/", {"retired": True}))["retired"] is True
    refused(door.put("templates/ours/", {"text": TEXT}), 403)
    refused(door.post("templates/", {"slug": "mine", "text": TEXT}), 403)


@pytest.mark.parametrize("body", [{}, {"slug": "x"}, {"slug": "Bad Slug", "text": TEXT}, {"slug": "x", "text": "no"}])
def test_a_bad_template_is_refused(ops: Door, body: dict[str, str]) -> None:
    answer = ops.post("templates/", body)
    assert answer.status_code in {400, 422}
    assert not Template.objects.exists()


@pytest.mark.parametrize("query", ["from=x", "from=0", "to=-1", "to=99999999999999", "from="])
def test_a_bad_comparison_is_refused(door: Door, query: str) -> None:
    templates.sync_library()
    answer = door.get(f"templates/go/diff/?{query}")
    assert answer.status_code in {200, 400, 404}
    refused(door.get("templates/go/diff/?from=8"), 404)


def test_who_follows_it_and_how_far_behind(door: Door, ops: Door, project: Project) -> None:
    told(ops.post("templates/", {"slug": "ours", "text": TEXT}), 201)
    told(door.put(f"projects/{project}/pipeline/", {"template": "ours"}))
    told(ops.put("templates/ours/", {"text": TEXT + "// more\n"}))
    rows = told(door.get("templates/ours/projects/"))["results"]
    assert rows == [{"project": project.slug, "name": project.name, "revision": 1, "behind": 1, "chosen": False}]
    assert told(Door(world.person()).get("templates/ours/projects/"))["results"] == []
    assert told(door.get("templates/ours/"))["projects"] == 1


def test_a_project_takes_a_template_changes_it_and_stays_its_copy(door: Door, ops: Door, project: Project) -> None:
    told(ops.post("templates/", {"slug": "ours", "text": TEXT}), 201)
    told(ops.put("templates/ours/", {"text": TEXT + "// more\n"}))
    address = f"projects/{project}/pipeline/"
    assert told(door.get(address))["template"] is None
    taken = told(door.put(address, {"template": "ours", "template_revision": 1}))
    assert (taken["template"], taken["template_revision"], taken["text"], taken["origin"]) == (
        "ours",
        1,
        TEXT,
        "portal",
    )
    edited = told(door.put(address, {"text": TEXT.replace("'build'", "'b'")}))
    assert (edited["template"], edited["template_revision"]) == ("ours", 1)
    told_so = told(door.put(address, {"text": TEXT + "// mine\n", "template": "ours", "template_revision": 2}))
    assert told_so["template_revision"] == 2
    refused(door.put(address, {}), 400)
    refused(door.put(address, {"template": "nope"}), 404)
    refused(door.put(address, {"template": "ours", "template_revision": 7}), 404)
    template_actions.retire_template(actor=SYSTEM, template=Template.objects.get())
    refused(door.put(address, {"template": "ours"}), 409, "template_retired")


def test_an_upgrade_is_seen_first_and_then_made(door: Door, ops: Door, project: Project) -> None:
    told(ops.post("templates/", {"slug": "ours", "text": TEXT}), 201)
    told(door.put(f"projects/{project}/pipeline/", {"template": "ours"}))
    told(door.put(f"projects/{project}/pipeline/", {"text": TEXT.replace("'build'", "'ours'")}))
    address = f"projects/{project}/pipeline/upgrade/"
    refused(door.post(address, {}), 409, "up_to_date")
    told(ops.put("templates/ours/", {"text": TEXT.replace("'test'", "'theirs'")}))
    look = told(door.post(address, {}))
    assert (look["from_revision"], look["template_revision"], look["conflicts"], look["revision"]) == (1, 2, [], None)
    assert "'ours'" in look["text"]
    assert "'theirs'" in look["text"]
    made = told(door.post(address, {"apply": True}))
    assert made["revision"] is not None
    assert told(door.get(f"projects/{project}/pipeline/"))["text"] == look["text"]
    refused(Door(world.member(project, "developer")).post(address, {}), 403)


def test_an_upgrade_with_a_conflict_wants_the_resolved_text(door: Door, ops: Door, project: Project) -> None:
    told(ops.post("templates/", {"slug": "ours", "text": TEXT}), 201)
    told(door.put(f"projects/{project}/pipeline/", {"template": "ours"}))
    told(door.put(f"projects/{project}/pipeline/", {"text": TEXT.replace("'test'", "'ours'")}))
    told(ops.put("templates/ours/", {"text": TEXT.replace("'test'", "'theirs'")}))
    address = f"projects/{project}/pipeline/upgrade/"
    look = told(door.post(address, {"template_revision": 2}))
    (conflict,) = look["conflicts"]
    assert (conflict["ours"].strip(), conflict["theirs"].strip()) == ("echo 'ours'", "echo 'theirs'")
    assert look["text"].splitlines()[conflict["first"] - 1].startswith("<<<<<<<")
    refused(door.post(address, {"apply": True}), 409, "conflicts")
    problem = refused(door.post(address, {"text": look["text"], "onto": look["onto"]}), 422, "conflict_markers")
    assert f"Line {conflict['first']}" in problem["detail"]
    refused(door.post(address, {"text": TEXT, "onto": 1}), 409, "stale_revision")
    made = told(door.post(address, {"text": TEXT.replace("'test'", "'both'"), "onto": look["onto"], "note": "by hand"}))
    assert made["revision"] == look["onto"] + 1
    assert told(door.get(f"projects/{project}/pipeline/"))["template_revision"] == 2


def test_the_build_service_answers_to_names(door: Door) -> None:
    found = told(door.post("build-service/resolve/", {"files": ["pom.xml", "Dockerfile", "src/A.java"]}))
    assert (found["template"], found["revision"], found["folder"]) == ("java-maven", 1, ".")
    assert "pom.xml" in found["why"]
    assert found["why"] == " ".join(found["reasons"])
    assert [one["template"] for one in found["considered"]] == ["java-maven", "dockerfile"]
    assert found["text"].startswith("// Java with Maven")
    assert "IMAGE" in {p["name"] for p in found["parameters"]}


def test_and_to_a_project(door: Door, project: Project) -> None:
    commit(project, {"Jenkinsfile": None, "go.mod": "module x"})
    found = told(door.post("build-service/resolve/", {"project": project.slug}))
    assert found["template"] == "go"
    pipeline = told(door.get(f"projects/{project}/pipeline/"))
    assert (pipeline["origin"], pipeline["template"], pipeline["revision"]) == ("service", "go", None)
    assert pipeline["text"] == found["text"]
    refused(Door(world.person()).post("build-service/resolve/", {"project": project.slug}), 404)


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"files": []}, 404), ({"files": ["README"]}, 404), ({"files": ["a"], "project": "x"}, 400),
     ({"files": "pom.xml"}, 400), ({"files": ["x" * 2000]}, 400), ({"project": "nope"}, 404), ({"files": [None]}, 400)],
)  # fmt: skip
def test_what_it_cannot_answer_is_refused(door: Door, body: dict[str, object], status: int) -> None:
    refused(door.post("build-service/resolve/", body), status)


def test_it_keeps_nothing(door: Door, project: Project) -> None:
    commit(project, {"Jenkinsfile": None, "go.mod": "module x"})
    first, second = (told(door.post("build-service/resolve/", {"project": project.slug})) for _ in range(2))
    assert first == second
    assert not project.pipeline_revisions.exists()
