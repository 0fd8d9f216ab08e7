"""Names and meanings that scripts rely on, door by door."""

from __future__ import annotations

from typing import Any

import pytest

from builds.models import Build, InputRequest
from deployments.models import Deployment, Service
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.models import Connection
from projects import specs
from projects.models import Project
from tests import world

from .door import Door, refused, told

pytestmark = pytest.mark.django_db
TEXT = "pipeline { agent any\n stages { stage('Build') { steps { echo 'hi' } } } }"
PROBES = {"readiness": {"http": {"path": "/ok", "port": 0}, "period_s": 2}, "liveness": None}


def has(row: dict[str, Any], names: str) -> None:
    assert set(names.split()) <= set(row), set(names.split()) - set(row)


def test_projects(ann: Door) -> None:
    spec = {"command": ["./run"], "secrets": {"KEY": "hidden-value"}, "env": {"A": "1"}}
    answer = ann.post("projects/", {"slug": "shop", "name": "Shop", "description": "Sells", "spec": spec})
    made = told(answer, 201)
    has(made, "slug name description source builder archived spec")
    has(made["source"], "kind connection clone_url")
    has(made["builder"], "kind connection")
    assert made["spec"]["secrets"] == ["KEY"]
    assert b"hidden-value" not in answer.content
    assert told(ann.get("projects/shop/")) == made
    changed = told(ann.patch("projects/shop/", {"name": "New", "spec": {"command": ["./other"]}}))
    assert (changed["name"], changed["spec"]["command"], changed["spec"]["secrets"]) == ("New", ["./other"], ["KEY"])
    refused(ann.post("projects/", {"slug": "shop"}), 409, "slug_taken")


def test_a_change_that_breaks_half_way_changes_nothing(ann: Door, project: Project) -> None:
    refused(ann.patch("projects/shop/", {"name": "New", "spec": {"command": "no list"}}), 422, "bad_spec")
    assert Project.objects.get().name == "shop"


def test_pipelines(ann: Door, project: Project) -> None:
    shown = told(ann.get("projects/shop/pipeline/"))
    has(shown, "template template_revision text parameters revision")
    assert shown["template"] is None
    saved = told(ann.put("projects/shop/pipeline/", {"text": TEXT, "note": "first"}))
    assert (saved["text"], saved["revision"], saved["origin"]) == (TEXT, 1, "portal")
    refused(ann.put("projects/shop/pipeline/", {"text": "pipeline {"}), 422)
    revisions = told(ann.get("projects/shop/pipeline/revisions/"))["results"]
    assert [(r["revision"], r["note"], r["author"]) for r in revisions] == [(1, "first", "ann")]
    judged = told(ann.post("pipelines/validate/", {"text": "pipeline { agent any }"}))
    has(judged, "valid errors warnings stages")
    assert not judged["valid"]
    has(judged["errors"][0], "line column message")
    assert told(ann.post("pipelines/validate/", {"text": TEXT}))["stages"][0]["name"] == "Build"


def test_builds(ann: Door, project: Project) -> None:
    made = told(ann.post("projects/shop/builds/", {"ref": "main", "parameters": {"A": "b"}}), 201)
    has(made, "id number project ref commit trigger state stages tests artifacts version external_url error")
    has(made, "created_at started_at finished_at inputs")
    has(made["commit"], "sha author message")
    assert (made["state"], made["trigger"], list(made["parameters"])) == ("queued", "api", ["A"])
    assert made["created_at"].endswith("Z")
    refused(ann.post("projects/shop/builds/", {"ref": "absent"}), 404, "unknown_ref")
    refused(ann.post(f"builds/{made['id']}/retry/"), 409, "still_running")
    told(ann.post(f"builds/{made['id']}/cancel/"), 202)
    Build.objects.update(state="cancelled")
    refused(ann.post(f"builds/{made['id']}/cancel/"), 409)
    again = told(ann.post(f"builds/{made['id']}/retry/"), 202)
    assert (again["trigger"], again["commit"], again["number"]) == ("retry", made["commit"], made["number"] + 1)


def test_a_question_is_answered_once(ann: Door, project: Project) -> None:
    build = world.build(project, state="running")
    InputRequest.objects.create(build=build, ident="Go", message="Go on?")
    refused(ann.post(f"builds/{build.pk}/inputs/Other/", {"proceed": True}), 404)
    refused(ann.post(f"builds/{build.pk}/inputs/Go/", {}), 400)
    answered = told(ann.post(f"builds/{build.pk}/inputs/Go/", {"proceed": False, "values": {"A": "1"}}), 202)
    assert (answered["inputs"][0]["answer"], answered["inputs"][0]["answered_by"]) == ("abort", "ann")
    refused(ann.post(f"builds/{build.pk}/inputs/Go/", {"proceed": True}), 409, "already_answered")


