"""Every error is a problem with one sentence; bad input changes nothing and breaks nothing."""

from __future__ import annotations

import base64
import json

import pytest
from django.conf import settings

from projects.models import Project
from tests import world

from .door import PROBLEM, Door, refused, told

pytestmark = pytest.mark.django_db
DEEP = 10_000


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * DEEP + b"]" * DEEP, "deeper than 50"),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "deeper than 50"),
        (b"[" * 60 + b"]" * 60, "deeper than 50"),
        (b"[" * (3 << 20), "deeper than 50"),
        (b'{"slug": "a\\u0000b"}', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b'{"slug": "\\ud800"}', "valid Unicode"),
        (b'{"\\udfff": 1}', "valid Unicode"),
        (b'{"spec": {"cpu": NaN}}', "NaN is not JSON"),
        (b'{"spec": -Infinity}', "-Infinity is not JSON"),
        (b'{"spec": 1e999}', "too large"),
        (b'{"spec": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_malformed_json_is_one_sentence(raw: bytes, why: str, ann: Door) -> None:
    problem = refused(ann.ask("POST", "projects/", raw=raw), 400, "parse_error")
    assert why in problem["detail"]
    assert not Project.objects.exists()


def test_fifty_levels_of_json_are_fine(ann: Door) -> None:
    answer = ann.ask("POST", "pipelines/validate/", raw=b'{"text": "", "x": ' + b"[" * 49 + b"]" * 49 + b"}")
    told(answer, 200)


def test_a_huge_request_is_413(ann: Door) -> None:
    raw = json.dumps({"text": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}).encode()
    assert "4 MiB" in refused(ann.ask("POST", "pipelines/validate/", raw=raw), 413, "too_large")["detail"]


@pytest.mark.parametrize("body", [None, [], "text", 1, True])
def test_what_is_no_object_is_refused_by_shape(body: object, ann: Door) -> None:
    raw = json.dumps(body).encode()
    assert "fields" in refused(ann.ask("POST", "projects/", raw=raw), 400, "invalid_shape")


def test_wrong_fields_are_named(ann: Door) -> None:
    problem = refused(ann.post("projects/", {"slug": ["a"], "source": {"kind": 7}, "name": {}}), 400, "invalid_shape")
    assert {"slug", "name"} <= set(problem["fields"])


def test_a_broken_rule_is_422_with_the_field_and_its_sentence(ann: Door) -> None:
    problem = refused(ann.post("projects/", {"slug": "Not A Slug"}), 422, "bad_slug")
    assert problem["fields"]["slug"] == [problem["detail"]]
    problem = refused(ann.post("projects/", {"slug": "good", "starter": "nope"}), 422)
    assert problem["fields"]["starter"] == [problem["detail"]], "a named field always has a sentence"


def test_other_content_types_are_415(ann: Door) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        refused(ann.ask("POST", "projects/", raw=b"slug=a", Content_Type=kind), 415)


def test_other_methods_are_405_and_say_which_work(ann: Door, project: Project) -> None:
    answer = ann.ask("DELETE", f"projects/{project.slug}/")
    refused(answer, 405, "method_not_allowed")
    assert "PATCH" in answer["Allow"]
    refused(ann.put("clusters/", {}), 405)


@pytest.mark.parametrize("path", ["projects/", "builds/", "audit/", "connections/", "services/1/", "schema/"])
def test_nobody_is_401_and_told_how_to_sign_in(path: str, nobody: Door) -> None:
    answer = nobody.get(path)
    refused(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Bearer"


def test_unknown_addresses_are_problems_too(ann: Door, nobody: Door) -> None:
    for door in (ann, nobody):
        for path in ("nope/", "projects/a/b/c/d/", "builds/one/", "builds/-1/"):
            refused(door.get(path), 404, "not_found")
            refused(door.post(path, {}), 404, "not_found")


def test_what_one_may_not_see_is_told_exactly_as_what_is_not_there(stranger: Door, project: Project) -> None:
    build, version = world.build(project), world.version(project)
    pairs = [
        (f"projects/{project.slug}/", "projects/absent/"),
        (f"projects/{project.slug}/builds/", "projects/absent/builds/"),
        (f"projects/{project.slug}/versions/", "projects/absent/versions/"),
        (f"projects/{project.slug}/members/", "projects/absent/members/"),
        (f"projects/{project.slug}/pipeline/", "projects/absent/pipeline/"),
        (f"builds/{build.pk}/", "builds/999999/"),
        (f"builds/{build.pk}/log/", "builds/999999/log/"),
        (f"versions/{version.pk}/", "versions/999999/"),
    ]
    for seen, absent in pairs:
        one, other = stranger.get(seen), stranger.get(absent)
        refused(one, 404, "not_found")
        assert one.content == other.content
        assert one["Content-Type"] == other["Content-Type"] == PROBLEM
    for verb in ("cancel", "retry", "inputs/x"):
        one = stranger.post(f"builds/{build.pk}/{verb}/", {"proceed": True})
        assert one.content == stranger.post(f"builds/999999/{verb}/", {"proceed": True}).content


def test_a_refusal_names_the_rule_and_who_can_help(project: Project, ops: Door) -> None:
    viewer = Door(world.member(project, "viewer"))
    problem = refused(viewer.post(f"projects/{project.slug}/builds/", {}), 403, "denied")
    assert problem["rule"] == "build_project"
    assert problem["granted_by"] == ["ann"]
    problem = refused(viewer.post("clusters/", {"name": "c", "kind": "local"}), 403)
    assert (problem["rule"], problem["granted_by"]) == ("ops", ["ops"])


@pytest.mark.parametrize(
    "path",
    [
        "builds/99999999999999999999999/",
        "versions/9223372036854775808/",
        "services/99999999999999999999999/logs/",
        "deployments/9223372036854775807/",
        "builds/" + "9" * 5000 + "/",
        "projects/" + "a" * 3000 + "/",
        "projects/%ff%fe/",
        "projects/..%2f..%2fetc/",
        "projects/%F0%9F%92%A9/",
    ],
)
def test_odd_addresses_are_404(path: str, ann: Door) -> None:
    refused(ann.get(path), 404)


@pytest.mark.parametrize("path", ["projects/a%00b/", "builds/?search=a%00b", "builds/?ref=%00", "machines/?cursor=%00"])
def test_nul_in_an_address_is_400(path: str, ann: Door) -> None:
    refused(ann.get(path), 400)


def cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "query",
    [
        f"cursor={cursor('p=abc')}",
        f"cursor={cursor('p=99999999999999999999999')}",
        f"cursor={cursor('o=-1')}",
        f"cursor={cursor('o=99999999999999999')}",
        "cursor=%ff",
        "cursor=!!!",
        f"ordering=created_at&cursor={cursor('p=never')}",
    ],
)
def test_a_cursor_of_ones_own_making_breaks_nothing(query: str, ann: Door, project: Project) -> None:
    world.build(project)
    answer = ann.get(f"builds/?{query}")
    assert answer.status_code in {200, 400}, answer.content
    if answer.status_code == 400:
        refused(answer, 400)


def test_filters_with_impossible_values_are_400_with_the_field(ann: Door) -> None:
    assert "state" in refused(ann.get("builds/?state=flying"), 400, "invalid_shape")["fields"]
    assert "trigger" in refused(ann.get("builds/?trigger=magic"), 400)["fields"]


def test_a_browser_may_ask_as_well(ann: Door) -> None:
    answer = ann.get("projects/", Accept="text/html,application/xhtml+xml")
    told(answer, 200)
    assert answer["Content-Type"] == "application/json"
    assert ann.get("projects/?format=xml").status_code == 200


def test_errors_speak_the_readers_language(ann: Door) -> None:
    english = refused(ann.get("builds/1/"), 404)["detail"]
    chinese = refused(ann.get("builds/1/", Accept_Language="zh-hans"), 404)["detail"]
    assert english != chinese