def test_a_log_is_read_from_an_offset(ann: Door, project: Project) -> None:
    build = world.build(project)
    answer = ann.get(f"builds/{build.pk}/log/?offset=0")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert (answer["X-Log-Next-Offset"], answer["X-Log-Complete"]) == ("0", "true")
    refused(ann.get(f"builds/{build.pk}/log/?offset=-1"), 422)


def test_versions(ann: Door, project: Project) -> None:
    version = world.version(project)
    row = told(ann.get(f"versions/{version.pk}/"))
    has(row, "id number build commit image digest archive created_at deployed_on")
    assert told(ann.get("projects/shop/versions/"))["results"] == [row]
    archive = ann.get(f"versions/{version.pk}/archive/")
    assert archive["Content-Type"] == "application/gzip"
    assert len(b"".join(archive.streaming_content)) == row["archive"]["size"]


def test_connections_keep_their_secrets(ops: Door) -> None:
    body = {"name": "origin", "kind": "git", "config": {"username": "x"}, "secrets": {"password": "hidden-value"}}
    answers = [ops.post("connections/", body), ops.get("connections/"), ops.get("connections/origin/")]
    told(answers[0], 201)
    has(answers[2].json(), "name kind config secrets")
    answers.append(ops.patch("connections/origin/", {"config": {"username": "y"}}))
    assert answers[-1].json()["secrets"] == ["password"]
    answers += [ops.post("connections/origin/test/"), ops.get("audit/")]
    assert not [answer for answer in answers if b"hidden-value" in answer.content]
    assert Connection.objects.get().secrets == {"password": "hidden-value"}
    assert told(ops.patch("connections/origin/", {"secrets": {"password": None}}))["secrets"] == []
    refused(ops.post("connections/", body), 409, "name_taken")
    refused(ops.post("connections/", {**body, "kind": "spaceship"}), 422)
    assert ops.delete("connections/origin/").status_code == 204
    refused(ops.get("connections/origin/"), 404)


def test_a_connection_is_tried(ops: Door) -> None:
    Connection.objects.create(name="origin", kind="git")
    Connection.objects.create(name="builder", kind="embedded")
    found = told(ops.post("connections/origin/test/"))
    has(found, "ok version missing sentence")
    assert (found["ok"], found["missing"]) == (False, ["config.url"])
    told(ops.patch("connections/origin/", {"config": {"url": "http://127.0.0.1:1/x.git"}}))
    found = told(ops.post("connections/origin/test/"))
    assert (found["ok"], found["missing"]) == (False, [])
    assert found["sentence"]
    assert told(ops.get("connections/origin/"))["last_test"]["ok"] is False
    assert AuditEntry.objects.filter(verb="connection.test").count() == 2
    refused(ops.post("connections/builder/test/"), 422)
    refused(ops.post("connections/absent/test/"), 404)


def test_a_connections_credentials_go_to_its_own_server_only(ann: Door) -> None:
    Connection.objects.create(name="origin", kind="git", config={"url": "https://git.example.com/a.git"})
    for address in (
        "https://evil.example.com/a.git",
        "http://git.example.com/a.git",
        "https://git.example.com:8/a.git",
    ):
        source = {"connection": "origin", "repository": address}
        problem = refused(ann.post("projects/", {"slug": "shop", "source": source}), 403)
        assert problem["rule"] == "connection_server"
    assert not Project.objects.exists()


def test_clusters_and_machines(ops: Door, ann: Door, project: Project) -> None:
    made = told(ops.post("clusters/", {"name": "here", "kind": "local"}), 201)
    has(made, "name kind connection")
    refused(ops.post("clusters/", {"name": "again", "kind": "local"}), 409)
    body = {"name": "test-a", "cluster": "here", "environment": "test", "placement": {"labels": {}}}
    machine = told(ops.post("machines/", body), 201)
    approval = {"needed": 0, "role": "maintainer", "restoring": False}
    assert machine == {**body, "description": "", "approval": approval, "granted": [], "warnings": []}
    refused(ops.post("machines/", body), 409, "name_taken")
    refused(ops.post("machines/", {**body, "name": "b", "cluster": "gone"}), 422)
    refused(ops.post("machines/", {**body, "name": "b", "placement": ["x"]}), 422)
    assert ops.put("projects/shop/machines/test-a/").status_code == 204
    assert told(ann.get("machines/"))["results"][0]["granted"] == ["shop"]
    assert told(Door(world.person("zoe")).get("machines/"))["results"][0]["granted"] == []
    assert ops.delete("projects/shop/machines/test-a/").status_code == 204
    assert told(ann.get("machines/"))["results"][0]["granted"] == []


def test_deployments_and_services(ann: Door, project: Project) -> None:
    world.granted(project, "test-a")
    version = world.version(project)
    body = {"machine": "test-a", "action": "deploy", "version": version.number, "reason": "first"}
    preview = told(ann.post("projects/shop/deployments/preview/", body))
    has(preview, "diff warnings pins expected_duration_ms")
    has(preview["pins"], "digest config manifest_sha256 pipeline_revision traffic")
    assert not Service.objects.exists()
    made = told(ann.post("projects/shop/deployments/", body), 201)
    has(made, "id service action strategy state phase version previous_version pins progress error")
    has(made["pins"], "digest config manifest_sha256 pipeline_revision traffic")
    has(made["pins"]["config"], "source key revision sha256")
    has(made["progress"], "ready total percent expected_ms")
    assert (made["state"], made["strategy"], made["version"]["number"]) == ("queued", "rolling", version.number)
    refused(ann.post("projects/shop/deployments/", body), 409, "deployment_active")
    path = f"deployments/{made['id']}/"
    events = told(ann.get(f"{path}events/"))
    has(events[0], "seq at kind text data")
    assert told(ann.get(f"{path}events/?after={events[-1]['seq']}")) == []
    refused(ann.get(f"{path}events/?after=x"), 422)
    refused(ann.post(f"{path}pause/"), 409)
    Deployment.objects.update(state="running")
    assert told(ann.post(f"{path}pause/"), 202)["state"] == "paused"
    assert told(ann.post(f"{path}resume/"), 202)["state"] == "running"
    told(ann.post(f"{path}cancel/"), 202)
    services(ann, made["service"])


def services(ann: Door, pk: int) -> None:
    row = told(ann.get(f"services/{pk}/"))
    has(row, "project machine version wanted observed url traffic")
    has(row["observed"], "state ready total updated_at")
    has(row["traffic"], "stable canary")
    assert told(ann.get("projects/shop/services/"))["results"] == [row]
    assert told(ann.get(f"services/{pk}/instances/")) == []
    logs = ann.get(f"services/{pk}/logs/?tail=10&since=2026-01-01T00:00:00Z&previous=true")
    assert (logs.status_code, logs["Content-Type"]) == (200, "text/plain; charset=utf-8")
    for query in ("tail=0", "tail=x", "since=yesterday", "since=2026-13-45T00:00:00Z"):
        refused(ann.get(f"services/{pk}/logs/?{query}"), 422)


def test_health_checks_are_a_view_over_the_spec(ann: Door, project: Project) -> None:
    service = Service.objects.create(project=project, machine=world.granted(project, "test-a"))
    path = f"services/{service.pk}/health-check/"
    assert told(ann.get(path)) == {"liveness": None, "readiness": None, "startup": None}
    shown = told(ann.put(path, PROBES))
    has(shown["readiness"], "http initial_delay_s period_s timeout_s failure_threshold")
    assert shown["readiness"]["http"] == {"path": "/ok", "port": 0}
    assert told(ann.get(path)) == shown == told(ann.put(path, shown))
    revision = specs.latest(project)
    assert revision is not None
    assert revision.spec["env"] == {"A": "1"}, "the rest of the spec stays"
    refused(ann.put(path, {"readiness": {"http": {}, "tcp": {}}}), 422)
    refused(ann.put(path, {"readiness": {"http": {"port": 99_999}}}), 400)
    refused(ann.put(path, {"readiness": {"exec": {"command": []}}}), 400)


def test_members(ann: Door, project: Project) -> None:
    world.person("zoe")
    rows = told(ann.post("projects/shop/members/", {"user": "zoe", "role": "developer", "reason": "helps"}))
    assert [(row["user"], row["role"]) for row in rows] == [("ann", "owner"), ("zoe", "developer")]
    assert told(ann.get("projects/shop/members/")) == rows
    assert len(told(ann.post("projects/shop/members/", {"user": "zoe", "role": None}))) == 1
    refused(ann.post("projects/shop/members/", {"user": "ann", "role": "viewer"}), 409, "last_owner")
    refused(ann.post("projects/shop/members/", {"user": "nobody", "role": "viewer"}), 422)
    refused(ann.post("projects/shop/members/", {"user": "ann", "role": "king"}), 422)


def test_the_audit_is_read_by_ops(ops: Door, ann: Door, project: Project) -> None:
    told(ann.patch("projects/shop/", {"name": "New"}))
    row = told(ops.get("audit/?verb=project.update"))["results"][0]
    has(row, "id at actor verb object before after address")
    assert (row["actor"], row["object"]["label"]) == ("ann", "shop")
    assert (row["before"], row["after"]) == ({"name": "shop"}, {"name": "New"})
    assert told(ops.get("audit/?actor=nobody"))["results"] == []
    assert told(ops.get("audit/?since=2999-01-01T00:00:00Z"))["results"] == []
    refused(ops.get("audit/?since=never"), 400)
